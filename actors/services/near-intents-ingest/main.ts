import { systemClock } from '#actors/runtime/system-clock.ts'
import { runService } from '../run-service.ts'
import { Env } from './config.ts'
import { ingest } from './feed.ts'

await runService({ name: 'near-intents-ingest', Env, build: (env, context) => ingest(env, context, systemClock) })
