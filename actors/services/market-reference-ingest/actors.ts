import { z } from 'zod'
import type { EffectKind, ServiceDefinition } from '#actors/runtime/service.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import { feedMachine } from '#machines/feed/machine.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { priceReferenceMachine } from '#machines/price-reference/machine.ts'
import type { PriceConfig } from '#machines/price-reference/price.ts'
import type { Env } from './config.ts'

export const KRAKEN_FEED = { kind: 'feed', key: 'kraken' } as const
export const REFERENCE = { kind: 'price-reference', key: PAIR } as const

export const priceConfig = (env: Env): PriceConfig => ({
  pair: PAIR,
  poll_ms: env.COINGECKO_POLL_MS,
  quiet_max_ms: env.PRICE_QUIET_MAX_MS,
  coingecko_max_age_ms: env.STRATEGY_FALLBACK_PRICE_MAX_AGE_MS,
  conflict_bps: env.PRICE_CONFLICT_BPS,
})

export const definition = (env: Env, effects: { pollCoinGecko: EffectKind }): ServiceDefinition => ({
  name: 'market-reference-ingest',
  lanes: 'single',
  kinds: {
    [KRAKEN_FEED.kind]: { machine: feedMachine, version: 1, input: () => undefined },
    [REFERENCE.kind]: { machine: priceReferenceMachine, version: 1, input: () => undefined },
    lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane', tells: [REFERENCE] }) },
  },
  inputs: {},
  effects,
  orders: {
    refresh: {
      schema: z.object({}),
      to: REFERENCE,
      type: 'order.refresh',
      route: { method: 'POST', path: '/refresh' },
      summary: 'asks CoinGecko at once and publishes what is known',
    },
  },
  configure: [{ to: REFERENCE, type: 'configured', values: priceConfig(env) }],
  watch: [KRAKEN_FEED],
  retainEndedMs: 7 * 24 * 3_600_000,
})
