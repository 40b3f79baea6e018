/** The whole local system, started as a user starts it, with a hand on every part of it. Linux and macOS. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Pool } from 'pg'
import { z } from 'zod'
import type { ServiceName } from '#machines/contracts/services.ts'
import { unwatch, watch } from '#deploy/local/watchdog.ts'
import { controlAt } from './control.ts'
import type { Control } from './control.ts'
import { processesWith } from './processes.ts'
import { noTopicLog, openTopicLog } from './topic-log.ts'
import type { TopicLog } from './topic-log.ts'
import { venuesAt } from './venues.ts'
import type { Venues } from './venues.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const READY_WITHIN_MS = 90_000
const END_WITHIN_MS = 60_000

const Line = z.looseObject({ event: z.string() })
export type Line = z.infer<typeof Line>
const Ready = z.looseObject({
  event: z.literal('ready'),
  services: z.record(z.string(), z.object({ url: z.string(), pid: z.number() })),
  kafka: z.string(),
  database: z.string(),
  simulators: z.object({ url: z.string(), pid: z.number() }),
  pid: z.number(),
})
type Ready = z.infer<typeof Ready>

export interface Options {
  /** kept when it is given; otherwise a temporary one, removed by stop() */
  readonly dataDir?: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** false: the topics are not read along; a bench has no CPU for it */
  readonly follow?: boolean
  /** where broker and database are looked at; default: as `npm start` says. Something may stand between them and the services */
  readonly seenAt?: { readonly brokers: string; readonly database: string }
}

export interface Ended {
  /** or the signal that ended it */
  readonly code: number | NodeJS.Signals | null
  readonly lines: readonly Line[]
  readonly stderr: string
}

export interface Deployment {
  readonly ready: Ready
  /** ms from the command to `ready` */
  readonly readyAfterMs: number
  readonly dataDir: string
  /** every JSON line so far */
  readonly lines: readonly Line[]
  readonly venues: Venues
  readonly topics: TopicLog
  control(service: ServiceName): Control
  pid(service: ServiceName): number
  /** As the superuser, who sees every table. */
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>
  /** kill -9. Answers when, ms. */
  kill(service: ServiceName): number
  /** The services' logs, one text. */
  logs(): string
  /** Ctrl-C, and everything that was opened here is closed. @throws {Error} it failed, or left something running */
  stop(): Promise<Ended>
}

export const temporaryDataDir = (): string => mkdtempSync(join(tmpdir(), 'unrip-e2e-'))

/** Runs `npm start` to its own end. @throws {Error} it left something running */
export const runToEnd = async (options: Options): Promise<Ended> => {
  const run = spawnStart(options)
  return run.ended
}

/** Starts everything and waits for `ready`. @throws {Error} with what it said on stderr */
export const deploy = async (options: Options = {}): Promise<Deployment> => {
  const dataDir = options.dataDir ?? temporaryDataDir()
  const removeData = (): void => {
    if (options.dataDir === undefined && process.env['E2E_KEEP'] === undefined) rmSync(dataDir, { recursive: true, force: true })
  }
  const began = performance.now()
  const run = spawnStart({ ...options, dataDir })
  const ready = await run.ready.catch((error: unknown) => {
    removeData()
    throw error
  })
  const readyAfterMs = performance.now() - began
  const { brokers, database } = options.seenAt ?? { brokers: ready.kafka, database: ready.database }
  const db = new Pool({ connectionString: database, max: 2, connectionTimeoutMillis: 5_000 })
  db.on('error', () => undefined) // it goes away when the database does; a query under way tells
  const topics = options.follow === false ? noTopicLog : await openTopicLog(brokers)
  const pids = new Map(Object.entries(ready.services).map(([name, { pid }]) => [name, pid]))
  run.onLine((line) => {
    if (line.event === 'service') pids.set(String(line['name']), Number(line['pid']))
  })
  const pid = (service: ServiceName): number => {
    const known = pids.get(service)
    if (known === undefined) throw new Error(`no ${service} among ${[...pids.keys()].join(', ')}`)
    return known
  }
  let stopping: Promise<Ended> | undefined
  const stop = async (): Promise<Ended> => {
    // Where broker or database have died they may take for ever.
    await Promise.race([Promise.allSettled([topics.close(), db.end()]), after(3_000)])
    run.interrupt()
    try {
      const ended = await run.ended
      if (ended.code !== 0) throw new Error(`npm start ended with ${ended.code}: ${ended.stderr.slice(-3_000)}`)
      return ended
    } finally {
      removeData()
    }
  }
  return {
    ready,
    readyAfterMs,
    dataDir,
    lines: run.lines,
    venues: venuesAt(ready.simulators.url),
    topics,
    control: (service) => controlAt(ready.services[service]?.url ?? ''),
    pid,
    query: async <Row extends object>(text: string, values: readonly unknown[] = []) => (await db.query<Row>(text, [...values])).rows,
    kill: (service) => {
      process.kill(pid(service), 'SIGKILL')
      return Date.now()
    },
    logs: () => logsIn(join(dataDir, 'logs')),
    stop: () => (stopping ??= stop()),
  }
}

/** Not the venues' own. */
const logsIn = (dir: string): string =>
  readdirSync(dir)
    .filter((name) => !name.startsWith('simulators'))
    .map((name) => readFileSync(join(dir, name), 'utf8'))
    .join('\n')

const spawnStart = ({ dataDir, args = [], env = {} }: Options) => {
  const mark = `e2e-${randomUUID()}`
  const child = spawn(process.execPath, [join(root, 'deploy/local/start.ts'), '--json', ...args], {
    cwd: root,
    env: { ...ownEnvironment(), CONTROL_BASE_PORT: '0', ...(dataDir === undefined ? {} : { DATA_DIR: dataDir }), ...env, UNRIP_TEST: mark },
    // Ctrl-C in a terminal is for whoever runs this; and it ends with us.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { pid } = child
  if (pid !== undefined) watch(pid, 'SIGINT')
  const lines: Line[] = []
  const listeners: ((line: Line) => void)[] = []
  let stderr = ''
  child.stderr.on('data', (chunk: unknown) => (stderr += String(chunk)))
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = Line.parse(JSON.parse(text))
    lines.push(line)
    for (const listener of listeners) listener(line)
  })
  const exit = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('close', (code, signal) => {
      if (pid !== undefined) unwatch(pid)
      resolve(code ?? signal)
    }),
  )
  const ended = exit.then(async (code): Promise<Ended> => {
    const left = await untilGone([mark, ...(dataDir === undefined ? [] : [dataDir])])
    if (left.length > 0)
      throw new Error(`npm start ended with ${code} and left running: ${left.join('; ')}; it said ${stderr.slice(-3_000)}`)
    return { code, lines, stderr }
  })
  const said = new Promise<Ready>((resolve) => listeners.push((line) => line.event === 'ready' && resolve(Ready.parse(line))))
  const patience = new AbortController()
  const ready = Promise.race([
    said,
    exit.then((code) => Promise.reject(new Error(`npm start ended with ${code} before it was ready: ${stderr.slice(-3_000)}`))),
    after(READY_WITHIN_MS, undefined, { signal: patience.signal }).then(() => {
      child.kill('SIGKILL') // its watchdog ends the rest
      return Promise.reject(new Error(`not ready after ${READY_WITHIN_MS} ms: ${stderr.slice(-3_000)}`))
    }),
  ]).finally(() => patience.abort())
  ready.catch(() => undefined) // who runs to the end does not ask
  ended.catch(() => undefined) // told to who asks, at the end
  return {
    lines,
    ready,
    ended,
    onLine: (listener: (line: Line) => void) => void listeners.push(listener),
    interrupt: () => {
      child.kill('SIGINT')
      const timer = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS)
      void exit.then(() => clearTimeout(timer))
    },
  }
}

/** What vitest sets is nothing that a user has. */
const ownEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV$|NODE_OPTIONS$|TEST$|DEV$|PROD$|MODE$)/.test(name)))

/** What is still running three seconds after its starter's end; it is killed. */
const untilGone = async (marks: readonly string[]): Promise<string[]> => {
  const deadline = performance.now() + 3_000
  for (;;) {
    const left = marks.flatMap(processesWith)
    if (left.length === 0) return []
    if (performance.now() > deadline) {
      for (const { pid } of left) process.kill(pid, 'SIGKILL')
      return left.map(({ pid, command }) => `${pid} ${command.slice(0, 200)}`)
    }
    await after(50)
  }
}
