import { runService } from '../run-service.ts'
import { definition } from './actors.ts'
import { Env } from './config.ts'
import { describe } from './describe.ts'

await runService({
  name: 'strategy-engine',
  Env,
  build: (env, { nowMs }) => ({ definition: definition(env, { nowMs }), describe: (view) => describe(env, view) }),
})
