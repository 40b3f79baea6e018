import { AssignerProtocol } from 'kafkajs'
import type { Cluster, PartitionAssigner } from 'kafkajs'

/**
 * Gives everything to every member; a private group has one. The factory is handed kafkajs's cluster, through which the broker is asked on
 * the side: the only way to it that its public types know.
 */
export const allAssigner = (): { assigner: PartitionAssigner; cluster(): Cluster } => {
  const { MemberMetadata, MemberAssignment } = AssignerProtocol
  const handed: Cluster[] = []
  const assigner: PartitionAssigner = ({ cluster }) => {
    handed.push(cluster)
    const assignment = (topics: string[]): Record<string, number[]> =>
      Object.fromEntries(topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)]))
    return {
      name: 'all',
      version: 1,
      protocol: ({ topics }) => ({ name: 'all', metadata: MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }) }),
      assign: async ({ members, topics }) =>
        members.map(({ memberId }) => ({
          memberId,
          memberAssignment: MemberAssignment.encode({ version: 1, assignment: assignment(topics), userData: Buffer.alloc(0) }),
        })),
    }
  }
  return {
    assigner,
    cluster: () => {
      const [cluster] = handed
      if (cluster === undefined) throw new Error('kafkajs made a consumer without asking its assigner')
      return cluster
    },
  }
}
