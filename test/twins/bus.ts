/**
 * Kafka in memory, for tests: topics, partitions, offsets, commits by service name; one log shared by any number of processes.
 *
 * T1. A write, its acknowledgement and each delivery are separate steps, handed to `schedule`; a test decides their order.
 * T2. Nothing happens inside the call that asked for it: no callback runs before `take`, `resume` or `send` has returned.
 * T3. Order holds within a partition, and nothing else is promised.
 */
import type { BusReader, BusRecord, MessageBus, OutRecord, PartitionEnds, ReaderOptions } from '#actors/runtime/bus-port.ts'
import type { Clock } from '#actors/runtime/ports.ts'
import { BusError } from '#bus/errors.ts'

/** What becomes of one `send`. `half written`: only what is for the first record's partition. */
export type SendFate = 'written' | 'acknowledgement lost' | 'half written' | 'not written'

export interface MemoryBusOptions {
  /** of every topic; topics exist as soon as they are named */
  readonly partitions: number
  /** default: the wall clock */
  readonly clock?: Pick<Clock, 'wallMs'>
  /** Runs each step some time later; `what` says which (`write`, `acknowledge`, `deliver`). Default: a microtask. */
  readonly schedule?: (step: () => void, what: string) => void
  /** in [0, 1): which partition is delivered next and how many records at once. Default: in turn, all at once */
  readonly random?: () => number
  /** asked once a `send`. Default: `written` */
  readonly fate?: (records: readonly OutRecord[]) => SendFate
  /** hears each record as it enters the log */
  readonly onAppend?: (record: BusRecord) => void
}

/** One process's end of the log. */
export interface MemoryConnection extends MessageBus {
  /** kill -9: no callback of its readers runs any more, no call of its resolves, what it had not written stays unwritten */
  crash(): void
}

export interface MemoryBus {
  connect(): MemoryConnection
  /** The fate of the next `send`s of anybody, before `fate` is asked. */
  nextFates(...fates: SendFate[]): void
  /** Everything in a topic, or in one partition, by partition and offset. */
  log(topic: string, partition?: number): BusRecord[]
  /** Writes past everybody: an outside producer, or a test's own input. Delivered like anything else. */
  write(records: readonly OutRecord[]): void
  /** Retention: records below `low` go. */
  trim(topic: string, partition: number, low: number): void
  /** Records at and above `high` go, as after an unclean election. */
  truncate(topic: string, partition: number, high: number): void
  /** Deleted and made again, empty, at offset 0; commits for it go with it. */
  recreate(topic: string): void
  /** No delivery, of one topic or of all, until `go`. */
  stall(topic?: string): void
  go(topic?: string): void
  /** null: nothing committed */
  committed(service: string, topic: string, partition: number): number | null
}

interface Partition {
  readonly topic: string
  readonly partition: number
  low: number
  records: BusRecord[]
}

const highOf = ({ low, records }: Partition): number => low + records.length

export const memoryBus = ({
  partitions,
  clock = { wallMs: () => Date.now() },
  schedule = (step) => queueMicrotask(step),
  random,
  fate = () => 'written',
  onAppend = () => {},
}: MemoryBusOptions): MemoryBus => {
  const topics = new Map<string, Partition[]>()
  const commits = new Map<string, number>()
  const readers = new Set<MemoryReader>()
  const stalled = new Set<string>()
  const fates: SendFate[] = []

  const topicOf = (topic: string): Partition[] => {
    const known = topics.get(topic)
    if (known !== undefined) return known
    const made = Array.from({ length: partitions }, (_, partition): Partition => ({ topic, partition, low: 0, records: [] }))
    topics.set(topic, made)
    return made
  }
  const partitionAt = (topic: string, partition: number): Partition => {
    const found = topicOf(topic)[partition]
    if (found === undefined) throw new BusError('no_such_partition', `not written, no such partition: ${topic}/${partition}`)
    return found
  }
  const wakeAll = (): void => {
    for (const reader of readers) reader.wake()
  }
  const append = (records: readonly OutRecord[]): void => {
    for (const { topic, partition, key, value, headers } of records) {
      const to = partitionAt(topic, partition)
      const lower = Object.fromEntries(Object.entries(headers).map(([name, text]) => [name.toLowerCase(), text]))
      const record = { topic, partition, offset: highOf(to), key, value: value.slice(), headers: lower, timestampMs: clock.wallMs() }
      to.records.push(record)
      onAppend(record)
    }
    wakeAll()
  }
  const inReach: Log = {
    topicOf,
    partitionAt,
    commits,
    schedule,
    random,
    nowMs: () => clock.wallMs(),
    flows: (topic) => !stalled.has('*') && !stalled.has(topic),
    forget: (reader) => readers.delete(reader),
  }

  const connect = (): MemoryConnection => {
    let alive = true
    const own = new Set<MemoryReader>()
    const write = (records: readonly OutRecord[], decided: SendFate): void => {
      const [first] = records
      if (decided === 'not written' || first === undefined) return
      if (decided !== 'half written') return append(records)
      append(records.filter(({ topic, partition }) => topic === first.topic && partition === first.partition))
    }
    return {
      send: (records) =>
        new Promise((resolve, reject) => {
          if (!alive) return reject(new BusError('closed', 'the bus is closed'))
          const decided = fates.shift() ?? fate(records)
          schedule(() => {
            if (!alive) return
            let refused: unknown
            try {
              for (const { topic, partition } of records) partitionAt(topic, partition)
              write(records, decided)
            } catch (error) {
              refused = error
            }
            schedule(() => {
              if (!alive) return
              if (refused !== undefined) reject(refused)
              else if (decided === 'written') resolve()
              else reject(new BusError('unavailable', `send of ${records.length} records: ${decided}`))
            }, 'acknowledge')
          }, 'write')
        }),
      reader: (options) => {
        const reader = memoryReader(options, inReach)
        readers.add(reader)
        own.add(reader)
        reader.wake()
        return Promise.resolve(reader)
      },
      close: async () => {
        await Promise.all([...own].map((reader) => reader.close()))
        alive = false
      },
      crash: () => {
        alive = false
        for (const reader of own) void reader.close()
      },
    }
  }

  return {
    connect,
    nextFates: (...next) => void fates.push(...next),
    log: (topic, partition) =>
      (partition === undefined ? topicOf(topic) : [partitionAt(topic, partition)]).flatMap(({ records }) => records),
    write: append,
    trim: (topic, partition, low) => {
      const at = partitionAt(topic, partition)
      at.records = at.records.filter(({ offset }) => offset >= low)
      at.low = low
      wakeAll()
    },
    truncate: (topic, partition, high) => {
      const at = partitionAt(topic, partition)
      at.records = at.records.filter(({ offset }) => offset < high)
      at.low = Math.min(at.low, high)
      wakeAll()
    },
    recreate: (topic) => {
      topics.delete(topic)
      for (const name of commits.keys()) if (name.split(' ')[1]?.startsWith(`${topic}/`) === true) commits.delete(name)
      wakeAll()
    },
    stall: (topic = '*') => void stalled.add(topic),
    go: (topic = '*') => {
      stalled.delete(topic)
      wakeAll()
    },
    committed: (service, topic, partition) => commits.get(commitName(service, topic, partition)) ?? null,
  }
}

const commitName = (service: string, topic: string, partition: number): string => `${service} ${topic}/${partition}`

/** What a reader sees of the bus. */
interface Log {
  topicOf(topic: string): Partition[]
  partitionAt(topic: string, partition: number): Partition
  readonly commits: Map<string, number>
  readonly schedule: (step: () => void, what: string) => void
  readonly random: (() => number) | undefined
  nowMs(): number
  flows(topic: string): boolean
  forget(reader: MemoryReader): void
}

interface MemoryReader extends BusReader {
  wake(): void
}

interface Cursor {
  readonly topic: string
  readonly partition: number
  readonly table: boolean
  next: number
  running: boolean
}

const memoryReader = (options: ReaderOptions, log: Log): MemoryReader => {
  const { service, inputs, tables } = options
  const held = new Map<string, Cursor>()
  let closed = false
  let scheduled = false
  let turn = 0

  for (const topic of tables)
    for (const { partition, records, low } of log.topicOf(topic)) {
      const from = log.nowMs() - options.tableBackMs
      const first = records.find(({ timestampMs }) => timestampMs >= from)
      held.set(`${topic}/${partition}`, { topic, partition, table: true, running: true, next: first?.offset ?? low + records.length })
    }

  const waiting = (): Cursor[] =>
    [...held.values()].filter((cursor) => {
      if (!cursor.running || !log.flows(cursor.topic)) return false
      const at = log.partitionAt(cursor.topic, cursor.partition)
      return cursor.next !== highOf(at)
    })
  const wake = (): void => {
    if (closed || scheduled || waiting().length === 0) return
    scheduled = true
    log.schedule(step, 'deliver')
  }
  const step = (): void => {
    scheduled = false
    if (closed) return
    const ready = waiting()
    const cursor = ready[log.random === undefined ? turn++ % Math.max(1, ready.length) : Math.floor(log.random() * ready.length)]
    if (cursor !== undefined) deliver(cursor)
    wake()
  }
  const deliver = (cursor: Cursor): void => {
    const { topic, partition } = cursor
    const at = log.partitionAt(topic, partition)
    const high = highOf(at)
    if (!cursor.table && (cursor.next < at.low || cursor.next > high)) {
      cursor.running = false
      options.onGap(partition, topic, cursor.next, cursor.next < at.low ? at.low : high)
      return
    }
    const from = (cursor.next > high ? at.low : Math.max(cursor.next, at.low)) - at.low // a table goes on wherever the log does
    const count = log.random === undefined ? at.records.length - from : 1 + Math.floor(log.random() * (at.records.length - from))
    const records = at.records.slice(from, from + count)
    cursor.next = at.low + from + records.length
    if (cursor.table) for (const record of records) options.onTable(record)
    else options.onRecords(partition, topic, records, high)
  }

  const reader: MemoryReader = {
    wake,
    ends: (lane) =>
      Promise.resolve(
        inputs.map((topic): PartitionEnds => {
          const at = log.partitionAt(topic, lane)
          return { topic, low: at.low, high: highOf(at), committed: log.commits.get(commitName(service, topic, lane)) ?? null }
        }),
      ),
    take: (lane, next) => {
      for (const topic of inputs) {
        const from = next[topic]
        if (from === undefined) throw new Error(`lane ${lane}: no offset given for ${topic}`)
        held.set(`${topic}/${lane}`, { topic, partition: lane, table: false, next: from, running: true })
      }
      wake()
    },
    leave: (lane) => {
      for (const topic of inputs) held.delete(`${topic}/${lane}`)
    },
    hold: (lane, topic) => {
      const cursor = held.get(`${topic}/${lane}`)
      if (cursor !== undefined) cursor.running = false
    },
    resume: (lane, topic, from) => {
      const cursor = held.get(`${topic}/${lane}`)
      if (cursor === undefined) return
      cursor.next = from ?? cursor.next
      cursor.running = true
      wake()
    },
    commit: (lane, next) => {
      if (closed) return
      for (const [topic, offset] of Object.entries(next))
        if (held.has(`${topic}/${lane}`)) log.commits.set(commitName(service, topic, lane), offset)
    },
    close: () => {
      closed = true
      log.forget(reader)
      return Promise.resolve()
    },
  }
  return reader
}

/**
 * A scheduler for `schedule`: steps wait until they are asked for. With `random` any waiting step may be next, else the oldest.
 * Steps that must follow one another are scheduled by their predecessor, so every order that this gives is a possible one.
 */
export const steps = (
  random?: () => number,
): {
  schedule: (step: () => void, what: string) => void
  /** Runs one step and says which; undefined when none waits. */
  next(): string | undefined
  /** Runs steps until none waits, letting promises settle in between; answers how many. */
  settle(limit?: number): Promise<number>
  waiting(): string[]
} => {
  const queue: { step: () => void; what: string }[] = []
  const next = (): string | undefined => {
    const [chosen] = queue.splice(random === undefined ? 0 : Math.floor(random() * queue.length), 1)
    chosen?.step()
    return chosen?.what
  }
  const settle = async (limit = 100_000): Promise<number> => {
    let done = 0
    // A macrotask between steps: whatever the step made runnable by promises has run.
    const promisesSettled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    for (await promisesSettled(); queue.length > 0; await promisesSettled()) {
      if (done === limit) throw new Error(`still busy after ${limit} steps: ${queue.map(({ what }) => what).join(', ')}`)
      next()
      done += 1
    }
    return done
  }
  return {
    schedule: (step, what) => void queue.push({ step, what }),
    next,
    settle,
    waiting: () => queue.map(({ what }) => what),
  }
}
