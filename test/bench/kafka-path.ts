/** The path with a real broker: one message in and one out a turn. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MessageBus } from '#actors/runtime/bus-port.ts'
import type { LaneStore } from '#actors/runtime/store-port.ts'
import { kafkaBus } from '#bus/kafka.ts'
import { startBroker } from '#deploy/local/broker.ts'
import type { Broker } from '#deploy/local/broker.ts'
import { makeTopics } from '#test/bus/topics.ts'
import { BESIDE_SERVICE, moment, quiet, serviceOf, startHost } from './bench-host.ts'
import type { BenchHost } from './bench-host.ts'
import type { Contestant } from './contest.ts'
import { measured } from './contest.ts'
import type { FeedAnswer, FeedCommand } from './feed-process.ts'
import { EVENTS_AN_ACTOR, STEPS, orderMachine } from './work.ts'

const definition = serviceOf(
  { order: { machine: orderMachine, version: 1, input: (order: string) => ({ order }) } },
  {
    name: BESIDE_SERVICE,
    inputs: {
      'norm.swap_demand': ({ payload: { quote_id } }) => {
        const [key = '', step] = quote_id.split('.')
        return { to: { kind: 'order', key }, event: { type: STEPS[Number(step)] ?? '', amount: quote_id } }
      },
    },
  },
)

export const benchBroker = async (dataDir: string): Promise<Broker> => {
  const broker = await startBroker({ dataDir, log: () => undefined })
  await makeTopics(broker.brokers, ['norm.swap_demand', 'ops.alert_event'], 1)
  return broker
}

export interface Feed {
  /** Resolves when Kafka has them all. */
  give(command: Omit<FeedCommand, 'brokers'>): Promise<FeedAnswer>
  close(): Promise<void>
}

export const openFeed = (brokers: string): Feed => {
  const child = fork(join(fileURLToPath(import.meta.url), '..', 'feed-process.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = once(child, 'exit')
  const died = ended.then(([code, signal]) => {
    throw new Error(`the feed ended with ${signal ?? code}`)
  })
  died.catch(() => undefined)
  return {
    give: async (command) => {
      child.send({ ...command, brokers } satisfies FeedCommand)
      const [answer] = await Promise.race([once(child, 'message'), died])
      return answer as FeedAnswer
    },
    close: async () => {
      child.disconnect()
      await ended
    },
  }
}

/** A host on Kafka; `around` looks at what it commits and publishes. */
export const kafkaHost = async (
  url: string,
  brokers: string,
  around: { store?: (store: LaneStore) => LaneStore; bus?: (bus: MessageBus) => MessageBus } = {},
): Promise<BenchHost> => {
  const bus = kafkaBus({ brokers, clientId: 'bench-host', log: quiet })
  const running = await startHost({
    url,
    definition,
    bus: around.bus ? around.bus(bus) : bus,
    ...(around.store ? { around: around.store } : {}),
  })
  return {
    ...running,
    close: async () => {
      await running.close()
      await bus.close()
    },
  }
}

/** A backlog is fed first; then a host takes it all. */
export const oursOnKafka = (url: string, postgres: number, broker: Broker, actors: number): Contestant => {
  const feed = openFeed(broker.brokers)
  // Nothing but fed events makes turns here.
  let fed = 0
  return {
    name: 'ours-kafka',
    about: 'the same on a real broker, one message in and one out a turn, until Kafka has acknowledged the last',
    actors,
    run: async (round, count) => {
      fed += (await feed.give({ name: round, actors: count, events: EVENTS_AN_ACTOR, perSecond: null })).length
      const { host, turned, close } = await kafkaHost(url, broker.brokers)
      const result = await measured(fed - turned(), { servers: [postgres, broker.pid()] }, async () => {
        while (turned() < fed || host.lanes().some(({ outbox_bytes }) => outbox_bytes > 0)) await moment()
      })
      await close()
      return result
    },
    close: feed.close,
  }
}
