import type { Cluster } from 'kafkajs'
import type { PartitionEnds } from './shapes.ts'

export interface Place {
  readonly topic: string
  readonly partition: number
}

export interface Offset extends Place {
  readonly offset: number
}

/** What a reader asks the brokers on the side, over its consumer's own connections. Any call may fail; nothing is changed by a failure. */
export interface BrokerView {
  /** Topics that do not exist are absent. */
  ends(places: readonly Place[]): Promise<(PartitionEnds & Place)[]>
  /** The first offset at or after `sinceMs`, else the end, of every partition of these topics. */
  offsetsSince(topics: readonly string[], sinceMs: number): Promise<Offset[]>
  /** null: nothing committed under the service's name */
  committed(places: readonly Place[]): Promise<(Place & { offset: number | null })[]>
  commit(offsets: readonly Offset[]): Promise<void>
  refresh(): Promise<void>
}

/** Commits go to the group named for the service, which never has members: lag tools read it, nobody else (Kafka's "simple" group). */
export const brokerView = (cluster: Cluster, service: string): BrokerView => {
  const listOffsets = async (
    topics: Topic[],
    where: { fromBeginning: boolean } | { fromTimestamp: number },
  ): Promise<Map<string, number>> => {
    const answer = await cluster.fetchTopicsOffset(topics.map((topic) => ({ ...topic, ...where })))
    return new Map(
      answer.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, offset }) => [`${topic}/${partition}`, Number(offset)] as const),
      ),
    )
  }
  const committed = async (places: readonly Place[]): Promise<(Place & { offset: number | null })[]> => {
    if (places.length === 0) return []
    const coordinator = await cluster.findGroupCoordinator({ groupId: service })
    const topics = byTopic(places).map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({ partition, offset: '-1' })),
    }))
    const { responses } = await coordinator.offsetFetch({ groupId: service, topics })
    return responses.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) < 0 ? null : Number(offset) })),
    )
  }
  return {
    committed,
    ends: async (places) => {
      await cluster.refreshMetadataIfNecessary()
      const known = places.filter(({ topic, partition }) =>
        cluster.findTopicPartitionMetadata(topic).some((at) => at.partitionId === partition),
      )
      if (known.length === 0) return []
      const topics = byTopic(known)
      const [commits, low] = await Promise.all([committed(known), listOffsets(topics, { fromBeginning: true })])
      const high = await listOffsets(topics, { fromBeginning: false })
      const commitOf = new Map(commits.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]))
      return known.flatMap(({ topic, partition }) => {
        const name = `${topic}/${partition}`
        const [from, to] = [low.get(name), high.get(name)]
        return from === undefined || to === undefined
          ? []
          : [{ topic, partition, low: from, high: to, committed: commitOf.get(name) ?? null }]
      })
    },
    offsetsSince: async (names, sinceMs) => {
      const topics = names.map((topic) => ({
        topic,
        partitions: cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => ({ partition: partitionId })),
      }))
      if (topics.length === 0) return []
      const [end, since] = await Promise.all([
        listOffsets(topics, { fromBeginning: false }),
        listOffsets(topics, { fromTimestamp: Math.floor(sinceMs) }),
      ])
      return topics.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition }) => {
          const found = since.get(`${topic}/${partition}`) ?? -1 // -1: nothing that late
          return { topic, partition, offset: found >= 0 ? found : (end.get(`${topic}/${partition}`) ?? 0) }
        }),
      )
    },
    commit: async (offsets) => {
      const coordinator = await cluster.findGroupCoordinator({ groupId: service })
      const topics = new Map<string, { partition: number; offset: string }[]>()
      for (const { topic, partition, offset } of offsets) {
        const partitions = topics.get(topic) ?? []
        topics.set(topic, partitions)
        partitions.push({ partition, offset: String(offset) })
      }
      await coordinator.offsetCommit({
        groupId: service,
        groupGenerationId: -1,
        memberId: '',
        topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
      })
    },
    refresh: () => cluster.refreshMetadata(),
  }
}

interface Topic {
  readonly topic: string
  readonly partitions: { partition: number }[]
}

const byTopic = (places: readonly Place[]): Topic[] => {
  const topics = new Map<string, { partition: number }[]>()
  for (const { topic, partition } of places) {
    const partitions = topics.get(topic) ?? []
    topics.set(topic, partitions)
    partitions.push({ partition })
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}
