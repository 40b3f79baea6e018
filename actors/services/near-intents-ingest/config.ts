import { z } from 'zod'
import { CommonEnv } from '#actors/runtime/service-env.ts'
import { PairEnv, words } from '../env-shapes.ts'

export const Env = z
  .object({
    ...CommonEnv,
    ...PairEnv,
    NEAR_INTENTS_RELAY_WS_URL: z.url({ protocol: /^wss?$/ }).describe("the solver bus's websocket"),
    NEAR_INTENTS_PARTNER_JWT: words.optional().describe('bearer token of the handshake; never logged'),
  })
  .readonly()
export type Env = z.infer<typeof Env>
