/** Broker, database and pretend venues: the local ones, or those that the environment names. */
import { Client } from 'pg'
import { startBroker } from './broker.ts'
import { isEnding, LocalStackFault } from './child.ts'
import type { Exit } from './child.ts'
import { quietKafka } from './kafka-client.ts'
import type { StartEnv } from './options.ts'
import { startPostgres } from './postgres.ts'
import type { Screen } from './screen.ts'
import { simulatedVenues, startSimulators } from './simulators.ts'
import type { Simulators } from './simulators.ts'

export type Infrastructure = {
  readonly brokers: string
  readonly adminUrl: string
  /** undefined where every venue is real */
  readonly simulators: Simulators | undefined
  stop(): Promise<void>
}

type Part = { readonly address: string; stop(): Promise<void> }

/** All three at once. @throws {LocalStackFault} the first that failed, when all have ended their start */
export const startInfrastructure = async (root: string, env: StartEnv, screen: Screen): Promise<Infrastructure> => {
  const [broker, database, simulators] = await Promise.allSettled([
    env.KAFKA_BROKERS === undefined ? localBroker(env, screen) : givenBroker(env.KAFKA_BROKERS),
    env.DATABASE_URL === undefined ? localDatabase(env, screen) : givenDatabase(env.DATABASE_URL),
    simulatedVenues(env).length === 0 ? undefined : startSimulators(root, env),
  ])
  if (broker.status === 'rejected') throw broker.reason
  if (database.status === 'rejected') throw database.reason
  if (simulators.status === 'rejected') throw simulators.reason
  return {
    brokers: broker.value.address,
    adminUrl: database.value.address,
    simulators: simulators.value,
    stop: async () => {
      await simulators.value?.stop()
      await Promise.all([database.value.stop(), broker.value.stop()])
    },
  }
}

const localBroker = async (env: StartEnv, screen: Screen): Promise<Part> => {
  const broker = await startBroker({ dataDir: env.DATA_DIR, log: screen.note })
  broker.onDeath(bringBack('the Kafka broker', screen, () => broker.restart()))
  return { address: broker.brokers, stop: () => broker.stop() }
}

const localDatabase = async (env: StartEnv, screen: Screen): Promise<Part> => {
  const postgres = await startPostgres({ dataDir: env.DATA_DIR, log: screen.note })
  postgres.onDeath(bringBack('PostgreSQL', screen, () => postgres.restart()))
  return { address: postgres.adminUrl, stop: () => postgres.stop() }
}

/** The services wait for both of them by themselves. */
const bringBack =
  (name: string, screen: Screen, restart: () => Promise<void>) =>
  ({ code, signal }: Exit): void => {
    if (isEnding()) return
    screen.note(`${name} died (${signal ?? `exit code ${code}`}), starting it again`)
    restart().then(
      () => screen.note(`${name} is back`),
      (error: unknown) => screen.fault(`${name} does not come back: ${error instanceof Error ? error.message : String(error)}`),
    )
  }

const nothingToStop = (): Promise<void> => Promise.resolve()

const givenBroker = async (brokers: string): Promise<Part> => {
  const admin = quietKafka(brokers, { retries: 1 }).admin()
  try {
    await admin.connect()
    await admin.describeCluster()
  } catch (cause) {
    throw new LocalStackFault(
      `no Kafka broker answers at KAFKA_BROKERS=${brokers} (${reasonOf(cause)}): start it, mend the variable, or unset it for a local broker`,
      { cause },
    )
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
  return { address: brokers, stop: nothingToStop }
}

const givenDatabase = async (url: string): Promise<Part> => {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined) // told by the query below
  try {
    await client.connect()
    await client.query('SELECT 1')
  } catch (cause) {
    const { host } = new URL(url)
    throw new LocalStackFault(
      `PostgreSQL at ${host} (DATABASE_URL) does not let us in (${reasonOf(cause)}): start it, mend the variable, or unset it for a local database`,
      { cause },
    )
  } finally {
    await client.end().catch(() => undefined)
  }
  return { address: url, stop: nothingToStop }
}

/** Node's AggregateError of a refused connection has an empty message. */
const reasonOf = (cause: unknown): string => {
  if (cause instanceof AggregateError) return reasonOf(cause.errors[0])
  return cause instanceof Error ? cause.message.split('\n', 1)[0] || cause.name : String(cause)
}
