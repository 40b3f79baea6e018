import type { TimerRow } from './ports.ts'

/**
 * The armed timers of one lane, earliest first. A timer is known by its actor and name; setting it again replaces it
 * with a new token, and what fires with an older token is stale.
 *
 * A million timers are not all here: recovery brings the earliest window and `horizon` is where it ends. Timers due
 * beyond the horizon stay rows until the window is refilled.
 */
export class Timers {
  #heap: TimerRow[] = []
  #current = new Map<string, TimerRow>()
  /** Everything stored and due up to here is in memory; null: everything is. */
  #horizon: TimerRow | null = null

  get size(): number {
    return this.#current.size
  }

  get horizon(): TimerRow | null {
    return this.#horizon
  }

  /** Puts a window of stored timers in; `more`: the store holds later ones. */
  fill(rows: readonly TimerRow[], more: boolean): void {
    for (const row of rows) if (!this.#current.has(keyOf(row))) this.#put(row)
    this.#horizon = more ? (rows.at(-1) ?? this.#horizon) : null
  }

  set(row: TimerRow): void {
    if (this.#horizon && compare(row, this.#horizon) > 0) this.#current.delete(keyOf(row))
    else this.#put(row)
  }

  cancel(timer: Pick<TimerRow, 'kind' | 'key' | 'timer'>): void {
    this.#current.delete(keyOf(timer))
  }

  isCurrent(row: TimerRow): boolean {
    return this.#current.get(keyOf(row))?.token === row.token
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

  nextDueMs(): number | null {
    return this.#peek()?.dueMs ?? this.#horizon?.dueMs ?? null
  }

  /** True when everything in the window has been taken out and the store holds more. */
  get wantsMore(): boolean {
    return this.#horizon !== null && this.#peek() === null
  }

  #peek(): TimerRow | null {
    for (;;) {
      const first = this.#heap[0]
      if (!first) return null
      if (this.isCurrent(first)) return first
      pop(this.#heap)
    }
  }

  #put(row: TimerRow): void {
    this.#current.set(keyOf(row), row)
    push(this.#heap, row)
  }
}

const keyOf = ({ kind, key, timer }: Pick<TimerRow, 'kind' | 'key' | 'timer'>): string => `${kind}\n${key}\n${timer}`

const compare = (a: TimerRow, b: TimerRow): number => a.dueMs - b.dueMs || (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0)

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
