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

export const makeTopics = (brokers: string, topics: readonly string[], numPartitions: number): Promise<boolean> =>
  withAdmin(brokers, (admin) =>
    admin.createTopics({ waitForLeaders: true, topics: topics.map((topic) => ({ topic, numPartitions, replicationFactor: 1 })) }),
  )

/** Deletes a topic and makes it again, empty. */
export const remakeTopic = (brokers: string, topic: string, numPartitions: number): Promise<void> =>
  withAdmin(brokers, async (admin) => {
    await admin.deleteTopics({ topics: [topic] })
    // False for as long as the old one is still being deleted.
    while (!(await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions, replicationFactor: 1 }] })));
  })
