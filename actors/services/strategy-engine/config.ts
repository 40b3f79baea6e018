import { z } from 'zod'
import { CommonEnv } from '#actors/runtime/service-env.ts'
import type { DeskConfig } from '#machines/desk/config.ts'

const positive = z.coerce.number().int().positive()
/** `z.coerce` alone makes 0 of an empty string. */
const fromZero = z.string().trim().min(1).pipe(z.coerce.number<string>().int().nonnegative())

/** EURe: at most 18 decimals, above zero. */
export const Eure = z.string().regex(/^(?=.*[1-9])\d{1,12}(\.\d{1,18})?$/, 'a decimal number of EURe above zero')
export const ThresholdBps = z.number().int().min(1).max(9_999)

export const Env = z
  .object({
    ...CommonEnv,
    STRATEGY_THRESHOLD_BPS: positive.max(9_999).default(200).describe('gross edge that an offer must leave'),
    STRATEGY_OFFER_MARGIN_MS: positive.default(10_000).describe('offers stay good for min_deadline_ms plus this'),
    STRATEGY_MAX_NOTIONAL_EURE: Eure.default('5').describe('per quote'),
    STRATEGY_MAX_DEADLINE_MS: positive.default(120_000).describe('longer min_deadline_ms is skipped'),
    STRATEGY_PRICE_MAX_AGE_MS: positive.default(5_000).describe('older prices block decisions'),
    STRATEGY_INVENTORY_MAX_AGE_MS: positive.default(30_000).describe('older inventory blocks decisions'),
    PRICE_QUIET_MAX_MS: positive
      .default(60_000)
      .describe('a live, silent Kraken connection keeps its last price fresh no longer than this'),
    PRICE_CONFLICT_BPS: positive.default(75).describe('both fresh and further apart: no decision'),
    STRATEGY_FALLBACK_PRICE: z.enum(['deny', 'allow']).default('deny').describe('allow: decide on CoinGecko alone'),
    STRATEGY_FALLBACK_PRICE_MAX_AGE_MS: positive.default(180_000).describe('CoinGecko alone: by its last_updated_at'),
    STRATEGY_FALLBACK_EXTRA_EDGE_BPS: fromZero.default(100).describe('CoinGecko alone: added to the threshold'),
    STRICT_AUDIT: z
      .stringbool()
      .default(true)
      .describe('refuse while the history writer cannot write; npm start turns it off where every venue is simulated'),
  })
  .readonly()
export type Env = z.infer<typeof Env>

/** The environment in the desk's own words. */
export const deskConfig = (env: Env): DeskConfig => ({
  threshold_bps: env.STRATEGY_THRESHOLD_BPS,
  max_notional_eure: env.STRATEGY_MAX_NOTIONAL_EURE,
  max_deadline_ms: env.STRATEGY_MAX_DEADLINE_MS,
  price_max_age_ms: env.STRATEGY_PRICE_MAX_AGE_MS,
  price_quiet_max_ms: env.PRICE_QUIET_MAX_MS,
  inventory_max_age_ms: env.STRATEGY_INVENTORY_MAX_AGE_MS,
  price_conflict_bps: env.PRICE_CONFLICT_BPS,
  fallback_price: env.STRATEGY_FALLBACK_PRICE,
  fallback_price_max_age_ms: env.STRATEGY_FALLBACK_PRICE_MAX_AGE_MS,
  fallback_extra_edge_bps: env.STRATEGY_FALLBACK_EXTRA_EDGE_BPS,
  strict_audit: env.STRICT_AUDIT,
  offer_margin_ms: env.STRATEGY_OFFER_MARGIN_MS,
})
