/**
 * One of the two processes of the floor chain. The first sends numbered messages at a rate, the second inserts each and sends it on, the
 * first inserts it and stops its clock: two hops and two fsynced commits, as between frame in and frame out. What has arrived together
 * goes in one statement and one send, with one send under way at a time, as it does in the runtime.
 */
import type { Consumer, Producer } from 'kafkajs'
import { Client } from 'pg'
import { BRIEF } from '#bus/client.ts'
import { quietKafka } from '#deploy/local/kafka-client.ts'
import type { FloorOrder, FloorRun } from './floor.ts'

interface Item {
  readonly id: number
  readonly body: string
}

/** About what a demand weighs. */
const BODY = 'x'.repeat(1_000)

const sentAt = new Map<number, number>()
let latencies: number[] = []
let queue: Item[] = []
let sending = false

const start = async ({ role, brokers, database, topics, table }: FloorOrder): Promise<void> => {
  const kafka = quietKafka(brokers, BRIEF)
  const producer = kafka.producer({ maxInFlightRequests: 1, allowAutoTopicCreation: false })
  const consumer = kafka.consumer({ groupId: `${table}-${process.pid}`, maxWaitTimeInMs: 1_000, allowAutoTopicCreation: false })
  const db = new Client({ connectionString: database })
  await Promise.all([producer.connect(), consumer.connect(), db.connect()])
  const [from, to] = role === 'first' ? [topics.back, topics.there] : [topics.there, topics.back]
  await read(consumer, from, async (items) => {
    await db.query({
      name: 'insert',
      text: `INSERT INTO ${table} SELECT * FROM unnest($1::bigint[], $2::text[])`,
      values: [items.map(({ id }) => id), items.map(({ body }) => body)],
    })
    if (role === 'second') return give(producer, to, items)
    const now = performance.now()
    for (const { id } of items) {
      latencies.push(now - (sentAt.get(id) ?? now))
      sentAt.delete(id)
    }
  })
  process.on('message', (run: FloorRun) => void measure(run, (items) => give(producer, to, items)).then((list) => process.send?.(list)))
  process.on(
    'disconnect',
    () => void Promise.allSettled([consumer.disconnect(), producer.disconnect(), db.end()]).then(() => process.exit(0)),
  )
  process.send?.('ready')
}

/** Resolves when the consumer is in its group. */
const read = async (consumer: Consumer, topic: string, take: (items: readonly Item[]) => Promise<void> | void): Promise<void> => {
  const joined = new Promise<void>((resolve) => consumer.on(consumer.events.GROUP_JOIN, () => resolve()))
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: true,
    eachBatch: async ({ batch }) =>
      take(batch.messages.map(({ key, value }) => ({ id: Number(key?.toString()), body: value?.toString() ?? '' }))),
  })
  await joined
}

const give = (producer: Producer, topic: string, items: readonly Item[]): void => {
  queue.push(...items)
  if (!sending) void sendAll(producer, topic)
}

const sendAll = async (producer: Producer, topic: string): Promise<void> => {
  sending = true
  while (queue.length > 0) {
    const messages = queue.map(({ id, body }) => ({ key: String(id), value: body, partition: 0 }))
    queue = []
    await producer.send({ topic, acks: -1, messages })
  }
  sending = false
}

let next = 1

const measure = async ({ rate, warmMs, measureMs }: FloorRun, send: (items: readonly Item[]) => void): Promise<number[]> => {
  const began = performance.now()
  const first = next
  let isWarm = false
  while (performance.now() - began < warmMs + measureMs) {
    if (!isWarm && performance.now() - began > warmMs) {
      isWarm = true
      latencies = []
    }
    // The rate over the whole span: what a late timer missed is sent at once.
    const due = first + Math.floor(((performance.now() - began) / 1_000) * rate)
    for (; next <= due; next++) {
      sentAt.set(next, performance.now())
      send([{ id: next, body: BODY }])
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000 / rate / 4))
  }
  while (sentAt.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  return latencies
}

process.once('message', (order: FloorOrder) => void start(order))
