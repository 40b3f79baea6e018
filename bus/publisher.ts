/**
 * Everything that a process writes, through one producer.
 *
 * P1. One request is under way at a time: with more, kafkajs's retries reorder, and a receiver that keeps a high mark drops what was
 *     overtaken. What arrives meanwhile goes together in the next one, in the order in which it arrived.
 * P2. The identical request is repeated until it is acknowledged or refused for what it holds. The worst is a duplicate.
 * P3. Not idempotent. kafkajs 2.2.4 takes its sequence numbers back after any error, for written partitions too; the broker then takes
 *     the next batch for a duplicate, answers "ok" and writes nothing (measured; producer/sendMessages.js).
 * P4. The answer names every partition that was written to, else nothing was written there: kafkajs drops unknown partitions in silence.
 */
import { setTimeout as after } from 'node:timers/promises'
import { Partitioners } from 'kafkajs'
import type { Kafka, Message, Producer, TopicMessages } from 'kafkajs'
import { BusError, asBusError } from './errors.ts'
import type { Log, OutRecord } from './shapes.ts'
import { within } from './within.ts'

export interface Publisher {
  /** @throws {BusError} `no_such_partition`, `message_too_large`, `closed` */
  send(records: readonly OutRecord[]): Promise<void>
  close(): Promise<void>
}

interface Job {
  readonly records: readonly OutRecord[]
  readonly bytes: ReadonlyMap<string, number>
  resolve(): void
  reject(error: BusError): void
}

/** Per partition and request; Kafka refuses a record batch above 1 MiB. */
const JOIN_BYTES = 768 * 1024
/** A header's and a record's own fields, roughly; what is left to the limit covers the rest. */
const RECORD_OVERHEAD_BYTES = 32
const AGAIN_MS = 200
const CLOSE_MS = 1_000

export const publisher = (kafka: Kafka, log: Log, onHeard: () => void = () => undefined): Publisher => {
  const queue: Job[] = []
  let sending: readonly Job[] = []
  let running: Promise<void> | null = null
  let producer: Producer | null = null
  let closed = false

  const connected = async (): Promise<Producer> => {
    if (producer !== null) return producer
    const made = newProducer(kafka)
    await made.connect()
    producer = made
    return made
  }
  /** A producer that failed may be stuck on what it believes of the cluster; a new one knows nothing. */
  const forget = (): void => {
    void producer?.disconnect().catch(() => undefined)
    producer = null
  }

  /** Answers the partitions that nothing was written to. */
  const write = async (jobs: readonly Job[]): Promise<Set<string>> => {
    const records = jobs.flatMap((job) => job.records)
    const topicMessages = byTopic(records)
    for (let tries = 1; ; tries += 1) {
      if (closed) throw new BusError('closed', 'the bus was closed with a send under way')
      const fresh = producer === null
      try {
        const answered = await (await connected()).sendBatch({ acks: -1, timeout: 8_000, topicMessages })
        onHeard()
        const missing = new Set(records.map(place))
        for (const { topicName, partition } of answered) missing.delete(`${topicName}/${partition}`)
        return missing
      } catch (error) {
        forget()
        const known = asBusError(error, `send of ${records.length} records`)
        // One that has written before fails for any of its topics that has gone since, not only for these.
        if (known.code === 'no_such_partition' && !fresh) continue
        if (known.code !== 'unavailable') throw known
        // Five times a second: the first, second, fourth … is news.
        const says = (tries & (tries - 1)) === 0 ? log.warn : log.debug
        says(
          { event: 'kafka.send_repeated', tries, error: known.message },
          `Kafka does not take a send of ${records.length} records: again`,
        )
        await after(AGAIN_MS)
      }
    }
  }
  const settle = async (jobs: readonly Job[]): Promise<void> => {
    try {
      const missing = await write(jobs)
      for (const job of jobs) {
        const lost = [...new Set(job.records.map(place))].filter((name) => missing.has(name))
        if (lost.length === 0) job.resolve()
        else job.reject(new BusError('no_such_partition', `not written, no such partition: ${lost.join(', ')}`))
      }
    } catch (error) {
      // Refused for what one of them holds: each alone, so that nobody waits behind somebody else's record.
      if (jobs.length > 1) for (const job of jobs) await settle([job])
      else jobs[0]?.reject(asBusError(error, 'send'))
    }
  }
  const run = async (): Promise<void> => {
    while (queue.length > 0) {
      sending = queue.splice(0, fitting(queue))
      await settle(sending)
    }
    sending = []
    running = null
  }

  return {
    send: (records) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new BusError('closed', 'the bus is closed'))
        if (records.length === 0) return resolve()
        queue.push({ records, bytes: bytesByPartition(records), resolve, reject })
        running ??= run()
      }),
    close: async () => {
      closed = true
      const waiting = queue.splice(0)
      await within(CLOSE_MS, running)
      for (const job of [...sending, ...waiting]) job.reject(new BusError('closed', 'the bus was closed with a send under way'))
      const last = producer
      producer = null
      await within(CLOSE_MS, last?.disconnect())
    },
  }
}

const newProducer = (kafka: Kafka): Producer =>
  kafka.producer({
    idempotent: false,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 6 },
  })

const place = ({ topic, partition }: OutRecord): string => `${topic}/${partition}`

const bytesByPartition = (records: readonly OutRecord[]): Map<string, number> => {
  const bytes = new Map<string, number>()
  for (const record of records) {
    let size = RECORD_OVERHEAD_BYTES + record.value.byteLength + (record.key?.length ?? 0)
    for (const [name, text] of Object.entries(record.headers)) size += name.length + text.length + 4
    bytes.set(place(record), (bytes.get(place(record)) ?? 0) + size)
  }
  return bytes
}

/** How many jobs from the front go in one request: always one, then as long as no partition gets too much. */
const fitting = (jobs: readonly Job[]): number => {
  const total = new Map<string, number>()
  let count = 0
  for (const { bytes } of jobs) {
    for (const [name, size] of bytes) total.set(name, (total.get(name) ?? 0) + size)
    if (count > 0 && [...bytes.keys()].some((name) => (total.get(name) ?? 0) > JOIN_BYTES)) break
    count += 1
  }
  return count
}

const byTopic = (records: readonly OutRecord[]): TopicMessages[] => {
  const topics = new Map<string, Message[]>()
  for (const { topic, partition, key, value, headers } of records) {
    const messages = topics.get(topic) ?? []
    topics.set(topic, messages)
    messages.push({ partition, key, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength), headers: { ...headers } })
  }
  return [...topics].map(([topic, messages]) => ({ topic, messages }))
}
