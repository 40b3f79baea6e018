import { topicNames, topics } from '#machines/contracts/topics.ts'
import { BRIEF, kafkaClient } from './client.ts'
import { BusError, asBusError } from './errors.ts'
import type { ClientOptions } from './client.ts'

export interface SetUpOptions extends Omit<ClientOptions, 'clientId'> {
  /** partitions of every topic, the fleet's LANES */
  readonly lanes: number
}

/**
 * Creates what is missing of the topics in machines/contracts, each with `lanes` partitions and its retention; three replicas, two of
 * them in step, where there are three brokers. May run any number of times, at once too. An existing topic keeps its settings.
 * @throws {BusError} `wrong_partitions` a topic has another number of partitions; `unavailable` no broker answers
 */
export const createTopics = async ({ lanes, ...client }: SetUpOptions): Promise<void> => {
  const admin = kafkaClient({ ...client, clientId: 'unrip-set-up' }, BRIEF).admin()
  try {
    await admin.connect()
    const existing = new Set(await admin.listTopics())
    const missing = topicNames.filter((name) => !existing.has(name))
    if (missing.length > 0) {
      const { brokers } = await admin.describeCluster()
      const replicated = brokers.length >= 3
      await admin.createTopics({
        waitForLeaders: true,
        timeout: 15_000,
        topics: missing.map((topic) => ({
          topic,
          numPartitions: lanes,
          replicationFactor: replicated ? 3 : 1,
          configEntries: [
            { name: 'cleanup.policy', value: 'delete' },
            { name: 'retention.ms', value: String(topics[topic].retentionMs) },
            { name: 'min.insync.replicas', value: replicated ? '2' : '1' },
          ],
        })),
      })
      client.log.info(
        { event: 'kafka.topics_created', topics: missing, partitions: lanes },
        `created ${missing.length} topics of ${lanes} partitions`,
      )
    }
    // Also what was just created: another set-up with another number may have been faster.
    const found = await admin.fetchTopicMetadata({ topics: topicNames })
    for (const { name, partitions } of found.topics)
      if (partitions.length !== lanes)
        throw new BusError('wrong_partitions', `topic ${name} has ${partitions.length} partitions and this fleet has ${lanes} lanes`)
  } catch (error) {
    throw asBusError(error, `Kafka topics on ${client.brokers}`)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
