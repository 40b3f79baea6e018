import type { MarketPrice } from '../contracts/records/market-price.ts'
import { referenceRate } from '../pricing/rates.ts'

/** What configures a price reference; ms where nothing else is said. */
export interface PriceConfig {
  readonly pair: string
  readonly poll_ms: number
  /** a price without any change is trusted no longer, however alive the connection */
  readonly quiet_max_ms: number
  /** by CoinGecko's own `last_updated_at` */
  readonly coingecko_max_age_ms: number
  readonly conflict_bps: number
}

export interface Kraken {
  readonly up: boolean
  readonly bid: string
  readonly ask: string
  readonly updated_at_ms: number
  readonly confirmed_at_ms: number
}

export interface CoinGecko {
  readonly price: string
  readonly last_updated_at_ms: number
  readonly received_at_ms: number
}

export interface Sources {
  readonly kraken: Kraken | null
  readonly coingecko: CoinGecko | null
}

/** A live connection has a heartbeat a second; without any for this long its price is only a memory. */
const CONFIRMED_MAX_MS = 5_000
/** CoinGecko's clock may be this far ahead of ours. */
const AHEAD_MAX_MS = 5_000

const isKrakenHealthy = (kraken: Kraken, config: PriceConfig, now: number): boolean =>
  kraken.up && now - kraken.confirmed_at_ms <= CONFIRMED_MAX_MS && now - kraken.updated_at_ms <= config.quiet_max_ms

const isCoinGeckoHealthy = ({ last_updated_at_ms }: CoinGecko, config: PriceConfig, now: number): boolean =>
  last_updated_at_ms <= now + AHEAD_MAX_MS && now - last_updated_at_ms <= config.coingecko_max_age_ms

/**
 * The record of what both sources say at `now`. The fair price is Kraken's two sides; CoinGecko's one price stands in,
 * degraded, and whether that may be traded on is the strategy's policy.
 */
export const marketPrice = ({ kraken, coingecko }: Sources, config: PriceConfig, version: number, now: number): MarketPrice => {
  const krakenHealthy = kraken !== null && isKrakenHealthy(kraken, config, now)
  const coingeckoHealthy = coingecko !== null && isCoinGeckoHealthy(coingecko, config, now)
  const fair: MarketPrice['fair'] = krakenHealthy
    ? { bid: kraken.bid, ask: kraken.ask, source: 'kraken' }
    : coingeckoHealthy
      ? { bid: coingecko.price, ask: coingecko.price, source: 'coingecko' }
      : null
  const apart = krakenHealthy && coingeckoHealthy ? divergenceBps(kraken, coingecko.price) : null
  return {
    pair: config.pair,
    version,
    basis: 'EURe=EUR 1:1',
    kraken: kraken && {
      bid: kraken.bid,
      ask: kraken.ask,
      updated_at_ms: kraken.updated_at_ms,
      confirmed_at_ms: kraken.confirmed_at_ms,
      healthy: krakenHealthy,
    },
    coingecko: coingecko && { ...coingecko, healthy: coingeckoHealthy },
    fair,
    degraded: !krakenHealthy,
    conflict: apart !== null && apart > config.conflict_bps,
    divergence_bps: apart,
  }
}

/** How far CoinGecko is from the middle of Kraken's two sides, whole basis points of that middle, rounded up. */
const divergenceBps = ({ bid, ask }: Kraken, price: string): number => {
  const [low, high, other] = [referenceRate(bid), referenceRate(ask), referenceRate(price)]
  const den = low.den * high.den
  const twiceMiddle = (low.num * high.den + high.num * low.den) * other.den
  const difference = 2n * other.num * den - twiceMiddle
  const scaled = (difference < 0n ? -difference : difference) * 10_000n
  return Number((scaled + twiceMiddle - 1n) / twiceMiddle)
}
