import { z } from 'zod'
import { CommonEnv } from '#actors/runtime/service-env.ts'

const words = z.string().trim().min(1)
const positive = z.coerce.number().int().positive()
const list = words.transform((text) => text.split(',').map((each) => each.trim()))
const urls = words
  .transform((text) => text.split(',').map((each) => each.trim()))
  .pipe(z.array(z.url({ protocol: /^https?$/ })).min(1, 'expected a comma list of http(s) URLs'))

/** Without account or key it stays up and observable, and says in `/state` which variable is missing. */
export const Env = z
  .object({
    ...CommonEnv,
    NEAR_INTENTS_RELAY_WS_URL: z.url({ protocol: /^wss?$/ }).describe('solver bus; npm start passes the simulator'),
    NEAR_INTENTS_PARTNER_JWT: words.optional().describe("bearer token of the solver bus's handshake; never logged"),
    NEAR_RPC_URLS: urls.describe('comma list of NEAR nodes, tried in order; npm start passes the simulator'),
    NEAR_INTENTS_CONTRACT_ID: words.default('intents.near').describe('verifier'),
    NEAR_INTENTS_ACCOUNT_ID: words.optional().describe('account inside the verifier'),
    NEAR_INTENTS_SIGNING_KEY: words.optional().describe('ed25519:…, seed or seed and public key; never logged'),
    NEAR_INTENTS_SIGNING_KEY_FILE: words.optional().describe('a file that holds it instead'),
    PAIR_BTC_TOKEN_IDS: list
      .default(['nep141:btc.omft.near', 'nep141:nbtc.bridge.near'])
      .describe('comma list of every token id that is BTC'),
    PAIR_EURE_TOKEN_ID: words
      .default('nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near')
      .describe('the token id of EURe'),
    EXECUTOR_ANSWER_TIMEOUT_MS: positive.default(5_000).describe('silence longer than this is UNCERTAIN'),
    EXECUTOR_NONCE_KEEP_MS: positive.default(259_200_000).describe("how long after the offer's deadline its nonce stays readable on chain"),
    EXECUTOR_STATE_DIR: words
      .optional()
      .describe('a directory of this deployment; where set, a file there refuses arming over a database that was put back or exchanged'),
    STRICT_AUDIT: z
      .stringbool()
      .default(true)
      .describe('refuse while the history writer cannot write; npm start turns it off where every venue is simulated'),
  })
  .readonly()
export type Env = z.infer<typeof Env>
