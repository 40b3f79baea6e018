import { runService } from '../run-service.ts'
import { Env } from './config.ts'
import { build } from './service.ts'

await runService({ name: 'trade-executor', Env, build })
