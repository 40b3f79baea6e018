import { z } from 'zod'
import { CommonEnv } from '#actors/runtime/service-env.ts'
import { commaList, milliseconds, PairEnv, words } from '../env-shapes.ts'

export const Env = z
  .object({
    ...CommonEnv,
    ...PairEnv,
    NEAR_RPC_URLS: commaList.pipe(z.array(z.url({ protocol: /^https?$/ }))).describe('comma list, cross-checked'),
    NEAR_INTENTS_CONTRACT_ID: words.default('intents.near').describe('verifier'),
    NEAR_INTENTS_BRIDGE_URL: z.url({ protocol: /^https?$/ }).describe('POA bridge RPC'),
    NEAR_INTENTS_ACCOUNT_ID: words.optional().describe('whose inventory; without it the service is up and blocked'),
    INVENTORY_READ_MS: milliseconds.default(1_000).describe('between an answer of the verifier and the next question'),
    INVENTORY_PENDING_MS: milliseconds.default(15_000).describe('the same for the bridge'),
    STRATEGY_INVENTORY_MAX_AGE_MS: milliseconds.default(30_000).describe('older is shown as stale'),
  })
  .readonly()
export type Env = z.infer<typeof Env>
