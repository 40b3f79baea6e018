import { CliFailure } from '#control/cli/failure.ts'
import type { Lag, Readings, Sources } from '#control/cli/readings.ts'
import { printableUrl } from '#control/telemetry/redact.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { pastOf } from '#actors/services/history.ts'
import { BusError } from '#bus/errors.ts'
import { lag } from '#bus/lag.ts'
import { storeReads } from '#storage/reads.ts'
import type { StoreReads } from '#storage/reads.ts'
import { definitionOf } from './definitions.ts'
import { replayLane } from './replay.ts'

/**
 * What the command line reads from the database and the broker. Connects at the first read.
 * @param env  for what the services' own definitions take from it
 * @throws {CliFailure} each reading: nobody said where the database or the broker is, it does not answer, or its role sees nothing
 */
export const readings = ({ database, kafka }: Sources, env: NodeJS.ProcessEnv = {}): Readings => {
  if (database === undefined) throw new CliFailure('NO_DATABASE', 'set DATABASE_URL, or start with npm start')
  const reads = storeReads({ connectionString: database })
  const read = async <T>(query: (from: StoreReads) => Promise<T>): Promise<T> => {
    try {
      return await query(reads)
    } catch (error) {
      throw error instanceof CliFailure ? error : unreadable(error, database)
    }
  }
  /** Row security hides rows without a word: "none" must not mean "not for your eyes". */
  const services = async (from: StoreReads, wanted?: string): Promise<string[]> => {
    const seen = [...new Set((await from.lanes()).map(({ service }) => service))]
    if (seen.length === 0)
      throw new CliFailure('SEES_NOTHING', `the role of ${printableUrl(database)} sees no lane of any service: use the role unrip_operator`)
    if (wanted !== undefined && !seen.includes(wanted))
      throw new CliFailure('NO_SUCH_SERVICE', `no service ${wanted} is seen in the database; there are: ${seen.join(', ')}`)
    return wanted === undefined ? seen : [wanted]
  }
  return {
    quoteChain: (quoteId) => read((from) => from.quoteChain(quoteId)),
    deadLetters: (filter) =>
      read(async (from) => {
        await services(from, filter.service)
        return from.parked(filter)
      }),
    past: ({ service, kind, key }, wish) =>
      read(async (from) => {
        for (const name of await services(from, service)) {
          const found = await pastOf(from, await defined(name, env), { kind, key }, wish)
          if (found !== null) return found
        }
        return null
      }),
    replay: (service, { lane, from: first, to: last }, onProgress) =>
      read(async (from) => {
        await services(from, service)
        const definition = await defined(service, env)
        const all = (await from.lanes(service)).filter(({ lane: number }) => lane === undefined || number === lane)
        if (all.length === 0) throw new CliFailure('NO_SUCH_LANE', `${service} has no lane ${lane}`)
        const lanes = []
        for (const { lane: number, turn } of all) {
          const to = Math.min(last ?? turn, turn)
          const at = { service, lane: number }
          const journal = { turns: from.turns(at, first ?? 1, to), stored: from.bodies.bind(null, at) }
          lanes.push(
            await replayLane(number, journal, definition, (played) => onProgress(`${service}/${number}: ${played} turns, up to ${to}`)),
          )
        }
        return { service, lanes }
      }),
    lag: (service) => read(async (from) => lagOf(from, await services(from, service), kafka)),
    close: () => reads.close(),
  }
}

/** @throws {CliFailure} the environment is such that the service would not start */
const defined = (service: string, env: NodeJS.ProcessEnv): Promise<ServiceDefinition> =>
  definitionOf(service, env).catch((error: unknown) => {
    throw new CliFailure('BAD_ENVIRONMENT', `${service}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  })

/** By the topics that each service has entered; those of one service are asked at a time, over one connection. */
const lagOf = async (reads: StoreReads, services: readonly string[], brokers: string | undefined): Promise<Lag[]> => {
  if (brokers === undefined) throw new CliFailure('NO_BROKERS', 'set KAFKA_BROKERS, or start with npm start')
  const inputs = await reads.inputs()
  const rows: Lag[] = []
  for (const service of services) {
    const topics = [...new Set(inputs.filter((input) => input.service === service).map(({ topic }) => topic))]
    if (topics.length === 0) continue
    const found = await lag({ brokers, service, topics })
    rows.push(
      ...found.map(({ topic, partition, committed, high, lag: behind }) => ({
        service,
        topic,
        partition,
        committed,
        end: high,
        lag: behind,
      })),
    )
  }
  return rows
}

/** The driver's words say why; the URL says where, without its password. */
const unreadable = (error: unknown, database: string): CliFailure => {
  if (error instanceof BusError) return new CliFailure('NO_BROKER', error.message, { cause: error })
  return new CliFailure('NO_DATABASE', `${printableUrl(database)}: ${deepest(error)}`, { cause: error })
}

const deepest = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError && error.errors.length > 0) return deepest(error.errors[0])
  return error.cause === undefined ? error.message : deepest(error.cause)
}
