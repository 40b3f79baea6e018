import { BRIEF, kafkaClient } from './client.ts'
import { asBusError } from './errors.ts'
import type { Log } from './shapes.ts'

export interface LagRow {
  readonly topic: string
  readonly partition: number
  /** the next offset that the service will take; null: it has never committed one */
  readonly committed: number | null
  readonly high: number
  /** messages between committed and the end; the whole log where nothing was committed */
  readonly lag: number
}

export interface LagOptions {
  /** comma list of `host:port` */
  readonly brokers: string
  readonly service: string
  readonly topics: readonly string[]
  readonly log?: Log
}

/**
 * How far a service is behind on these topics, by topic and partition. Offsets are committed once a second, and only after their
 * transaction: lag 0 means that all of it is durable.
 * @throws {BusError} `no_such_partition` a topic does not exist; `unavailable` no broker answers
 */
export const lag = async ({ brokers, service, topics, log = quiet }: LagOptions): Promise<LagRow[]> => {
  const admin = kafkaClient({ brokers, clientId: 'unrip-lag', log }, BRIEF).admin()
  try {
    await admin.connect()
    const commits = new Map<string, number>()
    for (const { topic, partitions } of await admin.fetchOffsets({ groupId: service, topics: [...topics] }))
      for (const { partition, offset } of partitions) commits.set(`${topic}/${partition}`, Number(offset))
    const rows = await Promise.all(
      topics.map(async (topic) =>
        (await admin.fetchTopicOffsets(topic)).map(({ partition, high, low }): LagRow => {
          const known = commits.get(`${topic}/${partition}`) ?? -1
          const committed = known < 0 ? null : known
          return { topic, partition, committed, high: Number(high), lag: Math.max(0, Number(high) - (committed ?? Number(low))) }
        }),
      ),
    )
    return rows.flat().toSorted((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition)
  } catch (error) {
    throw asBusError(error, `lag of ${service} on ${brokers}`)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
