import { assign, setup } from 'xstate'
import type { Direction } from '../contracts/money.ts'

/** Which token ids are the pair; every id of `btc_token_ids` is BTC. */
export interface PairFilter {
  readonly btc_token_ids: readonly string[]
  readonly eure_token_id: string
}

type PairFilterEvent =
  | ({ type: 'configured' } & PairFilter)
  | ({ type: 'order.pair-filter'; by: string; reason: string } & PairFilter)
  | { type: 'order.pair-filter-reset'; by: string; reason: string }

/** An order outlives restarts until the environment's own value changes, which arrives as `configured`. */
export const pairFilterMachine = setup({
  types: {
    context: {} as { default: PairFilter | null; filter: PairFilter | null; set_by: string | null },
    events: {} as PairFilterEvent,
  },
  actions: {
    useDefault: assign(({ event, context }) => {
      const value = event.type === 'configured' ? filterOf(event) : context.default
      return { default: value, filter: value, set_by: null }
    }),
    useOrder: assign(({ event }) => (event.type === 'order.pair-filter' ? { filter: filterOf(event), set_by: event.by } : {})),
  },
}).createMachine({
  id: 'pair-filter',
  context: { default: null, filter: null, set_by: null },
  initial: 'default',
  on: {
    configured: { target: '.default', actions: 'useDefault' },
    'order.pair-filter': { target: '.overridden', actions: 'useOrder' },
    'order.pair-filter-reset': { target: '.default', actions: 'useDefault' },
  },
  states: { default: {}, overridden: {} },
})

const filterOf = ({ btc_token_ids, eure_token_id }: PairFilter): PairFilter => ({ btc_token_ids, eure_token_id })

/** The taker's direction, or null where the two ids are not the pair. */
export const directionOf = (filter: PairFilter, assetIn: string, assetOut: string): Direction | null => {
  if (filter.btc_token_ids.includes(assetIn) && assetOut === filter.eure_token_id) return 'btc_to_eure'
  if (assetIn === filter.eure_token_id && filter.btc_token_ids.includes(assetOut)) return 'eure_to_btc'
  return null
}
