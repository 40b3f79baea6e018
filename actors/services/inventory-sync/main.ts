import { bridgeClient } from '#actors/venues/near-intents/bridge.ts'
import { verifierClient } from '#actors/venues/near-intents/verifier.ts'
import { NEAR_INTENTS, PAIR } from '#machines/contracts/ids.ts'
import { runService } from '../run-service.ts'
import { loggedRead } from '../source-lines.ts'
import { definition } from './actors.ts'
import { Env } from './config.ts'
import { describeInventory } from './describe.ts'
import { readBalances, readPending } from './effects.ts'
import { inventoryLines } from './lines.ts'

await runService({
  name: 'inventory-sync',
  Env,
  build: (env, context) => {
    const log = context.log.child({ component: 'venue', venue: NEAR_INTENTS, pair: PAIR })
    const verifier = verifierClient({ urls: env.NEAR_RPC_URLS, contract_id: env.NEAR_INTENTS_CONTRACT_ID })
    const bridge = bridgeClient({ url: env.NEAR_INTENTS_BRIDGE_URL })
    return {
      definition: definition(env, {
        readBalances: loggedRead(readBalances(verifier), log, 'verifier'),
        readPending: loggedRead(readPending(bridge), log, 'bridge'),
      }),
      lines: inventoryLines(context.log),
      describe: (view) => describeInventory(view, env, verifier.state()),
    }
  },
})
