import { bridgeClient } from '#actors/venues/near-intents/bridge.ts'
import { NEAR_INTENTS, PAIR } from '#machines/contracts/ids.ts'
import { runService } from '../run-service.ts'
import { loggedRead } from '../source-lines.ts'
import { definition } from './actors.ts'
import { Env } from './config.ts'
import { describeLiquidity } from './describe.ts'
import { pollBridge, requestAddress } from './effects.ts'
import { fundingLines } from './lines.ts'

await runService({
  name: 'liquidity-manager',
  Env,
  build: (env, context) => {
    const log = context.log.child({ component: 'venue', venue: NEAR_INTENTS, pair: PAIR })
    const bridge = bridgeClient({ url: env.NEAR_INTENTS_BRIDGE_URL })
    return {
      definition: definition(env, {
        requestAddress: loggedRead(requestAddress(bridge), log, 'bridge addresses'),
        pollBridge: loggedRead(pollBridge(bridge), log, 'bridge'),
      }),
      lines: fundingLines(context.log),
      describe: (view) => describeLiquidity(view, env),
    }
  },
})
