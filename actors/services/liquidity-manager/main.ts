import { bridgeClient } from '#actors/venues/near-intents/bridge.ts'
import { runService } from '../run-service.ts'
import { definition } from './actors.ts'
import { Env } from './config.ts'
import { describeLiquidity } from './describe.ts'
import { pollBridge, requestAddress } from './effects.ts'

await runService({
  name: 'liquidity-manager',
  Env,
  build: (env) => {
    const bridge = bridgeClient({ url: env.NEAR_INTENTS_BRIDGE_URL })
    return {
      definition: definition(env, { requestAddress: requestAddress(bridge), pollBridge: pollBridge(bridge) }),
      describe: (view) => describeLiquidity(view, env),
    }
  },
})
