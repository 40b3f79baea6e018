/**
 * Reads lanes without a rebalance: kafkajs has no `assign`, so each process is the only member of a group of its own, is assigned everything,
 * and everything is paused but what it holds. Who holds a lane is decided in PostgreSQL; a takeover costs a lease and not a session.
 *
 * R1. A list of partitions goes with every pause: in kafkajs 2.2.4 a pause with a list after one without un-pauses the rest.
 * R2. `eachBatch` does not wait and does not throw: one fetch loop serves all lanes, and a TypeError ends it for good.
 * R3. Nothing of kafkajs's own positions is relied on: what flows is sought to at every take, resume and join, and gated (cursors.ts).
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as after } from 'node:timers/promises'
import type { Batch, Consumer, Kafka } from 'kafkajs'
import { allAssigner } from './assigner.ts'
import { brokerView } from './cluster.ts'
import type { BrokerView, Place } from './cluster.ts'
import { Commits } from './commits.ts'
import { Cursors } from './cursors.ts'
import type { Cursor } from './cursors.ts'
import { BusError, asBusError } from './errors.ts'
import { recordsOf } from './records.ts'
import type { BusReader, Log, PartitionEnds, ReaderOptions } from './shapes.ts'
import { Watch } from './watch.ts'
import { within } from './within.ts'

/** A fetch waits so long for records, and so long may a take, a resume or a seek wait for the fetch. */
const MAX_WAIT_MS = 100
/** Small enough that a lane's back pressure is about one fetch; a larger record still comes. */
const PARTITION_BYTES = 256 * 1024
/** More than comes in `MAX_WAIT_MS`, so that the wait decides. */
const BULK_BYTES = 1024 * 1024
/**
 * So long a join waits for members that do not come, and in a group of one that can only be our own former self. Meanwhile the broker
 * answers nothing else on that connection, and what waits there longer than its time ends it (kafkajs-patches.ts, K6): with kafkajs's
 * minute each join left the next a member to wait for, and nothing was read any more (npm run chaos: half open connections, a restart).
 */
const JOIN_WAITS_MS = 2_000
const CLOSE_MS = 1_000
const SECOND_LOOK_MS = 1_500

export class Reader implements BusReader {
  readonly #kafka: Kafka
  readonly #options: ReaderOptions
  readonly #log: Log
  readonly #groupId: string
  readonly #consumer: Consumer
  readonly #view: BrokerView
  readonly #cursors = new Cursors()
  readonly #commits: Commits
  readonly #watch: Watch
  #joined = false
  #closed = false
  #lookingForTopics = false
  /** rejects when it is closed */
  readonly #ended = Promise.withResolvers<never>()

  /** @param onHeard a broker has answered: a fetch, or a heartbeat where nothing is fetched */
  constructor(kafka: Kafka, options: ReaderOptions, log: Log, onHeard: () => void = () => undefined) {
    this.#ended.promise.catch(() => undefined)
    this.#kafka = kafka
    this.#options = options
    this.#log = log
    this.#groupId = `${options.service}.${randomUUID()}`
    const { assigner, cluster } = allAssigner()
    this.#consumer = kafka.consumer({
      groupId: this.#groupId,
      partitionAssigners: [assigner],
      rebalanceTimeout: JOIN_WAITS_MS,
      maxWaitTimeInMs: MAX_WAIT_MS,
      minBytes: options.inBulk ? BULK_BYTES : 1,
      maxBytesPerPartition: PARTITION_BYTES,
    })
    this.#consumer.on(this.#consumer.events.REQUEST, onHeard)
    this.#view = brokerView(cluster(), options.service)
    this.#commits = new Commits({ view: this.#view, log, onVanished: (place) => this.#vanished(place) })
    this.#watch = new Watch({
      view: this.#view,
      cursors: this.#cursors,
      commits: this.#commits,
      onLost: (cursor, found) => this.#lost(cursor, found),
      onSound: (cursor) => this.#fetch(cursor),
    })
  }

  /**
   * Resolves with the first join (`run` resolves when that was refused, too), however long the brokers are away.
   * @throws {BusError} `no_such_partition` an input or a table does not exist; `closed`
   */
  async open(): Promise<void> {
    const opening = this.#open()
    try {
      await Promise.race([opening, this.#ended.promise])
    } catch (error) {
      this.#stop()
      void opening
        .catch(() => undefined)
        .then(() => this.#disappear())
        .catch(() => undefined)
      throw asBusError(error, `reader of ${this.#options.service}`)
    }
  }

  async #open(): Promise<void> {
    const { inputs, tables, tableBackMs } = this.#options
    const joined = this.#firstJoin()
    joined.catch(() => undefined) // it is awaited below, unless something before it fails
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topics: [...inputs, ...tables], fromBeginning: true })
    for (const { topic, partition, offset } of await this.#view.offsetsSince(tables, Date.now() - tableBackMs))
      this.#cursors.start(topic, partition, offset, true)
    await this.#consumer.run({ autoCommit: false, eachBatch: ({ batch }) => Promise.resolve(this.#receive(batch)) })
    await joined
  }

  async ends(lane: number): Promise<PartitionEnds[]> {
    const { service, inputs } = this.#options
    const places = inputs.map((topic) => ({ topic, partition: lane }))
    const ends = await this.#view.ends(places).catch((error: unknown) => {
      throw asBusError(error, `ends of lane ${service}/${lane}`)
    })
    const missing = inputs.filter((topic) => !ends.some((end) => end.topic === topic))
    if (missing.length === 0) return ends.map(({ topic, low, high, committed }) => ({ topic, low, high, committed }))
    await this.#view.refresh().catch(() => undefined)
    throw new BusError('no_such_partition', `lane ${service}/${lane}: no partition ${lane} of ${missing.join(', ')}`)
  }

  take(lane: number, next: Readonly<Record<string, number>>): void {
    const { service, inputs } = this.#options
    for (const topic of inputs) {
      const from = next[topic]
      if (from === undefined) throw new Error(`lane ${service}/${lane}: no offset given for ${topic}`)
      this.#fetch(this.#cursors.start(topic, lane, from, false))
    }
  }

  leave(lane: number): void {
    const left = this.#options.inputs.flatMap((topic) => this.#cursors.get(topic, lane) ?? [])
    for (const cursor of left) this.#cursors.remove(cursor)
    this.#pause(left)
    void this.#commits.flush(left)
    for (const cursor of left) this.#commits.forget(cursor)
  }

  hold(lane: number, topic: string): void {
    const cursor = this.#cursors.get(topic, lane)
    if (cursor === undefined) return
    this.#cursors.hold(cursor)
    this.#pause([cursor])
  }

  resume(lane: number, topic: string, from?: number): void {
    const cursor = this.#cursors.get(topic, lane)
    if (cursor === undefined) return
    this.#cursors.resume(cursor, from)
    this.#fetch(cursor)
  }

  commit(lane: number, next: Readonly<Record<string, number>>): void {
    for (const [topic, offset] of Object.entries(next))
      if (this.#cursors.get(topic, lane) !== undefined) this.#commits.note({ topic, partition: lane, offset })
  }

  async close(): Promise<void> {
    this.#stop()
    await this.#commits.flush(this.#cursors.all())
    await within(CLOSE_MS, this.#disappear())
  }

  // --- what kafkajs tells ---

  #firstJoin(): Promise<void> {
    const { events } = this.#consumer
    return new Promise((resolve, reject) => {
      this.#consumer.on(events.GROUP_JOIN, ({ payload: { memberAssignment } }) => {
        this.#join(Object.entries(memberAssignment).flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition }))))
        resolve()
      })
      this.#consumer.on(events.CRASH, ({ payload: { error, restart } }) => {
        if (restart) void this.#findDeletedTopics()
        else if (this.#joined) this.#fail(error)
        else reject(error)
      })
    })
  }

  /** Called before the first fetch of a generation, and everything flows unless told otherwise. */
  #join(assigned: readonly Place[]): void {
    const again = this.#joined
    this.#joined = true
    this.#pause(assigned)
    for (const cursor of this.#cursors.all()) {
      if (!cursor.flowing) continue
      // A second join: metadata changed, perhaps because a topic was made anew.
      if (again && !cursor.table) this.#judge(cursor)
      else this.#fetch(cursor)
    }
  }

  #receive({ topic, partition, messages, highWatermark, ...batch }: Batch): void {
    if (this.#closed) return
    try {
      const cursor = this.#cursors.get(topic, partition)
      const askedFrom = Number((batch as { fetchedOffset?: string }).fetchedOffset)
      const verdict = this.#cursors.receive(topic, partition, recordsOf(topic, partition, messages), askedFrom)
      if (cursor === undefined || verdict.kind === 'drop') return
      if (verdict.kind === 'judge') this.#judge(cursor)
      else if (verdict.kind === 'hole') this.#lost(cursor, verdict.found)
      else if (cursor.table) for (const record of verdict.records) this.#options.onTable(record)
      else this.#options.onRecords(partition, topic, verdict.records, Number(highWatermark))
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** kafkajs cannot read anything while one of its topics is missing: it starts again and again, and does not say which. */
  async #findDeletedTopics(): Promise<void> {
    if (this.#lookingForTopics || this.#closed) return
    this.#lookingForTopics = true
    const admin = this.#kafka.admin({ retry: { retries: 3 } })
    try {
      await admin.connect()
      // Twice the same: a broker that has just started was seen to answer with a list that was not whole.
      const first = new Set(await admin.listTopics())
      if (this.#options.inputs.every((topic) => first.has(topic))) return
      await after(SECOND_LOOK_MS)
      const second = new Set(await admin.listTopics())
      const gone = (topic: string): boolean => second.size > 0 && !first.has(topic) && !second.has(topic)
      for (const cursor of this.#cursors.all()) if (!cursor.table && cursor.flowing && gone(cursor.topic)) this.#lost(cursor, 0)
    } catch (error) {
      this.#log.debug({ event: 'kafka.no_topics', error: asBusError(error, 'topics').message }, 'no broker tells which topics there are')
    } finally {
      this.#lookingForTopics = false
      await admin.disconnect().catch(() => undefined)
    }
  }

  // --- what is made of it ---

  /** Whether the log still continues where this cursor is; nothing of it is fetched until the broker has said. */
  #judge(cursor: Cursor): void {
    this.#pause([cursor])
    void this.#watch.judge(cursor)
  }

  #vanished({ topic, partition }: Place): void {
    const cursor = this.#cursors.get(topic, partition)
    if (cursor?.flowing === true) this.#lost(cursor, 0)
  }

  #lost(cursor: Cursor, found: number): void {
    const { topic, partition, next } = cursor
    if (cursor.table) {
      this.#cursors.resume(cursor, found)
      this.#fetch(cursor)
      return
    }
    this.#cursors.hold(cursor)
    this.#pause([cursor])
    this.#commits.forget(cursor)
    this.#log.error(
      { event: 'kafka.gap', topic, lane: partition, expected: next, found },
      `${topic}/${partition} does not go on at ${next} but at ${found}`,
    )
    this.#options.onGap(partition, topic, next, found)
  }

  #fail(error: Error): void {
    if (this.#closed) return
    this.#stop()
    this.#options.onFailure(error)
  }

  // --- what kafkajs is told ---

  #fetch({ topic, partition, next }: Cursor): void {
    this.#tell(() => {
      this.#consumer.seek({ topic, partition, offset: String(next) })
      this.#consumer.resume([{ topic, partitions: [partition] }])
    })
  }

  #pause(places: readonly Place[]): void {
    if (places.length === 0) return
    this.#tell(() => this.#consumer.pause(places.map(({ topic, partition }) => ({ topic, partitions: [partition] }))))
  }

  /** Before the first join, and while it starts again, kafkajs refuses; the next join sets everything. */
  #tell(change: () => void): void {
    if (!this.#joined || this.#closed) return
    try {
      change()
    } catch (error) {
      this.#log.debug({ event: 'kafka.between_joins', error: asBusError(error, 'reader').message }, 'the reader is between two joins')
    }
  }

  #stop(): void {
    this.#closed = true
    this.#watch.close()
    this.#commits.close()
    this.#ended.reject(new BusError('closed', `reader of ${this.#options.service}: the bus was closed`))
  }

  /** Leaves the group, and takes the group away: empty, it would stay listed for a day. */
  async #disappear(): Promise<void> {
    await this.#consumer.disconnect()
    if (!this.#joined) return
    const admin = this.#kafka.admin({ retry: { retries: 0 } })
    await admin.connect()
    await admin.deleteGroups([this.#groupId]).finally(() => admin.disconnect())
  }
}
