import type { FeedRecord } from '#actors/runtime/feed-source.ts'
import { normalizeQuote } from '#actors/venues/near-intents/normalize.ts'
import type { QuoteFrame } from '#actors/venues/near-intents/relay.ts'
import { NEAR_INTENTS, PAIR } from '#machines/contracts/ids.ts'
import type { SwapDemand } from '#machines/contracts/records/quote.ts'
import type { PairFilter } from '#machines/feed/pair-filter.ts'
import { directionOf } from '#machines/feed/pair-filter.ts'

/** This service has no effects: what a frame becomes is published at once, without a commit in its path. */
export interface Reading {
  readonly is: 'on pair' | 'off pair'
  /** the raw frame first, then what it asks for, caused by it */
  readonly records: readonly FeedRecord[]
}

/** A quote frame as records: the raw one always, a demand where both tokens are the pair's. */
export const readQuote = ({ data, raw, receivedAtMs }: QuoteFrame, filter: PairFilter): Reading => {
  const observed_at = new Date(receivedAtMs).toISOString()
  const message = JSON.parse(raw) as object
  const kept: FeedRecord = {
    topic: 'raw.near_intents.quote',
    venue: NEAR_INTENTS,
    payload: { message, quote_id: data.quote_id },
    raw: message,
    observed_at,
    correlation_id: data.quote_id,
  }
  const demand = normalizeQuote(data)
  const direction = directionOf(filter, demand.asset_in, demand.asset_out)
  if (direction === null) return { is: 'off pair', records: [kept] }
  const payload: SwapDemand = { ...demand, pair: PAIR, direction }
  return { is: 'on pair', records: [kept, { ...kept, topic: 'norm.swap_demand', payload, causedBy: 0 }] }
}

/** A frame that nobody understands, kept as the text that it was (redacted) and why. */
export const readUnknown = (text: string, reason: string, receivedAtMs: number): FeedRecord => ({
  topic: 'raw.near_intents.quote',
  venue: NEAR_INTENTS,
  payload: { message: { unreadable: text, reason }, quote_id: null },
  raw: { text },
  observed_at: new Date(receivedAtMs).toISOString(),
  correlation_id: null,
})
