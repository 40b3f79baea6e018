import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startBroker } from '#deploy/local/broker.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'unrip-broker-test-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const produce = async (brokers: string, topic: string): Promise<void> => {
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING })
  const [admin, producer] = [kafka.admin(), kafka.producer()]
  await Promise.all([admin.connect(), producer.connect()])
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1 }] })
  await producer.send({ topic, acks: -1, messages: [{ value: 'one' }, { value: 'two' }] })
  await Promise.all([admin.disconnect(), producer.disconnect()])
}

const endOf = async (brokers: string, topic: string): Promise<string | undefined> => {
  const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    return (await admin.fetchTopicOffsets(topic))[0]?.high
  } finally {
    await admin.disconnect()
  }
}

test('a second start in the same directory keeps port and records', async () => {
  const topic = randomUUID()
  const first = await startBroker({ dataDir, log: () => undefined })
  await produce(first.brokers, topic)
  await first.stop()
  const second = await startBroker({ dataDir, log: () => undefined })
  try {
    expect(second.brokers).toBe(first.brokers)
    expect(await endOf(second.brokers, topic)).toBe('2')
  } finally {
    await second.stop()
  }
})

test('records acknowledged before kill -9 of the broker are there after the restart, at the same address', async () => {
  const topic = randomUUID()
  const broker = await startBroker({ dataDir, log: () => undefined })
  try {
    await produce(broker.brokers, topic)
    expect(await broker.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
    await broker.restart()
    expect(await endOf(broker.brokers, topic)).toBe('2')
  } finally {
    await broker.stop()
  }
})

test('a port that is taken is named', async () => {
  const server = createServer()
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
  try {
    await expect(startBroker({ dataDir, log: () => undefined, port })).rejects.toThrow(`port ${port} for the Kafka broker is taken`)
  } finally {
    server.close()
  }
})
