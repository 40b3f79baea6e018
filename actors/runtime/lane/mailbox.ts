import type { Address, Cause } from '#machines/contracts/stamp.ts'
import type { BusRecord } from '../bus-port.ts'
import type { EffectRow, Letter, OrderRow, TimerRow } from '../rows.ts'

/** Something that has arrived for a lane and waits for its turn. */
export type Item =
  | { readonly from: 'order'; readonly order: OrderRow }
  | { readonly from: 'record'; readonly record: BusRecord }
  | { readonly from: 'timer'; readonly timer: TimerRow }
  | { readonly from: 'effect'; readonly end: EffectEnd }
  /** a parked event that is taken again; it waits in its row, and not here */
  | { readonly from: 'letter'; readonly letter: Letter }
  | { readonly from: 'tell'; readonly to: Address; readonly event: PlainEvent; readonly cause: Cause | null }

export type PlainEvent = { readonly type: string } & Readonly<Record<string, unknown>>

/** What became of an effect: an event for its actor, and the ledger's state from here on. */
export interface EffectEnd {
  readonly row: EffectRow
  readonly event: PlainEvent
}

const BATCH_EVENTS = 1_024
const BATCH_BYTES = 1024 * 1024
/** Beyond this the inputs are held until what waits has fallen to a quarter. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024

/** The ordered events waiting for one lane: orders first, then whatever else in the order of arrival. */
export class Mailbox {
  #orders: Item[] = []
  #items: Item[] = []
  #head = 0
  #recordBytes = 0
  #orderIds = new Set<number>()

  add(item: Item): void {
    // An order's number is kept for good: it may be read once more while its commit is under way.
    if (item.from !== 'order') this.#items.push(item)
    else if (!this.#orderIds.has(item.order.id)) this.#orders.push(item)
    if (item.from === 'order') this.#orderIds.add(item.order.id)
    this.#recordBytes += sizeOf(item)
  }

  /** Puts items that were taken back in front, in their order; a parked event is read again from its row. */
  putBack(items: readonly Item[]): void {
    this.#orders = [...items.filter((item) => item.from === 'order'), ...this.#orders]
    const rest = items.filter((item) => item.from !== 'order' && item.from !== 'letter')
    this.#items = [...rest, ...this.#items.slice(this.#head)]
    this.#head = 0
    for (const item of items) this.#recordBytes += sizeOf(item)
  }

  get length(): number {
    return this.#orders.length + this.#items.length - this.#head
  }

  get hasOrders(): boolean {
    return this.#orders.length > 0
  }

  /** Takes up to a batch; `only` orders while Kafka takes nothing. */
  take(limit: number, only?: 'orders'): Item[] {
    const taken: Item[] = []
    let bytes = 0
    const room = (): boolean => taken.length < Math.min(limit, BATCH_EVENTS) && bytes < BATCH_BYTES
    while (this.#orders.length > 0 && room()) taken.push(this.#orders.shift()!)
    while (!only && this.#head < this.#items.length && room()) {
      const item = this.#items[this.#head++]!
      bytes += sizeOf(item)
      taken.push(item)
    }
    if (this.#head > 10_000 || this.#head === this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    this.#recordBytes -= bytes
    return taken
  }

  /** Drops the waiting records of a topic: they are read again from where the lane stands. */
  dropRecords(topic: string): void {
    const kept = this.#items.slice(this.#head).filter((item) => item.from !== 'record' || item.record.topic !== topic)
    this.#items = kept
    this.#head = 0
    this.#recordBytes = kept.reduce((sum, item) => sum + sizeOf(item), 0)
  }

  get full(): boolean {
    return this.#recordBytes > HIGH_WATER_BYTES
  }

  get low(): boolean {
    return this.#recordBytes < HIGH_WATER_BYTES / 4
  }
}

const sizeOf = (item: Item): number => (item.from === 'record' ? (item.record.value?.length ?? 0) + 200 : 0)
