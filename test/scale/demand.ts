import type { FeedRecord } from '#actors/runtime/feed-source.ts'

/** A demand as a feed publishes it, for processes that only count it. */
export const demandOf = (venue: string, quote_id: string, pair: string): FeedRecord => ({
  topic: 'norm.swap_demand',
  venue,
  payload: {
    quote_id,
    pair,
    direction: 'btc_to_eure',
    asset_in: 'btc',
    asset_out: 'eure',
    amount_in: '100',
    amount_out: null,
    fixed_side: 'in',
    ttl_ms: 1_000,
    min_deadline_ms: 1_000,
  },
  raw: {},
  observed_at: null,
  correlation_id: quote_id,
})
