import { z } from 'zod'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { feedMachine } from '#machines/feed/machine.ts'
import { pairFilterMachine } from '#machines/feed/pair-filter.ts'
import type { Env } from './config.ts'

export const FEED = { kind: 'feed', key: 'near-intents' } as const
export const PAIR_FILTER = { kind: 'pair-filter', key: 'pair-filter' } as const
export const LIFECYCLE = { kind: 'lifecycle', key: 'lane' } as const

const TokenId = z.string().trim().min(1).max(500)

export const definition = (env: Env): ServiceDefinition => ({
  name: 'near-intents-ingest',
  lanes: 'single',
  kinds: {
    [FEED.kind]: { machine: feedMachine, version: 1, input: () => undefined },
    [PAIR_FILTER.kind]: { machine: pairFilterMachine, version: 1, input: () => undefined },
  },
  inputs: {},
  effects: {},
  orders: {
    'pair-filter': {
      schema: z.object({ btc_token_ids: z.array(TokenId).min(1).max(20), eure_token_id: TokenId }),
      to: PAIR_FILTER,
      type: 'order.pair-filter',
      route: { method: 'PUT', path: '/pair-filter' },
      summary: 'which token ids are the pair, until it is reset or the environment says something else',
    },
    'pair-filter-reset': {
      schema: z.object({}),
      to: PAIR_FILTER,
      type: 'order.pair-filter-reset',
      route: { method: 'POST', path: '/pair-filter/reset' },
      summary: 'back to what the environment says',
    },
  },
  configure: [
    { to: PAIR_FILTER, type: 'configured', values: { btc_token_ids: env.PAIR_BTC_TOKEN_IDS, eure_token_id: env.PAIR_EURE_TOKEN_ID } },
  ],
  watch: [FEED, LIFECYCLE],
  retainEndedMs: 7 * 24 * 3_600_000,
})
