import { runService } from '../run-service.ts'
import { definition } from './actors.ts'
import { Env } from './config.ts'
import { describeHistory } from './describe.ts'
import { learnLane } from './effects.ts'

await runService({ name: 'history-writer', Env, build: () => ({ definition: definition({ learnLane }), describe: describeHistory }) })
