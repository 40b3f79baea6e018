import { z } from 'zod'
import { CommonEnv } from '#actors/runtime/service-env.ts'
import { milliseconds, words } from '../env-shapes.ts'

export const Env = z
  .object({
    ...CommonEnv,
    KRAKEN_WS_URL: z.url({ protocol: /^wss?$/ }).describe('public v2 stream'),
    COINGECKO_API_URL: z.url({ protocol: /^https?$/ }).describe('up to and without /simple/price'),
    COINGECKO_DEMO_API_KEY: words.optional().describe('never logged'),
    COINGECKO_PRO_API_KEY: words.optional().describe('never logged'),
    COINGECKO_POLL_MS: milliseconds.default(60_000).describe('between two polls; CoinGecko caches for 20 s (paid) to 60 s'),
    PRICE_QUIET_MAX_MS: milliseconds
      .default(60_000)
      .describe('a live, silent Kraken connection keeps its last price fresh no longer than this'),
    PRICE_CONFLICT_BPS: z.coerce.number().int().positive().default(75).describe('both fresh and further apart: a conflict'),
    STRATEGY_FALLBACK_PRICE_MAX_AGE_MS: milliseconds.default(180_000).describe("of CoinGecko's price, by its last_updated_at"),
  })
  .readonly()
export type Env = z.infer<typeof Env>
