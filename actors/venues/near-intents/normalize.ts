import type { QuoteRequest } from './frames.ts'

/** A request for quotes in our words; amounts are base units, the one that is ours to say is null. */
export type Demand = {
  quote_id: string
  /** token id that the taker gives and we receive */
  asset_in: string
  asset_out: string
  amount_in: string | null
  amount_out: string | null
  fixed_side: 'in' | 'out'
  /** how long the auction takes answers, from its receipt */
  ttl_ms: number
  /** how long an offer has to stay good, from now */
  min_deadline_ms: number
}

/** Requesters over HTTP wait 3 s at most, so a request without `max_wait_ms` is over by then (docs.near-intents.org, 2026). */
const LONGEST_AUCTION_MS = 3_000

export const normalizeQuote = (quote: QuoteRequest): Demand => ({
  quote_id: quote.quote_id,
  asset_in: quote.defuse_asset_identifier_in,
  asset_out: quote.defuse_asset_identifier_out,
  amount_in: quote.exact_amount_in ?? null,
  amount_out: quote.exact_amount_out ?? null,
  fixed_side: quote.exact_amount_in === undefined ? 'out' : 'in',
  ttl_ms: quote.max_wait_ms ?? Math.min(quote.min_deadline_ms, LONGEST_AUCTION_MS),
  min_deadline_ms: quote.min_deadline_ms,
})
