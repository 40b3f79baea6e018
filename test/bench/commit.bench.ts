/**
 * `npm run bench -- commit`: durable transitions per second of the whole path without Kafka (fence, journal, snapshot,
 * outbox), against XState with one upsert an event on a pool of 10, and a hand-written floor. One machine, one run.
 */
import { createHash, randomUUID } from 'node:crypto'
import { Client, Pool } from 'pg'
import { createActor } from 'xstate'
import { Host } from '#actors/runtime/host.ts'
import type { MessageBus } from '#actors/runtime/ports.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { systemClock } from '#actors/runtime/system-clock.ts'
import { startPostgres } from '#deploy/local/postgres.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { laneStore } from '#storage/lane-store.ts'
import { migrate } from '#storage/migrate.ts'
import { cpuOfTree, median, ownCpu } from './cpu.ts'
import { temporaryDir } from './temporary-dir.ts'
import type { OrderContext } from './work.ts'
import { alertOf, EVENTS_AN_ACTOR, freshContext, orderMachine, STEPS } from './work.ts'

const ACTORS = Number(process.env['BENCH_ACTORS'] ?? 20_000)
const NAIVE_ACTORS = Math.max(400, Math.floor(ACTORS / 10))
const ROUNDS = 3

interface Measured {
  readonly perSecond: number
  /** this process and PostgreSQL together, microseconds a transition */
  readonly cpuMicros: number
  readonly hostMicros: number
}

const quiet = { debug() {}, info() {}, warn() {}, error: (_: object, text: string) => process.stderr.write(`${text}\n`) }
const uncounted = { count() {}, observe() {} }

/** Takes everything at once, and has nothing to read: the path without Kafka. */
const noBus: MessageBus = {
  send: async () => {},
  reader: async () => ({ ends: async () => [], take() {}, leave() {}, hold() {}, resume() {}, commit() {}, close: async () => {} }),
  close: async () => {},
}

const definition: ServiceDefinition = {
  name: 'market-reference-ingest',
  lanes: 'single',
  kinds: {
    lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) },
    order: { machine: orderMachine, version: 1, input: (order) => ({ order }) },
  },
  inputs: {},
  effects: {},
  orders: {},
  configure: [],
  retainEndedMs: 0,
}

const moment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2))

const measured = async (transitions: number, postgres: number, work: () => Promise<void>): Promise<Measured> => {
  const [host, database, begun] = [ownCpu(), cpuOfTree(postgres), performance.now()]
  await work()
  const seconds = (performance.now() - begun) / 1_000
  const hostMicros = ((ownCpu() - host) * 1e6) / transitions
  return { perSecond: transitions / seconds, hostMicros, cpuMicros: hostMicros + ((cpuOfTree(postgres) - database) * 1e6) / transitions }
}

/** Ours: a host with its lane on PostgreSQL; events arrive five an actor, interleaved over a window of actors. */
const ours = async (url: string, postgres: number, round: number): Promise<Measured> => {
  const store = laneStore({ connectionString: url, applicationName: 'bench', log: quiet })
  const host = new Host({
    definition,
    release: 'bench',
    process: randomUUID(),
    store,
    bus: noBus,
    clock: systemClock,
    log: quiet,
    meter: uncounted,
    partitionOf: () => 0,
    wantedLanes: 1,
    url: () => 'http://127.0.0.1:0',
    onBroken: (error) => {
      throw error
    },
  })
  await host.start()
  while (host.lanes().length === 0) await moment()
  const transitions = ACTORS * EVENTS_AN_ACTOR
  const turned = (): number => host.lanes()[0]?.turn ?? 0
  const before = turned()
  const result = await measured(transitions, postgres, async () => {
    let given = 0
    for (let first = 0; first < ACTORS; first += 200) {
      for (const [step, type] of STEPS.entries()) {
        for (let actor = first; actor < Math.min(first + 200, ACTORS); actor++) {
          host.tell({ kind: 'order', key: `r${round}-${actor}` }, { type, amount: `${actor}.${step}` })
          given++
        }
      }
      while (given - (turned() - before) > 4_000) await moment()
    }
    while (turned() - before < transitions) await moment()
  })
  await host.drain()
  await store.close()
  return result
}

/** Naive: restore, send, persist, one upsert an event, ten at a time. */
const naive = async (url: string, postgres: number, round: number): Promise<Measured> => {
  const pool = new Pool({ connectionString: url, max: 10 })
  await pool.query('CREATE TABLE IF NOT EXISTS naive(key text PRIMARY KEY, snapshot jsonb)')
  const machine = orderMachine
  const one = async (key: string): Promise<void> => {
    for (const [step, type] of STEPS.entries()) {
      const stored = (await pool.query<{ snapshot: object }>('SELECT snapshot FROM naive WHERE key = $1', [key])).rows[0]?.snapshot
      const actor = createActor(machine, stored ? { snapshot: stored as never, input: { order: key } } : { input: { order: key } }).start()
      actor.send({ type, amount: `${step}`, now: Date.now(), id: key, cause: null })
      const snapshot = JSON.stringify(actor.getPersistedSnapshot())
      actor.stop()
      await pool.query('INSERT INTO naive VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET snapshot = excluded.snapshot', [key, snapshot])
    }
  }
  const result = await measured(NAIVE_ACTORS * EVENTS_AN_ACTOR, postgres, async () => {
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < NAIVE_ACTORS) await one(`n${round}-${next++}`)
    }
    await Promise.all(Array.from({ length: 10 }, worker))
  })
  await pool.end()
  return result
}

/** Floor: a reducer by hand, snapshots by one upsert a batch, the journal packed in one row a batch, two connections. */
const floor = async (url: string, postgres: number, round: number): Promise<Measured> => {
  const clients = await Promise.all(
    [0, 1].map(async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      return client
    }),
  )
  await clients[0]!.query(
    'CREATE TABLE IF NOT EXISTS floor_actor(key text PRIMARY KEY, body text); CREATE TABLE IF NOT EXISTS floor_batch(batch text PRIMARY KEY, digest bytea, journal text, outbox text)',
  )
  const contexts = new Map<string, OrderContext>()
  const commit = async (client: Client, batch: number, first: number): Promise<void> => {
    const [journal, outbox]: [object[], object[]] = [[], []]
    for (const [step, type] of STEPS.entries()) {
      for (let actor = first; actor < Math.min(first + 100, ACTORS); actor++) {
        const key = `f${round}-${actor}`
        const before = contexts.get(key) ?? freshContext(key)
        const context = { ...before, steps: before.steps + 1, last: `${actor}.${step}` }
        contexts.set(key, context)
        journal.push({ key, type, amount: context.last })
        outbox.push(alertOf(context, { id: `${batch}:${journal.length}`, now: Date.now(), amount: context.last }))
      }
    }
    const keys = [...new Set(journal.map((entry) => (entry as { key: string }).key))]
    const [journalText, outboxText] = [JSON.stringify(journal), JSON.stringify(outbox)]
    await client.query({
      name: 'floor',
      text: `WITH snapshots AS (INSERT INTO floor_actor SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (key) DO UPDATE SET body = excluded.body)
             INSERT INTO floor_batch VALUES ($3, $4, $5, $6)`,
      values: [
        keys,
        keys.map((key) => JSON.stringify(contexts.get(key))),
        `${round}-${batch}`,
        createHash('sha256').update(journalText).digest(),
        journalText,
        outboxText,
      ],
    })
    for (const key of keys) contexts.delete(key)
  }
  const result = await measured(ACTORS * EVENTS_AN_ACTOR, postgres, async () => {
    let next = 0
    const worker = async (client: Client): Promise<void> => {
      while (next * 100 < ACTORS) {
        const batch = next++
        await commit(client, batch, batch * 100)
      }
    }
    await Promise.all(clients.map(worker))
  })
  await Promise.all(clients.map((client) => client.end()))
  return result
}

const RUNS: Record<string, typeof ours> = { ours, naive, floor }
/** `BENCH_ONLY=ours` for a profile */
const ONLY = process.env['BENCH_ONLY']?.split(',') ?? Object.keys(RUNS)

const spread = (values: readonly number[], digits = 0): string =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`

const dir = temporaryDir('commit')
const postgres = await startPostgres({ dataDir: dir.path, log: () => undefined })
try {
  const { roleUrls } = await migrate({ adminUrl: postgres.adminUrl, lanes: 1, log: quiet })
  const url = roleUrls['market-reference-ingest']!
  const rows: Record<string, Measured[]> = { ours: [], naive: [], floor: [] }
  for (let round = 0; round < ROUNDS; round++) {
    process.stderr.write(`round ${round + 1} of ${ROUNDS}\n`)
    for (const name of ONLY) rows[name]!.push(await RUNS[name]!(name === 'ours' ? url : postgres.adminUrl, postgres.pid(), round))
  }
  process.stdout.write(`commit: ${ACTORS} actors, ${EVENTS_AN_ACTOR} events each, ${ROUNDS} rounds; median (least to most)\n`)
  for (const [name, results] of Object.entries(rows).filter(([, done]) => done.length > 0)) {
    process.stdout.write(
      `  ${name.padEnd(6)} ${spread(results.map((r) => r.perSecond)).padEnd(28)} transitions/s  ${spread(
        results.map((r) => r.cpuMicros),
        1,
      ).padEnd(24)} us CPU each, of it here ${spread(
        results.map((r) => r.hostMicros),
        1,
      )}\n`,
    )
  }
  const rate = (name: string): number => median(rows[name]!.map(({ perSecond }) => perSecond))
  process.stdout.write(
    `  ours / naive ${(rate('ours') / rate('naive')).toFixed(1)}x (goal 10x); ours / floor ${(rate('ours') / rate('floor')).toFixed(2)}x\n`,
  )
} finally {
  await postgres.stop()
  dir.remove()
}
