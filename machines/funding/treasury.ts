import { assign, enqueueActions, setup } from 'xstate'
import { message, tell } from '../contracts/actions.ts'
import type { Outgoing } from '../contracts/actions.ts'
import type { LiquidityAction } from '../contracts/records/operations.ts'
import type { Address, Stamp } from '../contracts/stamp.ts'

/** The chains of the treasury's assets, as the records name them. */
export interface FreezeConfig {
  readonly pair: string
  readonly chains: { readonly BTC: string; readonly EURe: string }
}

type FreezeEvent = Stamp &
  (
    | ({ type: 'configured' } & FreezeConfig)
    | { type: 'order.freeze-withdrawals'; by: string; reason: string }
    | { type: 'order.unfreeze-withdrawals'; by: string; reason: string }
  )

interface FreezeContext {
  readonly config: FreezeConfig | null
  readonly by: string | null
  readonly reason: string | null
  readonly since: number | null
}

/** Whether money may leave the treasury. An order each way, on record for every asset; nothing thaws by itself. */
export const freezeMachine = setup({
  types: { context: {} as FreezeContext, events: {} as FreezeEvent },
  actions: {
    configure: assign(({ event }) => (event.type === 'configured' ? { config: { pair: event.pair, chains: event.chains } } : {})),
    note: assign(({ event }) => ('by' in event ? { by: event.by, reason: event.reason, since: event.now } : {})),
    tellBoth: enqueueActions(({ context, event, enqueue }) => {
      if (event.type === 'configured' || !context.config) return
      for (const asset of ['BTC', 'EURe'] as const) enqueue({ type: 'publish', params: freezeRecord(context.config, asset, event) })
    }),
    publish: message<LiquidityAction>('ops.liquidity_action'),
  },
}).createMachine({
  id: 'freeze',
  context: { config: null, by: null, reason: null, since: null },
  initial: 'open',
  on: { configured: { actions: 'configure' }, 'order.freeze-withdrawals': {}, 'order.unfreeze-withdrawals': {} },
  states: {
    open: { on: { 'order.freeze-withdrawals': { target: 'frozen', actions: ['note', 'tellBoth'] } } },
    frozen: { on: { 'order.unfreeze-withdrawals': { target: 'open', actions: ['note', 'tellBoth'] } } },
  },
})

const freezeRecord = (
  { pair, chains }: FreezeConfig,
  asset: 'BTC' | 'EURe',
  event: Exclude<FreezeEvent, { type: 'configured' }>,
): Outgoing<LiquidityAction> => {
  const frozen = event.type === 'order.freeze-withdrawals'
  return {
    payload: {
      liquidity_action_id: `liq-withdrawals-${asset}-${event.id}`,
      handle_id: 'withdrawals',
      pair,
      action: frozen ? 'withdrawals_frozen' : 'withdrawals_unfrozen',
      asset,
      token_id: null,
      chain: chains[asset],
      address: null,
      amount: null,
      tx_hash: null,
      status: frozen ? 'FROZEN' : 'OPEN',
      note: `${event.by}: ${event.reason}`.slice(0, 500),
    },
  }
}

type TreasuryEvent = Stamp & { type: 'order.refresh'; by: string; reason: string }

/** One order for all handles: an order addresses one actor, and this one passes it on. */
export const treasuryMachine = setup({
  types: {
    input: {} as { handles: readonly Address[] },
    context: {} as { handles: readonly Address[]; refreshed_at: number | null },
    events: {} as TreasuryEvent,
  },
  actions: {
    refreshAll: enqueueActions(({ context, event, enqueue }) => {
      for (const to of context.handles) enqueue({ type: 'tell', params: { to, event: { type: 'refresh' } } })
      enqueue.assign({ refreshed_at: event.now })
    }),
    tell: tell<{ type: 'refresh' }>(),
  },
}).createMachine({
  id: 'treasury',
  context: ({ input }) => ({ handles: input.handles, refreshed_at: null }),
  on: { 'order.refresh': { actions: 'refreshAll' } },
})
