import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { freePort } from '#deploy/local/ports.ts'
import { supervise } from '#deploy/local/supervisor.ts'
import type { Change, Supervised } from '#deploy/local/supervisor.ts'

/** A service as far as its supervisor sees it: answers, drains when told, and dies when asked by GET /die. */
const SERVICE = `
import { createServer } from 'node:http'
createServer((request, response) => {
  if (request.url === '/die') process.exit(7)
  response.setHeader('content-type', 'application/json')
  if (request.url === '/drain') return void response.end('{}', () => (process.env.DEAF ? undefined : process.exit(0)))
  response.end(JSON.stringify({ lifecycle: 'running', blocked: [] }))
}).listen(Number(process.env.CONTROL_PORT), '127.0.0.1')
if (process.env.DEAF) process.on('SIGTERM', () => undefined)
`

let dir: string
let stopping = false
beforeEach(() => {
  stopping = false
  dir = mkdtempSync(join(tmpdir(), 'unrip-supervisor-test-'))
  writeFileSync(join(dir, 'main.mjs'), SERVICE)
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const started = async (changes: Change[], env: Record<string, string> = {}): Promise<Supervised> => {
  const port = await freePort()
  const service = await supervise(
    {
      name: 'strategy-engine',
      main: join(dir, 'main.mjs'),
      env: { ...process.env, ...env, CONTROL_PORT: String(port) },
      url: `http://127.0.0.1:${port}`,
      token: undefined,
      cwd: dir,
      logFile: join(dir, 'service.log'),
    },
    (change) => changes.push(change),
    () => stopping,
  )
  await vi.waitFor(async () => expect(await service.control.look()).toBeDefined(), { timeout: 5_000, interval: 20 })
  return service
}

test('a service killed with -9 runs again within a second, at the same address, and is reported with its new pid', async () => {
  const changes: Change[] = []
  const service = await started(changes)
  const first = service.pid()
  process.kill(first, 'SIGKILL')
  await vi.waitFor(() => expect(changes.map(({ state }) => state)).toEqual(['died', 'restarted']), { timeout: 1_000, interval: 10 })
  expect(service.pid()).not.toBe(first)
  expect(changes[1]).toMatchObject({ name: 'strategy-engine', pid: service.pid(), why: 'SIGKILL' })
  await vi.waitFor(async () => expect(await service.control.look()).toMatchObject({ ready: true, lifecycle: 'running' }), {
    timeout: 5_000,
  })
  stopping = true
  expect(await service.drain(5_000)).toBe(true)
})

test('a service that ended itself after a drain stays down', async () => {
  const changes: Change[] = []
  const service = await started(changes)
  expect((await service.control.order('/drain', 'a test')).ok).toBe(true)
  await vi.waitFor(() => expect(changes.map(({ state }) => state)).toEqual(['drained']), { timeout: 2_000, interval: 10 })
  expect(service.isDown()).toBe(true)
  expect(await service.drain(1_000)).toBe(true)
})

test('a service that dies with an exit code is counted and started again', async () => {
  const changes: Change[] = []
  const service = await started(changes)
  await fetch(`${service.control.url}/die`).catch(() => undefined)
  await vi.waitFor(() => expect(changes.map(({ why }) => why)).toEqual(['exit code 7', 'exit code 7']), { timeout: 1_500, interval: 10 })
  expect(service.deaths()).toBe(1)
  stopping = true
  await service.drain(5_000)
})

test('a service that neither drains nor ends by SIGTERM is ended by force, and that is told', async () => {
  const service = await started([], { DEAF: '1' })
  stopping = true
  expect(await service.drain(300)).toBe(false)
  expect(() => process.kill(service.pid(), 0)).toThrow('ESRCH')
})
