/**
 * What a reader wants of each partition, and what it makes of what arrives. No I/O.
 *
 * C1. Records of an input are handed on only if the first one's offset is the expected one, and without a hole. Whatever kafkajs does on its
 *     own (rewinds at a rebalance, resets when an offset is out of range, hands out what was fetched before a seek) ends here.
 * C2. Records of a partition that does not flow are dropped; it goes on by a seek to what is expected, so nothing depends on what
 *     kafkajs counts as read.
 * C3. Every take, leave, hold, resume and stop changes the cursor's `version`: an answer to a question asked before is void.
 */
import type { BusRecord, PartitionEnds } from './shapes.ts'

export interface Cursor {
  readonly topic: string
  readonly partition: number
  readonly table: boolean
  /** the next offset to hand on */
  next: number
  flowing: boolean
  version: number
}

/** What to do with what arrived: hand it on; forget it; or it does not continue: ask the broker (`judge`). `hole`: the log itself has one. */
export type Verdict =
  | { readonly kind: 'deliver'; readonly records: readonly BusRecord[] }
  | { readonly kind: 'drop' }
  | { readonly kind: 'judge' }
  | { readonly kind: 'hole'; readonly found: number }

export class Cursors {
  readonly #cursors = new Map<string, Cursor>()

  get(topic: string, partition: number): Cursor | undefined {
    return this.#cursors.get(`${topic}/${partition}`)
  }

  all(): Cursor[] {
    return [...this.#cursors.values()]
  }

  start(topic: string, partition: number, next: number, table: boolean): Cursor {
    const version = (this.get(topic, partition)?.version ?? 0) + 1
    const cursor = { topic, partition, table, next, flowing: true, version }
    this.#cursors.set(`${topic}/${partition}`, cursor)
    return cursor
  }

  remove(cursor: Cursor): void {
    this.hold(cursor)
    this.#cursors.delete(`${cursor.topic}/${cursor.partition}`)
  }

  hold(cursor: Cursor): void {
    cursor.flowing = false
    cursor.version += 1
  }

  resume(cursor: Cursor, from = cursor.next): void {
    cursor.next = from
    cursor.flowing = true
    cursor.version += 1
  }

  /** @param askedFrom the offset that this fetch asked for */
  receive(topic: string, partition: number, records: readonly BusRecord[], askedFrom: number): Verdict {
    const cursor = this.get(topic, partition)
    const first = records[0]
    if (cursor === undefined || !cursor.flowing || first === undefined) return { kind: 'drop' }
    if (cursor.table) return receiveTable(cursor, records)
    if (first.offset !== cursor.next)
      return askedFrom === cursor.next && first.offset > cursor.next ? { kind: 'hole', found: first.offset } : { kind: 'judge' }
    const whole = records.findIndex(({ offset }, index) => offset !== first.offset + index)
    const continuous = whole === -1 ? records : records.slice(0, whole)
    cursor.next += continuous.length
    return { kind: 'deliver', records: continuous }
  }
}

/** Holes and jumps are nothing to a table; what was handed on already is not handed on again. */
const receiveTable = (cursor: Cursor, records: readonly BusRecord[]): Verdict => {
  const fresh = records.filter(({ offset }) => offset >= cursor.next)
  const last = fresh.at(-1)
  if (last === undefined) return { kind: 'drop' }
  cursor.next = last.offset + 1
  return { kind: 'deliver', records: fresh }
}

/**
 * Whether the log still continues where it should.
 * @param next       what was expected when the broker was asked; it may have advanced since
 * @param committed  what this reader has itself seen committed for the partition; null: nothing. Kafka drops commits with the topic, so
 *                   a commit that has gone means another topic of that name, however long it is by now.
 * @returns the offset at which the log now begins or ends instead; null if it continues
 */
export const lostAt = (next: number, ends: PartitionEnds, committed: number | null): number | null => {
  if (committed !== null && ends.committed === null) return ends.low
  if (next > ends.high) return ends.high
  return next < ends.low ? ends.low : null
}
