import { randomUUID } from 'node:crypto'
import { setTimeout as after } from 'node:timers/promises'
import { PATIENT } from '#bus/client.ts'
import { recordsOf } from '#bus/records.ts'
import { quietKafka } from '#deploy/local/kafka-client.ts'
import { topicNames } from '#machines/contracts/topics.ts'

export interface LoggedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly text: string
  readonly headers: Readonly<Record<string, string>>
  /** ms, by the clock of who sent it */
  readonly timestampMs: number
}

export interface TopicLog {
  readonly records: readonly LoggedRecord[]
  /** Resolves at the first moment at which `found` answers something. @throws {Error} after `ms` */
  until<T>(what: string, found: () => T | undefined, ms: number): Promise<T>
  /** Resolves when everything that is in Kafka now has been read. */
  caughtUp(): Promise<void>
  close(): Promise<void>
}

/** Everything in every topic, from the beginning and as it comes. */
export const openTopicLog = async (brokers: string): Promise<TopicLog> => {
  const kafka = quietKafka(brokers, PATIENT)
  const groupId = `e2e-${randomUUID()}`
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 50, allowAutoTopicCreation: false })
  const admin = kafka.admin()
  const records: LoggedRecord[] = []
  const next = new Map<string, number>()
  const waiting = new Set<() => void>()
  await Promise.all([consumer.connect(), admin.connect()])
  await consumer.subscribe({ topics: [...topicNames], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const at = `${batch.topic}/${batch.partition}`
      for (const record of recordsOf(batch.topic, batch.partition, batch.messages)) {
        const { value, ...rest } = record
        // A broker that comes back makes the group join again, and it has committed nothing.
        if (record.offset < (next.get(at) ?? 0)) continue
        records.push({ ...rest, text: value === null ? '' : Buffer.from(value).toString('utf8') })
      }
      next.set(at, Math.max(next.get(at) ?? 0, Number(batch.lastOffset()) + 1))
      for (const look of waiting) look()
    },
  })

  const until = <T>(what: string, found: () => T | undefined, ms: number): Promise<T> =>
    new Promise((resolve, reject) => {
      const patience = new AbortController()
      const look = (): void => {
        const value = found()
        if (value === undefined) return
        waiting.delete(look)
        patience.abort()
        resolve(value)
      }
      waiting.add(look)
      void after(ms, undefined, { signal: patience.signal }).then(
        () => {
          waiting.delete(look)
          reject(new Error(`${what}: not in the topics after ${ms} ms (${records.length} records read)`))
        },
        () => undefined, // found in time
      )
      look()
    })
  return {
    records,
    until,
    caughtUp: async () => {
      const ends = new Map<string, number>()
      for (const topic of topicNames)
        for (const { partition, high } of await admin.fetchTopicOffsets(topic)) ends.set(`${topic}/${partition}`, Number(high))
      await until('what is in Kafka', () => [...ends].every(([at, end]) => (next.get(at) ?? 0) >= end) || undefined, 20_000)
    },
    close: async () => {
      await Promise.all([consumer.disconnect(), admin.disconnect()])
    },
  }
}

/** Nothing is read. */
export const noTopicLog: TopicLog = {
  records: [],
  until: (what) => Promise.reject(new Error(`${what}: the topics are not read`)),
  caughtUp: () => Promise.reject(new Error('the topics are not read')),
  close: async () => undefined,
}

/** What a record says, without looking twice at its shape: the history's own tests do that. */
export const envelopeOf = (record: LoggedRecord) =>
  JSON.parse(record.text) as { event_id: string; correlation_id: string | null; payload: Readonly<Record<string, unknown>> }

/**
 * Gaps in what each source has sent to each partition, after repeats are dropped; and repeats that are not the same bytes.
 * Empty is what has to be.
 */
export const brokenPositions = (records: readonly LoggedRecord[]): string[] => {
  const seen = new Map<string, Map<number, string>>()
  const broken: string[] = []
  for (const { topic, partition, offset, text, headers } of records) {
    const at = `${topic}/${partition} ${headers['unrip-source']} ${headers['unrip-incarnation']}`
    const position = Number(headers['unrip-position'])
    const texts = seen.get(at) ?? new Map<number, string>()
    seen.set(at, texts)
    const earlier = texts.get(position)
    if (earlier === undefined && position > texts.size + 1) broken.push(`${at} offset ${offset}: position ${position} after ${texts.size}`)
    if (earlier !== undefined && earlier !== text) broken.push(`${at} offset ${offset}: position ${position} again with other bytes`)
    texts.set(position, text)
  }
  return broken
}
