import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createTopics } from '#bus/set-up.ts'
import type { Broker } from '#deploy/local/broker.ts'
import { startBroker } from '#deploy/local/broker.ts'
import { topicNames, topics } from '#machines/contracts/topics.ts'
import { silent } from './silent.ts'

/** Its own broker: the names of the topics are fixed, and nobody else's test may meet them with another count. */
let dataDir: string
let broker: Broker
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'unrip-set-up-'))
  broker = await startBroker({ dataDir, log: () => undefined })
})
afterEach(async () => {
  await broker.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

test('two set-ups at once create every topic with its retention, a third finds nothing to do, another count is refused by name', async () => {
  const { brokers } = broker
  await Promise.all([createTopics({ brokers, lanes: 2, log: silent }), createTopics({ brokers, lanes: 2, log: silent })])
  await createTopics({ brokers, lanes: 2, log: silent })

  const admin = new Kafka({ brokers: [brokers], clientId: randomUUID(), logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const { topics: found } = await admin.fetchTopicMetadata({ topics: topicNames })
  expect(found.map(({ name, partitions }) => [name, partitions.length]).toSorted()).toEqual(topicNames.map((name) => [name, 2]).toSorted())
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: 2, name: 'cmd.execute_trade', configNames: ['retention.ms'] }],
  })
  expect(resources[0]?.configEntries[0]?.configValue).toBe(String(topics['cmd.execute_trade'].retentionMs))
  await admin.disconnect()

  await expect(createTopics({ brokers, lanes: 3, log: silent })).rejects.toMatchObject({
    code: 'wrong_partitions',
    message: expect.stringMatching(/^topic \S+ has 2 partitions and this fleet has 3 lanes$/) as string,
  })
})

test('a broker that cannot be reached is `unavailable`, with its address', async () => {
  const { brokers } = broker
  await broker.stop()
  await expect(createTopics({ brokers, lanes: 2, log: silent })).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining(brokers) as string,
  })
})
