import { z } from 'zod'
import { CommonEnv } from '#actors/runtime/service-env.ts'
import { milliseconds, PairEnv, words } from '../env-shapes.ts'

export const Env = z
  .object({
    ...CommonEnv,
    ...PairEnv,
    NEAR_INTENTS_BRIDGE_URL: z.url({ protocol: /^https?$/ }).describe('POA bridge RPC'),
    NEAR_INTENTS_ACCOUNT_ID: words.optional().describe('whose treasury; without it the service is up and blocked'),
    LIQUIDITY_POLL_MS: milliseconds
      .default(15_000)
      .describe("between an answer of the bridge and the next question about a handle's transfers"),
  })
  .readonly()
export type Env = z.infer<typeof Env>
