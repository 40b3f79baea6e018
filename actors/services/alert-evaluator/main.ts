import { runService } from '../run-service.ts'
import { definition } from './actors.ts'
import { Env } from './config.ts'
import { describeAlerts } from './describe.ts'

await runService({ name: 'alert-evaluator', Env, build: (env) => ({ definition: definition(env), describe: describeAlerts }) })
