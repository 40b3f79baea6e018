import { kafkaClient, BRIEF } from '#bus/client.ts'
import type { Admin } from 'kafkajs'
import { silent } from './silent.ts'

/** An admin of its own for one piece of work. */
export const withAdmin = async <T>(brokers: string, work: (admin: Admin) => Promise<T>): Promise<T> => {
  const admin = kafkaClient({ brokers, clientId: 'test-admin', log: silent }, BRIEF).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

export const makeTopics = (brokers: string, topics: readonly string[], numPartitions: number): Promise<void> =>
  withAdmin(brokers, async (admin) => {
    // False for as long as an old one of that name is still being deleted.
    const create = (): Promise<boolean> =>
      admin.createTopics({ waitForLeaders: true, topics: topics.map((topic) => ({ topic, numPartitions, replicationFactor: 1 })) })
    while (!(await create()));
    for (const topic of topics) while (!(await leads(admin, topic)));
  })

/** A new leader is known before it leads; a send in between is repeated, and a test that counts would find a duplicate. */
const leads = async (admin: Admin, topic: string): Promise<boolean> =>
  admin.fetchTopicOffsets(topic).then(
    () => true,
    () => false,
  )

/** Deletes a topic and makes it again, empty. */
export const remakeTopic = async (brokers: string, topic: string, numPartitions: number): Promise<void> => {
  await withAdmin(brokers, (admin) => admin.deleteTopics({ topics: [topic] }))
  await makeTopics(brokers, [topic], numPartitions)
}
