import { bridgeClient } from '#actors/venues/near-intents/bridge.ts'
import { verifierClient } from '#actors/venues/near-intents/verifier.ts'
import { runService } from '../run-service.ts'
import { definition } from './actors.ts'
import { Env } from './config.ts'
import { describeInventory } from './describe.ts'
import { readBalances, readPending } from './effects.ts'

await runService({
  name: 'inventory-sync',
  Env,
  build: (env) => {
    const verifier = verifierClient({ urls: env.NEAR_RPC_URLS, contract_id: env.NEAR_INTENTS_CONTRACT_ID })
    const bridge = bridgeClient({ url: env.NEAR_INTENTS_BRIDGE_URL })
    return {
      definition: definition(env, { readBalances: readBalances(verifier), readPending: readPending(bridge) }),
      describe: (view) => describeInventory(view, env, verifier.state()),
    }
  },
})
