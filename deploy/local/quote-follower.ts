/** Reads what becomes of quotes from the topics, from now on, under a group of its own that is removed at the end. */
import { randomUUID } from 'node:crypto'
import { PATIENT } from '#bus/client.ts'
import { quietKafka } from './kafka-client.ts'
import { FOLLOWED, openQuoteBook } from './quote-book.ts'
import type { LookUp, QuoteLine } from './quote-book.ts'

export type Follower = { stop(): Promise<void> }

/** Resolves once it is in its group, so that nothing which is published later is missed. */
export const followQuotes = async (brokers: string, lookUp: LookUp, onLine: (line: QuoteLine) => void): Promise<Follower> => {
  const kafka = quietKafka(brokers, PATIENT)
  const groupId = `npm-start-${randomUUID()}`
  const book = openQuoteBook(Date.now(), lookUp)
  // Ten fetches a second, whatever comes: one for each record would cost the broker as much as a service's reading does.
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100, minBytes: 1_048_576, allowAutoTopicCreation: false })
  const joined = new Promise<void>((resolve) => consumer.on(consumer.events.GROUP_JOIN, () => resolve()))
  await consumer.connect()
  await consumer.subscribe({ topics: [...FOLLOWED], fromBeginning: false })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ topic, message }) => {
      const line = message.value === null ? undefined : await book.read(topic, message.value.toString())
      if (line !== undefined) onLine(line)
    },
  })
  await joined
  return {
    stop: async () => {
      await consumer.disconnect()
      const admin = kafka.admin()
      await admin.connect()
      await admin.deleteGroups([groupId]).catch(() => undefined) // it holds nothing, and expires by itself
      await admin.disconnect()
    },
  }
}
