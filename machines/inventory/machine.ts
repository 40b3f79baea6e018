import { assign, setup } from 'xstate'
import { effect, message } from '../contracts/actions.ts'
import type { Outgoing } from '../contracts/actions.ts'
import type { IntentInventory } from '../contracts/records/inventory.ts'
import type { Stamp } from '../contracts/stamp.ts'
import type { BalancesAnswer, Drift, PendingAnswer } from './account.ts'
import { isExplained, reconciliation, unexplainedFall } from './account.ts'

/** What configures an inventory; ms where nothing else is said. */
export interface InventoryConfig {
  readonly account_id: string
  readonly pair: string
  readonly token_ids: readonly string[]
  readonly read_every_ms: number
  readonly pending_every_ms: number
}

type InventoryEvent = Stamp &
  (
    | ({ type: 'configured' } & InventoryConfig)
    | { type: 'readBalances.done'; answer: BalancesAnswer }
    | { type: 'readBalances.failed'; error: string }
    | { type: 'readPending.done'; answer: PendingAnswer }
    | { type: 'readPending.failed'; error: string }
    | { type: 'order.refresh'; by: string; reason: string }
    | { type: 'paused' }
    | { type: 'resumed' }
  )

interface Reads {
  readonly failures: number
  readonly last_error: string | null
  readonly last_ok_at: number | null
}

interface Context {
  readonly config: InventoryConfig | null
  readonly version: number
  /** the last confirmed read */
  readonly balances: BalancesAnswer | null
  readonly pending: PendingAnswer | null
  readonly drift: Drift | null
  readonly reads: Reads
  readonly pending_reads: Reads
  /** answers of an older block than one already taken, thrown away */
  readonly outdated: number
}

const NO_READS: Reads = { failures: 0, last_error: null, last_ok_at: null }
const LONGEST_PAUSE_MS = 5_000

/**
 * One account inside the verifier. Only what the verifier has credited at a final block is spendable; what the bridge
 * tells is shown beside it and never added (R223, R224, R227).
 */
export const inventoryMachine = setup({
  types: { context: {} as Context, events: {} as InventoryEvent },
  guards: {
    isOutdated: ({ context, event }) =>
      event.type === 'readBalances.done' && context.balances !== null && event.answer.block_height < context.balances.block_height,
    fellUnexplained: ({ context, event }) =>
      event.type === 'readBalances.done' &&
      context.balances !== null &&
      unexplainedFall(context.balances.spendable, event.answer.spendable, event.now) !== null,
  },
  actions: {
    configure: assign(({ event }) => {
      if (event.type !== 'configured') return {}
      const { account_id, pair, token_ids, read_every_ms, pending_every_ms } = event
      // Other tokens or another account: what was known is about something else.
      return { config: { account_id, pair, token_ids, read_every_ms, pending_every_ms }, balances: null, pending: null, drift: null }
    }),
    takeBalances: assign(({ context, event }) => {
      if (event.type !== 'readBalances.done') return {}
      const fall = context.balances && unexplainedFall(context.balances.spendable, event.answer.spendable, event.now)
      return {
        balances: event.answer,
        version: nextVersion(context, event.answer),
        drift: fall ?? context.drift,
        reads: { failures: 0, last_error: null, last_ok_at: event.now },
      }
    }),
    takePending: assign(({ context, event }) => {
      if (event.type !== 'readPending.done') return {}
      const { drift } = context
      return {
        pending: event.answer,
        drift: drift && !isExplained(drift, event.answer.withdrawn) ? drift : null,
        pending_reads: { failures: 0, last_error: null, last_ok_at: event.now },
      }
    }),
    countOutdated: assign({ outdated: ({ context }) => context.outdated + 1 }),
    countFailure: assign(({ context, event }) =>
      event.type === 'readBalances.failed' ? { reads: failed(context.reads, event.error) } : {},
    ),
    countPendingFailure: assign(({ context, event }) =>
      event.type === 'readPending.failed' ? { pending_reads: failed(context.pending_reads, event.error) } : {},
    ),
    /** A person has looked: the fall is taken as it is. */
    forgetDrift: assign({ drift: null }),
    publish: message<IntentInventory>('state.intent_inventory'),
    readBalances: effect<{ account_id: string; token_ids: readonly string[] }>({ mode: 'idempotent' }),
    readPending: effect<{ account_id: string; token_ids: readonly string[] }>({ mode: 'idempotent' }),
  },
  delays: {
    untilNextRead: ({ context }) => pauseMs(context.config?.read_every_ms ?? 1_000, context.reads.failures, LONGEST_PAUSE_MS),
    untilNextPending: ({ context }) => pauseMs(context.config?.pending_every_ms ?? 15_000, context.pending_reads.failures, 60_000),
  },
}).createMachine({
  id: 'inventory',
  context: { config: null, version: 0, balances: null, pending: null, drift: null, reads: NO_READS, pending_reads: NO_READS, outdated: 0 },
  initial: 'unconfigured',
  on: {
    configured: { target: '.syncing', reenter: true, actions: 'configure' },
    paused: '.paused',
    resumed: {},
    'order.refresh': { actions: 'forgetDrift' },
    // What was asked before a pause may answer after it: nothing to do with it.
    'readBalances.done': {},
    'readBalances.failed': { actions: 'countFailure' },
    'readPending.done': {},
    'readPending.failed': { actions: 'countPendingFailure' },
  },
  states: {
    unconfigured: { on: { paused: {} } },
    syncing: {
      type: 'parallel',
      states: {
        balances: {
          initial: 'reading',
          states: {
            reading: {
              entry: { type: 'readBalances', params: question },
              on: {
                'order.refresh': { actions: 'forgetDrift' },
                'readBalances.done': [
                  { guard: 'isOutdated', target: 'waiting', actions: 'countOutdated' },
                  { target: 'waiting', actions: ['takeBalances', { type: 'publish', params: toRecord }] },
                ],
                'readBalances.failed': { target: 'waiting', actions: 'countFailure' },
              },
            },
            waiting: { on: { 'order.refresh': { target: 'reading', actions: 'forgetDrift' } }, after: { untilNextRead: 'reading' } },
          },
        },
        pending: {
          initial: 'reading',
          states: {
            reading: {
              entry: { type: 'readPending', params: question },
              on: {
                'order.refresh': {},
                'readPending.done': { target: 'waiting', actions: 'takePending' },
                'readPending.failed': { target: 'waiting', actions: 'countPendingFailure' },
              },
            },
            waiting: {
              on: {
                'order.refresh': 'reading',
                // A withdrawal would explain it: the bridge is asked at once.
                'readBalances.done': [{ guard: 'fellUnexplained', target: 'reading' }, {}],
              },
              after: { untilNextPending: 'reading' },
            },
          },
        },
      },
    },
    paused: { on: { resumed: 'syncing', configured: { actions: 'configure' } } },
  },
})

function question({ context: { config } }: { context: Context }): { account_id: string; token_ids: readonly string[] } {
  return { account_id: config?.account_id ?? '', token_ids: config?.token_ids ?? [] }
}

/** After `takeBalances`: the context holds what this read said. */
function toRecord({ context }: { context: Context }): Outgoing<IntentInventory> {
  const { config, balances, pending, version, drift } = context
  if (!config || !balances) throw new Error('an inventory record without a read')
  const seenAt = new Date(balances.block_timestamp_ms).toISOString()
  return {
    payload: {
      inventory_id: `inv-${config.account_id}-${version}`,
      pair: config.pair,
      account_id: config.account_id,
      version,
      block_height: balances.block_height,
      block_timestamp: seenAt,
      spendable: balances.spendable,
      pending_in: pending?.pending_in ?? {},
      pending_out: pending?.pending_out ?? {},
      pending_known: pending !== null,
      reconciliation: reconciliation(balances.disagreement, drift),
      read_at_ms: balances.read_at_ms,
    },
    observed_at: seenAt,
  }
}

/** Room for a thousand reads of one block: it grows also over a lost database, because the chain does. */
const nextVersion = ({ version }: Context, { block_height }: BalancesAnswer): number => Math.max(version + 1, block_height * 1_000)

const failed = ({ failures, last_ok_at }: Reads, error: string): Reads => ({
  failures: failures + 1,
  last_error: error.slice(0, 200),
  last_ok_at,
})

const pauseMs = (everyMs: number, failures: number, longestMs: number): number =>
  Math.min(Math.max(everyMs, longestMs), everyMs * 2 ** Math.min(failures, 10))
