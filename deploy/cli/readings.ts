import { CliFailure } from '#control/cli/failure.ts'
import type { Lag, Readings, Sources } from '#control/cli/readings.ts'
import { printableUrl } from '#control/telemetry/redact.ts'
import { BusError } from '#bus/errors.ts'
import { lag } from '#bus/lag.ts'
import { storeReads } from '#storage/reads.ts'
import type { StoreReads } from '#storage/reads.ts'

/**
 * What the command line reads from the database and the broker. Connects at the first read.
 * @throws {CliFailure} each reading: nobody said where the database or the broker is, it does not answer, or its role sees nothing
 */
export const readings = ({ database, kafka }: Sources): Readings => {
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
    actor: ({ service, kind, key, at }) =>
      read(async (from) => {
        for (const name of await services(from, service)) {
          const found = await from.actor(name, kind, key)
          if (found !== null) return at === undefined ? found : asOf(found, at)
        }
        return null
      }),
    lag: (service) => read(async (from) => lagOf(from, await services(from, service), kafka)),
    close: () => reads.close(),
  }
}

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

type Detail = NonNullable<Awaited<ReturnType<StoreReads['actor']>>>

/**
 * The turns up to a sequence number or a time. What the actor was then is what its last such turn made of it; its snapshot,
 * timers and effects of today would mislead and are left out.
 * @throws {CliFailure} `at` is neither, or lies before the journal that is kept
 */
const asOf = ({ service, lane, kind, key, journal }: Detail, at: string): object => {
  const turns = journal as readonly { sequence: number; at: string }[]
  const until = /^\d+$/.test(at) ? ({ sequence }: { sequence: number }) => sequence <= Number(at) : byTime(at)
  const kept = turns.filter(until)
  if (kept.length === 0) throw new CliFailure('BEFORE_JOURNAL', `the journal kept of ${kind}/${key} has no turn up to ${at}`)
  return { service, lane, kind, key, at, journal: kept }
}

const byTime = (at: string): ((turn: { at: string }) => boolean) => {
  const ms = Date.parse(at)
  if (Number.isNaN(ms)) throw new CliFailure('USAGE', `--at wants a sequence number or a time such as 2026-11-21T10:00:00Z, not ${at}`)
  return (turn) => Date.parse(turn.at) <= ms
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
