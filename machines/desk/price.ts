import type { Direction } from '../contracts/money.ts'
import type { MarketPrice } from '../contracts/records/market-price.ts'
import type { DecisionReason } from '../contracts/records/trade.ts'
import { referenceRate } from '../pricing/rates.ts'
import type { DeskConfig } from './config.ts'

/** The price that a decision leans on, and what speaks against it. */
export interface PriceView {
  readonly reasons: readonly DecisionReason[]
  /** EURe per BTC of the side that we would trade at; null where no source may be used */
  readonly rate: string | null
  readonly source: 'kraken' | 'coingecko' | null
  /** since the venue last confirmed the price that is used, or the best that there is; null without any */
  readonly freshness_ms: number | null
  /** on top of the threshold */
  readonly extra_bps: number
}

/**
 * Kraken where it is fresh; else CoinGecko, if the policy allows it and its price is fresh.
 * A Kraken price that is there and not fresh is `PRICE_STALE`; `FALLBACK_DENIED` says that CoinGecko could have stood in.
 * @see surface.md, Rates and Environment
 */
export const viewPrice = (price: MarketPrice | null, direction: Direction, config: DeskConfig, now: number): PriceView => {
  const kraken = price?.kraken ?? null
  const coingecko = price?.coingecko ?? null
  const age = (ms: number): number => Math.max(0, now - ms)
  const krakenIsFresh =
    kraken !== null &&
    kraken.healthy &&
    age(kraken.confirmed_at_ms) <= config.price_max_age_ms &&
    age(kraken.updated_at_ms) <= config.price_quiet_max_ms
  const coingeckoIsFresh = coingecko !== null && coingecko.healthy && age(coingecko.last_updated_at_ms) <= config.fallback_price_max_age_ms

  if (kraken !== null && krakenIsFresh) {
    const conflicts = coingeckoIsFresh && areApart(kraken, coingecko.price, config.price_conflict_bps)
    return {
      reasons: conflicts ? ['PRICE_CONFLICT'] : [],
      rate: direction === 'btc_to_eure' ? kraken.bid : kraken.ask,
      source: 'kraken',
      freshness_ms: age(kraken.confirmed_at_ms),
      extra_bps: 0,
    }
  }
  if (coingecko !== null && coingeckoIsFresh && config.fallback_price === 'allow')
    return {
      reasons: [],
      rate: coingecko.price,
      source: 'coingecko',
      freshness_ms: age(coingecko.last_updated_at_ms),
      extra_bps: config.fallback_extra_edge_bps,
    }
  const best = kraken?.confirmed_at_ms ?? coingecko?.last_updated_at_ms
  return {
    reasons: without(kraken, coingecko, coingeckoIsFresh),
    rate: null,
    source: null,
    freshness_ms: best === undefined ? null : age(best),
    extra_bps: 0,
  }
}

const without = (kraken: MarketPrice['kraken'], coingecko: MarketPrice['coingecko'], coingeckoIsFresh: boolean): DecisionReason[] => {
  if (kraken === null && coingecko === null) return ['PRICE_MISSING']
  if (!coingeckoIsFresh) return ['PRICE_STALE']
  return kraken === null ? ['FALLBACK_DENIED'] : ['PRICE_STALE', 'FALLBACK_DENIED']
}

/** Whether CoinGecko's price is further than `bps` from the middle of Kraken's two, of that middle. */
const areApart = ({ bid, ask }: { bid: string; ask: string }, price: string, bps: number): boolean => {
  const [low, high, other] = [referenceRate(bid), referenceRate(ask), referenceRate(price)]
  const twiceMiddle = low.num * high.den + high.num * low.den
  const den = low.den * high.den
  const apart = 2n * other.num * den - twiceMiddle * other.den
  return (apart < 0n ? -apart : apart) * 10_000n > twiceMiddle * other.den * BigInt(bps)
}
