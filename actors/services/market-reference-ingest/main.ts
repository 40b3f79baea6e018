import { systemClock } from '#actors/runtime/system-clock.ts'
import { runService } from '../run-service.ts'
import { Env } from './config.ts'
import { reference } from './feed.ts'

await runService({ name: 'market-reference-ingest', Env, build: (env, context) => reference(env, context, systemClock) })
