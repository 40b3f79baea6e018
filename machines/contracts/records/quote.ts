import { z } from 'zod'
import { Direction, Units } from '../money.ts'

/**
 * A venue's id of a request. It becomes a key of ours, and PostgreSQL holds neither NUL nor half of a surrogate pair: two ids
 * that differ in such a half only would be one row there, and a batch with both could never be committed.
 */
export const QuoteId = z
  .string()
  .min(1)
  .max(200)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'not a text that can be stored')

/** raw.near_intents.quote: the frame as it came. */
export const RawQuote = z.looseObject({ message: z.record(z.string(), z.unknown()), quote_id: z.string().nullable() })
export type RawQuote = z.infer<typeof RawQuote>

/**
 * norm.swap_demand: what a taker asks for. Exactly one amount is fixed on the solver bus and the other null; other
 * venues may give both. `ttl_ms` is how long the auction takes answers, `min_deadline_ms` how long an answer must stay good.
 */
export const SwapDemand = z.looseObject({
  quote_id: QuoteId,
  pair: z.string(),
  direction: Direction,
  asset_in: z.string().min(1),
  asset_out: z.string().min(1),
  amount_in: Units.nullable(),
  amount_out: Units.nullable(),
  fixed_side: z.enum(['in', 'out']),
  ttl_ms: z.int().nonnegative(),
  min_deadline_ms: z.int().nonnegative(),
})
export type SwapDemand = z.infer<typeof SwapDemand>
