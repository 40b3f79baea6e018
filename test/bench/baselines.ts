import { createHash } from 'node:crypto'
import { Client, Pool } from 'pg'
import { createActor } from 'xstate'
import type { Contestant } from './contest.ts'
import { inParallel, measured } from './contest.ts'
import type { OrderContext } from './work.ts'
import { alertOf, EVENTS_AN_ACTOR, freshContext, orderMachine, STEPS } from './work.ts'

const POOL = 10

/** Restore, send, persist: a SELECT and an upsert an event. */
export const naive = async (url: string, postgres: number, actors: number): Promise<Contestant> => {
  const pool = new Pool({ connectionString: url, max: POOL })
  await pool.query('CREATE TABLE IF NOT EXISTS naive(key text PRIMARY KEY, snapshot jsonb)')
  const life = async (key: string): Promise<void> => {
    for (const [step, type] of STEPS.entries()) {
      const stored = (await pool.query<{ snapshot: object }>('SELECT snapshot FROM naive WHERE key = $1', [key])).rows[0]?.snapshot
      const input = { order: key }
      const actor = createActor(orderMachine, stored ? { snapshot: stored as never, input } : { input }).start()
      actor.send({ type, amount: `${step}`, now: Date.now(), id: key, cause: null })
      const snapshot = JSON.stringify(actor.getPersistedSnapshot())
      actor.stop()
      await pool.query('INSERT INTO naive VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET snapshot = excluded.snapshot', [key, snapshot])
    }
  }
  return {
    name: 'naive',
    about: `XState's own restore and persist, one upsert an event, a pool of ${POOL}`,
    actors,
    run: (round, count) =>
      measured(count * EVENTS_AN_ACTOR, { servers: [postgres] }, () => inParallel(POOL, count, (n) => life(`${round}-${n}`))),
    close: () => pool.end(),
  }
}

const FLOOR_CONNECTIONS = 2
const FLOOR_BATCH = 100

/** A reducer by hand, snapshots by one upsert a batch, journal and outbox packed in one row a batch. */
export const floor = async (url: string, postgres: number, actors: number): Promise<Contestant> => {
  const clients = await Promise.all(
    Array.from({ length: FLOOR_CONNECTIONS }, async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      return client
    }),
  )
  await clients[0]?.query(
    'CREATE TABLE IF NOT EXISTS floor_actor(key text PRIMARY KEY, body text); CREATE TABLE IF NOT EXISTS floor_batch(batch text PRIMARY KEY, digest bytea, journal text, outbox text)',
  )
  return {
    name: 'floor',
    about: `no machine and no runtime: ${FLOOR_BATCH * EVENTS_AN_ACTOR} transitions a statement by hand, ${FLOOR_CONNECTIONS} connections`,
    actors,
    run: (round, count) =>
      measured(count * EVENTS_AN_ACTOR, { servers: [postgres] }, async () => {
        let next = 0
        const worker = async (client: Client): Promise<void> => {
          for (let first = next; first < count; first = next) {
            next += FLOOR_BATCH
            await floorBatch(client, round, first, Math.min(first + FLOOR_BATCH, count))
          }
        }
        await Promise.all(clients.map(worker))
      }),
    close: async () => void (await Promise.all(clients.map((client) => client.end()))),
  }
}

const floorBatch = async (client: Client, round: string, first: number, end: number): Promise<void> => {
  const contexts = new Map<string, OrderContext>()
  const [journal, outbox]: [object[], object[]] = [[], []]
  for (const [step, type] of STEPS.entries()) {
    for (let actor = first; actor < end; actor++) {
      const key = `${round}-${actor}`
      const before = contexts.get(key) ?? freshContext(key)
      const context = { ...before, steps: before.steps + 1, last: `${actor}.${step}` }
      contexts.set(key, context)
      journal.push({ key, type, amount: context.last })
      outbox.push(alertOf(context, { id: `${first}:${journal.length}`, now: Date.now(), amount: context.last }))
    }
  }
  const [journalText, outboxText] = [JSON.stringify(journal), JSON.stringify(outbox)]
  await client.query({
    name: 'floor',
    text: `WITH snapshots AS (INSERT INTO floor_actor SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (key) DO UPDATE SET body = excluded.body)
           INSERT INTO floor_batch VALUES ($3, $4, $5, $6)`,
    values: [
      [...contexts.keys()],
      [...contexts.values()].map((context) => JSON.stringify(context)),
      `${round}-${first}`,
      createHash('sha256').update(journalText).digest(),
      journalText,
      outboxText,
    ],
  })
}
