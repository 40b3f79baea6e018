import { runService } from '../run-service.ts'
import { definition } from './actors.ts'
import { Env } from './config.ts'
import { describeAlerts } from './describe.ts'
import { alertLines } from './lines.ts'

await runService({
  name: 'alert-evaluator',
  Env,
  build: (env, { log }) => ({ definition: definition(env), lines: alertLines(log), describe: describeAlerts }),
})
