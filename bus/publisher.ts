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
import type { Kafka, Producer } from 'kafkajs'
import { BusError, asBusError } from './errors.ts'
import { folded } from './produce-request.ts'
import type { Log, OutRecord } from './shapes.ts'
import { within } from './within.ts'

export interface Publisher {
  /** @throws {BusError} `no_such_partition`, `message_too_large`, `closed` */
  send(records: readonly OutRecord[]): Promise<void>
  close(): Promise<void>
}

/** What goes to one partition. */
interface Parcel {
  readonly topic: string
  readonly partition: number
  readonly records: OutRecord[]
  bytes: number
}
/** By the names of their places, `topic/partition`. */
type Parcels = ReadonlyMap<string, Parcel>

interface Job {
  readonly parcels: Parcels
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
    const parcels = jobs.length === 1 ? jobs[0]!.parcels : joined(jobs)
    const records = [...parcels.values()].reduce((sum, parcel) => sum + parcel.records.length, 0)
    const topicMessages = [...Map.groupBy(parcels.values(), ({ topic }) => topic)].map(([topic, of]) => ({
      topic,
      messages: of.map((parcel) => folded(parcel.partition, parcel.records)),
    }))
    for (let tries = 1; ; tries += 1) {
      if (closed) throw new BusError('closed', 'the bus was closed with a send under way')
      const fresh = producer === null
      try {
        const answered = await (await connected()).sendBatch({ acks: -1, timeout: 8_000, topicMessages })
        onHeard()
        const missing = new Set(parcels.keys())
        for (const { topicName, partition } of answered) missing.delete(`${topicName}/${partition}`)
        return missing
      } catch (error) {
        forget()
        const known = asBusError(error, `send of ${records} records`)
        // One that has written before fails for any of its topics that has gone since, not only for these.
        if (known.code === 'no_such_partition' && !fresh) continue
        if (known.code !== 'unavailable') throw known
        // Five times a second: the first, second, fourth … is news.
        const says = (tries & (tries - 1)) === 0 ? log.warn : log.debug
        says({ event: 'kafka.send_repeated', tries, error: known.message }, `Kafka does not take a send of ${records} records: again`)
        await after(AGAIN_MS)
      }
    }
  }
  const settle = async (jobs: readonly Job[]): Promise<void> => {
    try {
      const missing = await write(jobs)
      for (const job of jobs) {
        const lost = [...job.parcels.keys()].filter((name) => missing.has(name))
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
        queue.push({ parcels: parcelsOf(records), resolve, reject })
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

const parcelsOf = (records: readonly OutRecord[]): Parcels => {
  const parcels = new Map<string, Parcel>()
  let parcel: Parcel | null = null
  for (const record of records) {
    const { topic, partition, key, value, headers } = record
    if (parcel?.topic !== topic || parcel.partition !== partition) parcel = parcelFor(parcels, topic, partition)
    parcel.records.push(record)
    parcel.bytes += RECORD_OVERHEAD_BYTES + value.byteLength + (key?.length ?? 0)
    for (const name in headers) parcel.bytes += name.length + headers[name]!.length + 4
  }
  return parcels
}

const parcelFor = (parcels: Map<string, Parcel>, topic: string, partition: number): Parcel => {
  const place = `${topic}/${partition}`
  const known = parcels.get(place)
  if (known) return known
  const made: Parcel = { topic, partition, records: [], bytes: 0 }
  parcels.set(place, made)
  return made
}

const joined = (jobs: readonly Job[]): Parcels => {
  const parcels = new Map<string, Parcel>()
  for (const job of jobs) {
    for (const { topic, partition, records } of job.parcels.values()) {
      const parcel = parcelFor(parcels, topic, partition)
      for (const record of records) parcel.records.push(record)
    }
  }
  return parcels
}

/** How many jobs from the front go in one request: always one, then as long as no partition gets too much. */
const fitting = (jobs: readonly Job[]): number => {
  const total = new Map<string, number>()
  let count = 0
  for (const { parcels } of jobs) {
    for (const [name, { bytes }] of parcels) total.set(name, (total.get(name) ?? 0) + bytes)
    if (count > 0 && [...parcels.keys()].some((name) => (total.get(name) ?? 0) > JOIN_BYTES)) break
    count += 1
  }
  return count
}
