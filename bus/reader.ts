/**
 * Reads lanes without a rebalance: kafkajs has no `assign`, so each process is the only member of a group of its own, is assigned everything,
 * and everything is paused but what it holds. Who holds a lane is decided in PostgreSQL; a takeover costs a lease and not a session.
 *
 * R1. A list of partitions goes with every pause: in kafkajs 2.2.4 a pause with a list after one without un-pauses the rest.
 * R2. `eachBatch` does not wait and does not throw: one fetch loop serves all lanes, and a TypeError ends it for good.
 * R3. Nothing of kafkajs's own positions is relied on: what flows is sought to at every take, resume and join, and gated (cursors.ts).
 */
import { randomUUID } from 'node:crypto'
import { AssignerProtocol } from 'kafkajs'
import type { Batch, Cluster, Consumer, Kafka, PartitionAssigner } from 'kafkajs'
import { brokerView } from './cluster.ts'
import type { Place } from './cluster.ts'
import { Commits } from './commits.ts'
import { Cursors } from './cursors.ts'
import type { Cursor } from './cursors.ts'
import { BusError, asBusError } from './errors.ts'
import { recordsOf } from './records.ts'
import type { BusReader, BusRecord, Log, ReaderOptions } from './shapes.ts'
import { Watch } from './watch.ts'
import { within } from './within.ts'

/** A fetch waits so long for records, and so long may a take, a resume or a seek wait for the fetch. */
const MAX_WAIT_MS = 100
/** Small enough that a lane's back pressure is about one fetch; a larger record still comes. */
const PARTITION_BYTES = 256 * 1024
const CLOSE_MS = 1_000

/** @throws {BusError} `no_such_partition` an input or table does not exist */
export const openReader = async (kafka: Kafka, options: ReaderOptions, log: Log): Promise<BusReader> => {
  const { service, inputs, tables } = options
  const groupId = `${service}.${randomUUID()}`
  const everything = allAssigner()
  const consumer = kafka.consumer({
    groupId,
    partitionAssigners: [everything.assigner],
    maxWaitTimeInMs: MAX_WAIT_MS,
    maxBytesPerPartition: PARTITION_BYTES,
  })
  const cluster = everything.cluster()
  const view = brokerView(cluster, service)
  const cursors = new Cursors()
  let closed = false
  let assigned: Place[] | null = null

  const fail = (error: Error): void => {
    if (closed) return
    closed = true
    watch.close()
    commits.close()
    options.onFailure(error)
  }

  /** Before the first join, and while the client restarts, kafkajs refuses these; the next join sets everything. */
  const tell = (change: (consumer: Consumer) => void): void => {
    if (assigned === null || closed) return
    try {
      change(consumer)
    } catch (error) {
      log.debug({ error: asBusError(error, 'reader').message }, 'the reader is between two joins')
    }
  }
  const pause = (places: readonly Place[]): void => {
    if (places.length > 0) tell((to) => to.pause(places.map(({ topic, partition }) => ({ topic, partitions: [partition] }))))
  }
  const fetchFrom = ({ topic, partition, next }: Cursor): void =>
    tell((to) => {
      to.seek({ topic, partition, offset: String(next) })
      to.resume([{ topic, partitions: [partition] }])
    })
  const judge = (cursor: Cursor): void => {
    pause([cursor])
    void watch.judge(cursor)
  }

  const commits = new Commits({
    view,
    log,
    onVanished: ({ topic, partition }) => {
      const cursor = cursors.get(topic, partition)
      if (cursor === undefined || !cursor.flowing) return
      cursors.hold(cursor)
      lost(cursor, cursor.next, 0)
    },
  })
  const lost = (cursor: Cursor, expected: number, found: number): void => {
    if (cursor.table) {
      cursors.resume(cursor, found)
      fetchFrom(cursor)
      return
    }
    pause([cursor])
    log.error(
      { topic: cursor.topic, lane: cursor.partition, expected, found },
      `${cursor.topic}/${cursor.partition} does not continue at ${expected}`,
    )
    options.onGap(cursor.partition, cursor.topic, expected, found)
  }
  const watch = new Watch({ view, cursors, commits, onLost: lost, onSound: fetchFrom })

  const deliver = ({ topic, partition, messages, highWatermark, ...batch }: Batch): void => {
    const records = recordsOf(topic, partition, messages)
    const cursor = cursors.get(topic, partition)
    const verdict = cursors.receive(topic, partition, records, Number((batch as { fetchedOffset?: string }).fetchedOffset))
    if (cursor === undefined || verdict.kind === 'drop') return
    if (verdict.kind === 'judge') judge(cursor)
    else if (verdict.kind === 'hole') {
      cursors.hold(cursor)
      lost(cursor, cursor.next, verdict.found)
    } else handOn(cursor, verdict.records, Number(highWatermark))
  }
  const handOn = (cursor: Cursor, records: readonly BusRecord[], highWatermark: number): void => {
    if (cursor.table) for (const record of records) options.onTable(record)
    else options.onRecords(cursor.partition, cursor.topic, records, highWatermark)
  }

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const again = assigned !== null
    assigned = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
      partitions.map((partition) => ({ topic, partition })),
    )
    pause(assigned)
    for (const cursor of cursors.all()) {
      if (!cursor.flowing) continue
      // A second join: metadata changed, perhaps because a topic was made anew.
      if (again && !cursor.table) judge(cursor)
      else fetchFrom(cursor)
    }
  })

  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [...inputs, ...tables], fromBeginning: true })
    for (const { topic, partition, offset } of await view.offsetsSince(tables, Date.now() - options.tableBackMs))
      cursors.start(topic, partition, offset, true)
    await joined(consumer, fail, async () => {
      await consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          if (closed) return
          try {
            deliver(batch)
          } catch (error) {
            fail(error instanceof Error ? error : new Error(String(error)))
          }
        },
      })
    })
  } catch (error) {
    closed = true
    watch.close()
    commits.close()
    void consumer.disconnect().catch(() => undefined)
    throw asBusError(error, `reader of ${service}`)
  }

  return {
    ends: async (lane) => {
      const places = inputs.map((topic) => ({ topic, partition: lane }))
      const ends = await view.ends(places).catch((error: unknown) => {
        throw asBusError(error, `ends of lane ${service}/${lane}`)
      })
      const missing = inputs.filter((topic) => !ends.some((end) => end.topic === topic))
      if (missing.length === 0) return ends.map(({ topic, low, high, committed }) => ({ topic, low, high, committed }))
      await view.refresh().catch(() => undefined)
      throw new BusError('no_such_partition', `lane ${service}/${lane}: no partition ${lane} of ${missing.join(', ')}`)
    },
    take: (lane, next) => {
      for (const topic of inputs) {
        const from = next[topic]
        if (from === undefined) throw new Error(`lane ${service}/${lane}: no offset given for ${topic}`)
        fetchFrom(cursors.start(topic, lane, from, false))
      }
    },
    leave: (lane) => {
      for (const topic of inputs) {
        const cursor = cursors.get(topic, lane)
        if (cursor === undefined) continue
        cursors.remove(cursor)
        commits.forget(cursor)
        pause([cursor])
      }
    },
    hold: (lane, topic) => {
      const cursor = cursors.get(topic, lane)
      if (cursor === undefined) return
      cursors.hold(cursor)
      pause([cursor])
    },
    resume: (lane, topic, from) => {
      const cursor = cursors.get(topic, lane)
      if (cursor === undefined) return
      cursors.resume(cursor, from)
      fetchFrom(cursor)
    },
    commit: (lane, next) => {
      for (const [topic, offset] of Object.entries(next))
        if (cursors.get(topic, lane) !== undefined) commits.note({ topic, partition: lane, offset })
    },
    close: async () => {
      closed = true
      watch.close()
      commits.close()
      await within(CLOSE_MS, end(consumer, kafka, groupId))
    },
  }
}

/** Being ready is having joined: `run` resolves when the join was refused, too. */
const joined = async (consumer: Consumer, fail: (error: Error) => void, run: () => Promise<void>): Promise<void> => {
  let ready = false
  const first = new Promise<void>((resolve, reject) => {
    consumer.on(consumer.events.GROUP_JOIN, () => {
      ready = true
      resolve()
    })
    consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
      if (restart) return // by itself, with the same group
      if (ready) fail(error)
      else reject(error)
    })
  })
  await Promise.all([run(), first])
}

/** Leaves the group, so that it can go too: empty, it would stay listed for a day. */
const end = async (consumer: Consumer, kafka: Kafka, groupId: string): Promise<void> => {
  await consumer.disconnect()
  const admin = kafka.admin({ retry: { retries: 0 } })
  await admin.connect()
  await admin.deleteGroups([groupId]).finally(() => admin.disconnect())
}

/** Gives everything to every member; there is one. The factory is handed kafkajs's cluster, through which the broker is asked on the side. */
const allAssigner = (): { assigner: PartitionAssigner; cluster: () => Cluster } => {
  const { MemberMetadata, MemberAssignment } = AssignerProtocol
  const handed: Cluster[] = []
  const assigner: PartitionAssigner = ({ cluster }) => {
    handed.push(cluster)
    const assignment = (topics: string[]): Record<string, number[]> =>
      Object.fromEntries(topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)]))
    return {
      name: 'all',
      version: 1,
      protocol: ({ topics }) => ({ name: 'all', metadata: MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }) }),
      assign: async ({ members, topics }) =>
        members.map(({ memberId }) => ({
          memberId,
          memberAssignment: MemberAssignment.encode({ version: 1, assignment: assignment(topics), userData: Buffer.alloc(0) }),
        })),
    }
  }
  return {
    assigner,
    cluster: () => {
      const [cluster] = handed
      if (cluster === undefined) throw new Error('kafkajs made a consumer without asking its assigner')
      return cluster
    },
  }
}
