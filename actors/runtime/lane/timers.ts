import type { TimerRow } from '../rows.ts'

/** The store's timers are read on after this place. */
export type TimerPlace = Pick<TimerRow, 'dueMs' | 'kind' | 'key' | 'timer'>

/** Beyond this many windows the heap is cut back to one. */
const MOST_WINDOWS = 2

/**
 * The armed timers of one lane, earliest first. A timer is known by its actor and name; setting it again replaces it
 * with a new token, and what fires with an older token is stale.
 *
 * W1. Every timer due up to `horizon` is in memory; later ones are rows of the store only.
 * W2. Memory holds at most two windows, however many are armed: beyond that the later ones are left to the store.
 * W3. The next window is read while half of the last is left, and turns go on meanwhile. What they set and cancel in
 *     that time is newer than what was read.
 */
export class Timers {
  readonly #window: number
  #heap: TimerRow[] = []
  #current = new Map<string, TimerRow>()
  /** Null: everything stored is in memory. */
  #horizon: TimerPlace | null = null
  /** While a window is being read: what became of timers since; null for one that is off. */
  #since: Map<string, TimerRow | null> | null = null

  constructor(window: number) {
    this.#window = window
  }

  get size(): number {
    return this.#current.size
  }

  /** Puts what was read of the store in; `more`: the store holds later ones. */
  bring(rows: readonly TimerRow[], more: boolean): void {
    const since = this.#since ?? new Map<string, TimerRow | null>()
    this.#since = null
    for (const row of rows) if (!this.#current.has(timerAt(row)) && !since.has(timerAt(row))) this.#put(row)
    this.#horizon = more ? (rows.at(-1) ?? this.#horizon) : null
    for (const row of since.values()) if (row && !this.#current.has(timerAt(row)) && this.#isWithin(row)) this.#put(row)
    this.#bound()
  }

  /** Where the next window begins; null while none is needed or one is being read. Until `bring` or `unread`, changes are kept apart. */
  read(): TimerPlace | null {
    if (!this.#horizon || this.#since || this.#current.size > this.#window / 2) return null
    this.#since = new Map()
    return this.#horizon
  }

  /** The window could not be read. */
  unread(): void {
    this.#since = null
  }

  set(row: TimerRow): void {
    this.#since?.set(timerAt(row), row)
    if (!this.#isWithin(row)) this.#current.delete(timerAt(row))
    else {
      this.#put(row)
      this.#bound()
    }
  }

  cancel(timer: Pick<TimerRow, 'kind' | 'key' | 'timer'>): void {
    this.#since?.set(timerAt(timer), null)
    this.#current.delete(timerAt(timer))
  }

  /** Null: it is not in memory, and may be among those that are stored only. */
  isArmed(timer: Pick<TimerRow, 'kind' | 'key' | 'timer'>): boolean | null {
    return this.#current.has(timerAt(timer)) || (this.#horizon === null ? false : null)
  }

  isCurrent(row: TimerRow): boolean {
    return this.#current.get(timerAt(row))?.token === row.token
  }

  /** Takes what is due out, at most `limit`; those stay current until their turn has set, cancelled or used them. */
  due(nowMs: number, limit: number): TimerRow[] {
    const due: TimerRow[] = []
    while (due.length < limit) {
      const first = this.#peek()
      if (!first || first.dueMs > nowMs) break
      pop(this.#heap)
      due.push(first)
    }
    return due
  }

  /** Of those in memory; null while the next window is still to be read, and where there is none. */
  nextDueMs(): number | null {
    return this.#peek()?.dueMs ?? null
  }

  #isWithin(row: TimerRow): boolean {
    return this.#horizon === null || compare(row, this.#horizon) <= 0
  }

  #peek(): TimerRow | null {
    for (;;) {
      const first = this.#heap[0]
      if (!first) return null
      if (this.#current.get(timerAt(first)) === first) return first
      pop(this.#heap)
    }
  }

  #put(row: TimerRow): void {
    this.#current.set(timerAt(row), row)
    push(this.#heap, row)
  }

  /** Forgets what was replaced or cancelled, and of what is left all beyond one window. */
  #bound(): void {
    if (this.#heap.length <= this.#window * MOST_WINDOWS) return
    const rows = this.#heap.filter((row) => this.#current.get(timerAt(row)) === row).sort(compare)
    const beyond = rows.splice(this.#window)
    for (const row of beyond) this.#current.delete(timerAt(row))
    if (beyond.length > 0) this.#horizon = rows.at(-1) ?? null
    // In order, so it is a heap.
    this.#heap = rows
  }
}

/** A timer's address as text: its actor's and its name. */
export const timerAt = ({ kind, key, timer }: Pick<TimerRow, 'kind' | 'key' | 'timer'>): string => `${kind}\n${key}\n${timer}`

/** As the store orders them: texts by their bytes. */
const compare = (a: TimerPlace, b: TimerPlace): number =>
  a.dueMs - b.dueMs || compareText(a.kind, b.kind) || compareText(a.key, b.key) || compareText(a.timer, b.timer)

/** JavaScript compares by units of UTF-16, which is the order of the bytes wherever there are no surrogates. */
const compareText = (a: string, b: string): number => {
  if (a === b) return 0
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : 1
}
const SURROGATE = /[\uD800-\uDFFF]/

/** A binary heap, because a sorted array of a hundred thousand timers would be copied at every insert. */
const push = (heap: TimerRow[], row: TimerRow): void => {
  let at = heap.push(row) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (compare(heap[parent]!, row) <= 0) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = row
}

const pop = (heap: TimerRow[]): void => {
  const last = heap.pop()
  if (!last || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && compare(heap[child + 1]!, heap[child]!) < 0) child++
    if (compare(last, heap[child]!) <= 0) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
}
