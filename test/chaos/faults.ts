/** Each kind of fault, done to a running system. What comes after, the system does by itself. */
import { setTimeout as after } from 'node:timers/promises'
import { Client } from 'pg'
import type { ServiceName } from '#machines/contracts/services.ts'
import type { Postgres } from '#deploy/local/postgres.ts'
import type { TcpProxy } from '#test/tcp-proxy.ts'
import { twinOf } from '../e2e/twin.ts'
import type { Fault, Side } from './plan.ts'
import type { Stage } from './stage.ts'
import { killAndWatch } from './takeover.ts'
import type { Takeover } from './takeover.ts'

export type Performed =
  | { readonly outcome: 'done'; readonly takeovers: readonly Takeover[] }
  | { readonly outcome: 'skipped'; readonly why: string }

const DONE: Performed = { outcome: 'done', takeovers: [] }
const skipped = (why: string): Performed => ({ outcome: 'skipped', why })
/** A service that commits nothing for so long has nothing to be cut off from. */
const COMMITS_WITHIN_MS = 10_000
const NOTICED_AFTER_MS = 2_000

/** @throws {Error} what was done cannot be undone: a part does not come back */
export const perform = async (stage: Stage, fault: Fault): Promise<Performed> => {
  const { deployment, broker, postgres } = stage
  switch (fault.kind) {
    case 'kill': {
      const [service] = fault.services
      const kill = () => killed(stage, fault.services)
      return fault.beside && service !== undefined ? withSecond(stage, service, kill) : kill()
    }
    case 'stop and go on': {
      const stand = () => standStill(deployment.pid(fault.service), fault.forMs)
      return fault.beside ? withSecond(stage, fault.service, stand) : stand()
    }
    case 'second process':
      return withSecond(stage, fault.service, () => after(fault.forMs, DONE))
    case 'broker restart':
      await broker.kill(fault.signal)
      await broker.restart()
      return DONE
    case 'database restart':
      await postgres.kill(fault.signal)
      await postgres.restart()
      return DONE
    case 'cut in COMMIT': {
      const cutting = stage.database.cutCommits(fault.service, fault.moment, fault.times)
      await Promise.race([cutting.done, after(COMMITS_WITHIN_MS)])
      cutting.stop()
      return cutting.cut() > 0 ? DONE : skipped(`${fault.service} committed nothing in ${COMMITS_WITHIN_MS / 1_000} s`)
    }
    case 'disk full':
      return diskFull(stage, fault.forMs, fault.log)
    case 'stall': {
      const proxy = proxyOf(stage, fault.side)
      proxy.hold()
      await after(fault.forMs)
      proxy.release()
      return DONE
    }
    case 'half open':
      proxyOf(stage, fault.side).stall()
      // The services do not know yet; a lease later they do.
      return after(NOTICED_AFTER_MS, DONE)
    case 'delay': {
      const proxy = proxyOf(stage, fault.side)
      proxy.delayMs = fault.ms
      await after(fault.forMs)
      proxy.delayMs = 0
      return DONE
    }
  }
}

const proxyOf = (stage: Stage, side: Side): TcpProxy => (side === 'database' ? stage.database.proxy : stage.brokerProxy)

const killed = async ({ deployment }: Stage, services: readonly ServiceName[]): Promise<Performed> => ({
  outcome: 'done',
  takeovers: await killAndWatch(deployment, services),
})

/** Another process of the service is alive the while, and has its share of the lanes at the beginning. */
const withSecond = async (stage: Stage, service: ServiceName, work: () => Promise<Performed>): Promise<Performed> => {
  if (process.platform !== 'linux') return skipped('what a process was started with is known on Linux only')
  const second = await twinOf(stage.deployment, service)
  try {
    return await work()
  } finally {
    await second.drain()
  }
}

/** Past its lease, so that it wakes up as a zombie. */
const standStill = async (pid: number, forMs: number): Promise<Performed> => {
  process.kill(pid, 'SIGSTOP')
  await after(forMs)
  process.kill(pid, 'SIGCONT')
  return DONE
}

const FILLING = `SELECT pg_logical_emit_message(true, 'chaos', repeat('x', 4194304))`
/** More than the segments that are kept for use again. */
const FILLING_TIMES = 40

const diskFull = async ({ volume, postgres }: Stage, forMs: number, log: boolean): Promise<Performed> => {
  if (typeof volume === 'string') return skipped(volume)
  volume.fill()
  try {
    const full = after(forMs)
    if (log) await fillLog(postgres.adminUrl)
    await full
  } finally {
    volume.makeSpace()
  }
  await cameBack(postgres)
  return DONE
}

/** Write-ahead log until no segment can be made for it, which is the end of every session. */
const fillLog = async (url: string): Promise<void> => {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined) // that is what is wanted
  try {
    await client.connect()
    for (let times = 0; times < FILLING_TIMES; times++) await client.query(FILLING)
  } catch {
    // The server has ended, or refuses more.
  } finally {
    await client.end().catch(() => undefined)
  }
}

const RECOVERS_WITHIN_MS = 10_000

/** A server that could not write its log ends itself for good where its own recovery cannot either; then a person starts it again. */
const cameBack = async (postgres: Postgres): Promise<void> => {
  const deadline = performance.now() + RECOVERS_WITHIN_MS
  while (isAlive(postgres.pid()) && performance.now() < deadline) {
    if (await answers(postgres.adminUrl)) return
    await after(50)
  }
  await postgres.restart()
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const answers = async (url: string): Promise<boolean> => {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1_000 })
  client.on('error', () => undefined) // told by the query
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}
