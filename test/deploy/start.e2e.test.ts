import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { commandOf } from '#deploy/local/leftovers.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')

const Line = z.looseObject({ event: z.string() })
const Ready = z.looseObject({
  services: z.record(z.string(), z.object({ url: z.url(), pid: z.int() })),
  kafka: z.string(),
  database: z.string(),
  simulators: z.object({ url: z.url(), pid: z.int() }),
})

/** One `npm start -- --json`, without npm. */
class Start {
  readonly lines: z.infer<typeof Line>[] = []
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  errors = ''

  constructor(dataDir: string, ...args: string[]) {
    this.child = spawn(process.execPath, [join(root, 'deploy/local/start.ts'), '--json', ...args], {
      cwd: root,
      env: { ...process.env, DATA_DIR: dataDir, CONTROL_BASE_PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (this.child.stdout === null) throw new Error('no stdout')
    // A line that is not JSON fails the test: --json promises that there is none.
    createInterface({ input: this.child.stdout }).on('line', (line) => this.lines.push(Line.parse(JSON.parse(line))))
    this.child.stderr?.on('data', (chunk: Buffer) => (this.errors += chunk.toString()))
    this.ended = new Promise((resolve) => this.child.once('close', resolve))
  }

  named(event: string): z.infer<typeof Line>[] {
    return this.lines.filter((line) => line.event === event)
  }

  async ready(): Promise<z.infer<typeof Ready>> {
    await vi.waitFor(
      () => {
        if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}: ${this.errors}`)
        expect(this.named('ready')).toHaveLength(1)
      },
      { timeout: 110_000, interval: 50 },
    )
    return Ready.parse(this.named('ready')[0])
  }
}

let dataDir: string
let start: Start | undefined
beforeAll(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'unrip-start-e2e-'))
})
afterEach(async () => {
  start?.child.kill('SIGKILL')
  await start?.ended
})
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

const pidsOf = ({ services, simulators }: z.infer<typeof Ready>): number[] => [
  ...Object.values(services).map(({ pid }) => pid),
  simulators.pid,
  ...['kafka/pid', 'postgres/pid'].map((file) => Number(readFileSync(join(dataDir, file), 'utf8'))),
]

const expectNothingRuns = async (pids: readonly number[]): Promise<void> => {
  await vi.waitFor(() => expect(pids.map(commandOf).filter((command) => command !== '')).toEqual([]), { timeout: 15_000, interval: 50 })
}

test('unattended it ends with 0 once the quotes have settled, without a violation, and leaves nothing running', async () => {
  start = new Start(dataDir, '--quotes', '3')
  const ready = await start.ready()
  expect(Object.keys(ready.services)).toHaveLength(8)
  const pids = pidsOf(ready)
  expect(await start.ended).toBe(0)
  expect(start.named('quote_ended').filter((line) => line['outcome'] === 'SETTLED').length).toBeGreaterThanOrEqual(3)
  expect(start.named('quote_ended').find((line) => line['outcome'] === 'SETTLED')).toMatchObject({
    quote_id: expect.any(String),
    reason: 'SETTLED',
    gross_edge_pct: expect.stringMatching(/^\d+\.\d+$/),
    latency_ms: expect.any(Number),
  })
  expect(start.lines.at(-1)).toMatchObject({ event: 'summary', violations: 0 })
  await expectNothingRuns(pids)
})

test('a second start goes on with the same data; a service killed with -9 is back within seconds; two interrupts at once drain once', async () => {
  start = new Start(dataDir)
  const ready = await start.ready()
  const pids = pidsOf(ready)
  const victim = ready.services['strategy-engine']?.pid ?? 0
  process.kill(victim, 'SIGKILL')
  const running = start
  await vi.waitFor(() => expect(running.named('service').map((line) => line['state'])).toEqual(['died', 'restarted']), {
    timeout: 2_000,
    interval: 10,
  })
  const restarted = running.named('service')[1]
  expect(restarted).toMatchObject({ name: 'strategy-engine', url: ready.services['strategy-engine']?.url })
  pids.push(Number(restarted?.['pid']))
  await vi.waitFor(
    () => expect(running.named('quote_ended').some((line) => line['outcome'] === 'SETTLED' && line['resumed'] === false)).toBe(true),
    { timeout: 60_000, interval: 100 },
  )
  start.child.kill('SIGINT')
  start.child.kill('SIGINT')
  expect(await start.ended).toBe(0)
  expect(start.lines.at(-1)).toMatchObject({ event: 'summary', violations: 0 })
  await expectNothingRuns(pids)
})

test('kill -9 of npm start itself leaves nothing running', async () => {
  start = new Start(dataDir, '--disarmed')
  const pids = pidsOf(await start.ready())
  start.child.kill('SIGKILL')
  await expectNothingRuns(pids)
})
