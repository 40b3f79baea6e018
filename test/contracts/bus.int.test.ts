import { randomUUID } from 'node:crypto'
import { ensureStack } from '#deploy/local/stack.ts'
import { kafkaBus } from '#bus/kafka.ts'
import { makeTopics } from '#test/bus/topics.ts'
import { silent } from '#test/bus/silent.ts'
import { busContract } from './bus.ts'

busContract({
  name: 'Kafka',
  open: async (topics) => {
    const { brokers } = await ensureStack()
    await makeTopics(brokers, topics, 3)
    return { connect: () => kafkaBus({ brokers, clientId: `test-${randomUUID()}`, log: silent }), close: () => Promise.resolve() }
  },
})
