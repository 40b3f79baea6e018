import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { kafkaBus } from '#bus/kafka.ts'
import { lag } from '#bus/lag.ts'
import { ensureStack } from '#deploy/local/stack.ts'
import { Heard, out } from '#test/contracts/bus.ts'
import { silent } from './silent.ts'
import { makeTopics } from './topics.ts'

test('lag is the whole log before the first commit, and then what is not durable yet', async () => {
  const { brokers } = await ensureStack()
  const [topic, service] = [`lag-${randomUUID()}`, `service-${randomUUID()}`]
  await makeTopics(brokers, [topic], 2)
  const bus = kafkaBus({ brokers, clientId: 'test', log: silent })
  await bus.send([...out(topic, 0, 'a', 'b', 'c'), ...out(topic, 1, 'x')])
  expect(await lag({ brokers, service, topics: [topic] })).toEqual([
    { topic, partition: 0, committed: null, high: 3, lag: 3 },
    { topic, partition: 1, committed: null, high: 1, lag: 1 },
  ])
  const heard = new Heard()
  const reader = await bus.reader({ service, inputs: [topic], tables: [], tableBackMs: 0, ...heard.callbacks })
  reader.take(0, { [topic]: 0 })
  await heard.until(() => heard.records.length === 3)
  reader.commit(0, { [topic]: 2 })
  await expect
    .poll(() => lag({ brokers, service, topics: [topic] }), { timeout: 5_000 })
    .toContainEqual({ topic, partition: 0, committed: 2, high: 3, lag: 1 })
  await bus.close()
})

test('lag of a topic that does not exist names it', async () => {
  const { brokers } = await ensureStack()
  const topic = `missing-${randomUUID()}`
  await expect(lag({ brokers, service: 'nobody', topics: [topic] })).rejects.toMatchObject({ code: 'no_such_partition' })
})
