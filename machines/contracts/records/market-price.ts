import { z } from 'zod'
import { Price } from '../money.ts'

const KrakenSide = z.object({
  bid: Price,
  ask: Price,
  /** ms: the last update of the book's best prices, by our clock */
  updated_at_ms: z.int(),
  /** ms: last confirmed, by an update or by a heartbeat on the same healthy connection */
  confirmed_at_ms: z.int(),
  healthy: z.boolean(),
})

const CoinGeckoSide = z.object({
  price: Price,
  /** ms: the venue's own `last_updated_at` */
  last_updated_at_ms: z.int(),
  received_at_ms: z.int(),
  healthy: z.boolean(),
})

/**
 * ref.market_price: EURe per BTC from every source, published at each change and at least once a second while confirmed.
 * `basis` records the assumption under which EUR prices stand for EURe.
 */
export const MarketPrice = z.looseObject({
  pair: z.string(),
  /** grows with every record of one price reference; followers keep the highest */
  version: z.int(),
  basis: z.literal('EURe=EUR 1:1'),
  kraken: KrakenSide.nullable(),
  coingecko: CoinGeckoSide.nullable(),
  /** what we would trade at when we receive BTC (bid) and when we give it (ask); null when no source is healthy */
  fair: z.object({ bid: Price, ask: Price, source: z.enum(['kraken', 'coingecko']) }).nullable(),
  degraded: z.boolean(),
})
export type MarketPrice = z.infer<typeof MarketPrice>
