import type { Followed } from '#machines/contracts/stamp.ts'
import type { PayloadOf, TopicName } from '#machines/contracts/topics.ts'
import { topics } from '#machines/contracts/topics.ts'
import { textOf } from './faults.ts'
import { fromBytes } from './json.ts'
import type { BusRecord } from './bus-port.ts'
import type { Log } from './ports.ts'
import type { ServiceDefinition, Tables } from './service.ts'

interface Row {
  readonly version: number
  readonly followed: Followed<unknown>
}

/** Topics kept as tables: the highest source version of each key. They enter turns only as what was attached. */
export class FollowedTables implements Tables {
  #rows = new Map<string, Map<string, Row>>()
  #follows: ServiceDefinition['follows'] & object
  #log: Log
  readonly unreadable = new Map<string, number>()

  constructor(follows: ServiceDefinition['follows'], log: Log) {
    this.#follows = follows ?? {}
    this.#log = log
    for (const topic of Object.keys(this.#follows)) this.#rows.set(topic, new Map())
  }

  get topics(): TopicName[] {
    return Object.keys(this.#follows) as TopicName[]
  }

  take(record: BusRecord): void {
    const topic = record.topic as TopicName
    // One schema a topic: the compiler cannot relate the payload to the follow's own type through a lookup.
    const follow = this.#follows[topic] as { key: (payload: unknown) => string; version: (payload: unknown) => number } | undefined
    const table = this.#rows.get(topic)
    if (!follow || !table || !record.value) return
    try {
      const { event_id, payload: value } = topics[topic].message.parse(fromBytes(record.value))
      const [key, version] = [follow.key(value), follow.version(value)]
      if (version < (table.get(key)?.version ?? Number.NEGATIVE_INFINITY)) return
      const followed = { value, event_id, topic, partition: record.partition, offset: String(record.offset) }
      table.set(key, { version, followed })
    } catch (error) {
      const count = (this.unreadable.get(topic) ?? 0) + 1
      this.unreadable.set(topic, count)
      this.#log.warn(
        { event: 'table.unreadable', topic, offset: record.offset, count },
        `${topic}/${record.partition}@${record.offset}: ${textOf(error)}`,
      )
    }
  }

  get<T extends TopicName>(topic: T, key: string): Followed<PayloadOf<T>> | null {
    return (this.#rows.get(topic)?.get(key)?.followed ?? null) as Followed<PayloadOf<T>> | null
  }

  rows<T extends TopicName>(topic: T): Followed<PayloadOf<T>>[] {
    return [...(this.#rows.get(topic)?.values() ?? [])].map(({ followed }) => followed as Followed<PayloadOf<T>>)
  }
}
