import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { CliFailure } from './failure.ts'
import type { Sources } from './readings.ts'

/** Where everything runs. `services` is in the order in which it was given. */
export interface Whereabouts extends Sources {
  readonly services: ReadonlyMap<string, string>
}

const Service = z.union([z.url().transform((url) => ({ url })), z.object({ url: z.url() })])
const Services = z.record(z.string(), Service)
const Run = z.object({ services: Services, kafka: z.string().optional(), database: z.string().optional() })
/** `run.json` whole, or the map of its services alone. */
const Given = z.union([Run, Services.transform((services): z.output<typeof Run> => ({ services }))])

/**
 * `--url`, else UNRIP_SERVICES, else `DATA_DIR/run.json`, which `npm start` keeps while it runs. DATABASE_URL and KAFKA_BROKERS
 * stand above what the file says.
 * @throws {CliFailure} nothing says where, or what says it cannot be read
 */
export const whereabouts = async (env: NodeJS.ProcessEnv, url: string | undefined, name: string | undefined): Promise<Whereabouts> => {
  const found = url === undefined ? await located(env) : { services: { [name ?? url]: { url } } }
  return {
    services: new Map(Object.entries(found.services).map(([service, at]) => [service, at.url.replace(/\/+$/, '')])),
    ...sources(env, found),
  }
}

/** The database and the broker alone, for what needs no service. */
export const onlySources = async (env: NodeJS.ProcessEnv): Promise<Sources> => {
  if (env['DATABASE_URL'] && env['KAFKA_BROKERS']) return sources(env, {})
  return sources(env, await located(env).catch(() => ({})))
}

const sources = (env: NodeJS.ProcessEnv, found: { kafka?: string | undefined; database?: string | undefined }): Sources => ({
  // Where DATABASE_URL was given to `npm start`, the file has it without its password.
  database: env['DATABASE_URL'] || (found.database?.includes(':***@') ? undefined : found.database),
  kafka: env['KAFKA_BROKERS'] || found.kafka,
})

const located = async (env: NodeJS.ProcessEnv): Promise<z.output<typeof Run>> => {
  const given = env['UNRIP_SERVICES']
  if (given) return parsed(given, 'UNRIP_SERVICES')
  const file = join(env['DATA_DIR'] || '.data', 'run.json')
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CliFailure('NOT_RUNNING', `${file} is not there: start with npm start, or give --url or UNRIP_SERVICES`, { cause: error })
  })
  return parsed(text, file)
}

const parsed = (text: string, from: string): z.output<typeof Run> => {
  try {
    return Given.parse(JSON.parse(text))
  } catch (error) {
    throw new CliFailure(
      'UNREADABLE',
      `${from} is not the JSON of services: {"services": {"strategy-engine": {"url": "http://127.0.0.1:4105"}}}`,
      {
        cause: error,
      },
    )
  }
}
