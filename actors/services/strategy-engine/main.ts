import { runService } from '../run-service.ts'
import { definition } from './actors.ts'
import { Env } from './config.ts'
import { describe } from './describe.ts'
import { decisionLines } from './lines.ts'

await runService({
  name: 'strategy-engine',
  Env,
  build: (env, { nowMs, log }) => ({
    definition: definition(env, { nowMs }),
    lines: decisionLines(log),
    describe: (view) => describe(env, view),
  }),
})
