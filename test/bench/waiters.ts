import type { Client } from 'pg'
import { assign, setup } from 'xstate'
import type { AnyStateMachine } from 'xstate'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { message } from '#machines/contracts/actions.ts'
import type { Stamp } from '#machines/contracts/stamp.ts'
import { BENCH_SERVICE, serviceOf } from './bench-host.ts'
import { alertOf, freshContext } from './work.ts'
import type { OrderContext } from './work.ts'

/** An actor of W1's size that waits for its timer, and says so when it has fired. */
const waiterMachine = setup({
  types: { input: {} as { key: string }, context: {} as OrderContext, events: {} as Stamp & { type: string } },
  actions: {
    note: assign({ steps: ({ context }) => context.steps + 1 }),
    say: message<object>('ops.alert_event'),
  },
}).createMachine({
  id: 'waiter',
  context: ({ input }) => freshContext(input.key),
  initial: 'idle',
  on: { poke: { actions: 'note' } },
  states: {
    idle: { on: { begin: 'waiting' } },
    waiting: {
      after: {
        60_000: {
          target: 'rung',
          actions: [
            'note',
            { type: 'say', params: ({ context, event }) => alertOf(context, { id: event.id, now: event.now, amount: '' }) },
          ],
        },
      },
    },
    rung: {},
  },
}) as unknown as AnyStateMachine

export const KIND = 'waiter'
export const waiterService: ServiceDefinition = serviceOf({ [KIND]: { machine: waiterMachine, version: 1, input: (key) => ({ key }) } })

/** The due time is the end of the key; what is before it spreads neighbours in time over the whole table. */
export const dueOf = (key: string): number => Number(key.slice(key.indexOf('-') + 1))

const PLACEHOLDER = '@key@'
/** Prime to every power of ten. */
const SPREAD = 7_919

export interface Waiters {
  readonly actors: number
  /** the first is due then, the others after it, `perSecond` a second; those beyond `soon` a day later */
  readonly fromMs: number
  readonly perSecond: number
  readonly soon: number
}

const LATER_MS = 86_400_000

/** The address of the n-th to be due. */
export const waiterKey = (n: number, { actors, fromMs, perSecond, soon }: Waiters): string =>
  `${String((n * SPREAD) % actors).padStart(7, '0')}-${fromMs + Math.floor((n * 1_000) / perSecond) + (n < soon ? 0 : LATER_MS)}`

/**
 * Stores actors that wait, each with its timer, as their own turns would have: the bytes are those of `store()` and of the timer that
 * the machine asks for, with the key put in.
 */
export const storeWaiters = async (db: Client, { actors, fromMs, perSecond, soon }: Waiters): Promise<void> => {
  const machine = runnable(waiterMachine, 1)
  const begin: Stamp & { type: string } = { type: 'begin', now: 0, id: '', cause: null }
  const { state, outputs } = machine.turn(machine.begin({ key: PLACEHOLDER }).state, begin)
  const timer = outputs.find(({ does }) => does === 'set timer')
  if (timer?.does !== 'set timer') throw new Error('a waiter asks for no timer')
  const body = Buffer.from(machine.store(state, 1)).toString()
  const event = JSON.stringify({ event: timer.event, cause: null })
  await db.query("SET search_path = unrip; SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
  await db.query('INSERT INTO lane (service, lane) VALUES ($1, 0) ON CONFLICT DO NOTHING', [BENCH_SERVICE])
  await db.query(
    `CREATE TEMP TABLE planned AS SELECT lpad(((n * ${SPREAD}) % $1)::text, 7, '0') || '-' || due AS key, due
     FROM (SELECT n, $2::bigint + n * 1000 / $3 + CASE WHEN n < $4 THEN 0 ELSE ${LATER_MS} END AS due FROM generate_series(0::bigint, $1 - 1) n)`,
    [actors, fromMs, perSecond, soon],
  )
  await db.query(
    `INSERT INTO actor (service, lane, kind, key, sequence, status, body, ended_at_ms, updated_at_ms)
     SELECT $1, 0, $2, key, 1, 'a', convert_to(replace($3, '${PLACEHOLDER}', key), 'UTF8'), NULL, 0 FROM planned ORDER BY key`,
    [BENCH_SERVICE, KIND, body],
  )
  await db.query(
    `INSERT INTO timer (service, lane, kind, key, timer, token, due_ms, event)
     SELECT $1, 0, $2, key, $3, 1, due, convert_to($4, 'UTF8') FROM planned ORDER BY key`,
    [BENCH_SERVICE, KIND, timer.timer, event],
  )
  await db.query('DROP TABLE planned')
  await db.query('ANALYZE actor; ANALYZE timer; CHECKPOINT')
}
