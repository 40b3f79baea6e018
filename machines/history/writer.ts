import { assign, setup } from 'xstate'
import { effect, message } from '../contracts/actions.ts'
import type { Outgoing } from '../contracts/actions.ts'
import type { AuditState } from '../contracts/records/operations.ts'
import type { Stamp } from '../contracts/stamp.ts'
import type { TopicName } from '../contracts/topics.ts'

type WriterEvent = Stamp &
  (
    | { type: 'configured'; pair: string }
    | { type: 'learnLane.done'; answer: { lane: number } }
    | { type: 'learnLane.failed'; error: string }
    /** one record, whose row is inserted by the very transaction that commits this turn */
    | { type: 'row'; topic: TopicName }
    | { type: 'paused' }
    | { type: 'resumed' }
  )

interface Context {
  readonly pair: string
  /** null until known: a turn does not know where it runs */
  readonly lane: number | null
  readonly version: number
  /** rows written by topic, since the beginning */
  readonly rows: Readonly<Partial<Record<TopicName, number>>>
  /** ms */
  readonly last_written_at: number | null
}

/**
 * Writes the history of one lane. A row and this actor's snapshot are one transaction, so a count is never ahead of the
 * rows; and since what it publishes leaves after a commit, an audit state on the bus is proof that PostgreSQL takes rows.
 */
export const writerMachine = setup({
  types: { context: {} as Context, events: {} as WriterEvent },
  actions: {
    configure: assign(({ event }) => (event.type === 'configured' ? { pair: event.pair } : {})),
    noteLane: assign(({ event }) => (event.type === 'learnLane.done' ? { lane: event.answer.lane } : {})),
    countRow: assign(({ context, event }) =>
      event.type === 'row'
        ? { rows: { ...context.rows, [event.topic]: (context.rows[event.topic] ?? 0) + 1 }, last_written_at: event.now }
        : {},
    ),
    countRecord: assign({ version: nextVersion }),
    publish: message<AuditState>('ops.audit_state'),
    learnLane: effect<Record<string, never>>({ mode: 'idempotent' }),
  },
}).createMachine({
  id: 'writer',
  context: { pair: 'BTC/EURe', lane: null, version: 0, rows: {}, last_written_at: null },
  initial: 'unconfigured',
  on: {
    configured: { actions: 'configure' },
    row: { actions: 'countRow' },
    paused: '.paused',
    resumed: {},
    'learnLane.done': { actions: 'noteLane' },
    'learnLane.failed': {},
  },
  states: {
    unconfigured: { on: { configured: { target: 'learning', actions: 'configure' }, paused: {} } },
    learning: {
      entry: { type: 'learnLane', params: {} },
      on: {
        'learnLane.done': { target: 'writing', actions: 'noteLane' },
        'learnLane.failed': { target: 'learning', reenter: true },
        paused: {},
      },
    },
    writing: {
      after: {
        1_000: {
          target: 'writing',
          reenter: true,
          actions: [{ type: 'publish', params: ({ context, event }) => toRecord(context, event, true) }, 'countRecord'],
        },
      },
    },
    // Said once, and then silence, which says the same.
    paused: {
      entry: [{ type: 'publish', params: ({ context, event }) => toRecord(context, event, false) }, 'countRecord'],
      on: { resumed: 'writing', paused: {} },
    },
  },
})

function nextVersion({ context, event }: { context: Context; event: WriterEvent }): number {
  return Math.max(context.version + 1, event.now)
}

const toRecord = (context: Context, event: WriterEvent, writable: boolean): Outgoing<AuditState> => ({
  payload: {
    pair: context.pair,
    lane: context.lane ?? 0,
    version: nextVersion({ context, event }),
    writable,
    last_write_at: context.last_written_at === null ? null : new Date(context.last_written_at).toISOString(),
    lag: null,
    rows: Object.values(context.rows).reduce((sum, count) => sum + count, 0),
  },
})
