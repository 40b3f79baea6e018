import type { BrokerView, Place } from './cluster.ts'
import type { Commits } from './commits.ts'
import { lostAt } from './cursors.ts'
import type { Cursor, Cursors } from './cursors.ts'

const EVERY_MS = 3_000
const AGAIN_MS = 500
/** A topic that is not there in so many looks has been deleted. */
const MISSING_LOOKS = 4

export interface WatchOptions {
  readonly view: BrokerView
  readonly cursors: Cursors
  readonly commits: Commits
  /** the log does not continue at `cursor.next`; the cursor has been stopped */
  onLost(cursor: Cursor, expected: number, found: number): void
  /** it does: fetch from `cursor.next` again */
  onSound(cursor: Cursor): void
}

/**
 * Asks the broker what kafkajs does not tell: whether each log still continues where we are. Every three seconds for what flows, which finds
 * logs that were truncated or made anew while nothing arrived; at once (`judge`) for a partition whose records do not fit.
 */
export class Watch {
  readonly #options: WatchOptions
  readonly #missing = new Map<string, number>()
  readonly #judging = new Map<Cursor, number>()
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor(options: WatchOptions) {
    this.#options = options
    this.#schedule()
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  /** Nothing of it should be fetched meanwhile. Ends in onLost or onSound, or in nothing if the cursor has been moved. */
  async judge(cursor: Cursor): Promise<void> {
    const { version } = cursor
    if (this.#judging.get(cursor) === version) return
    this.#judging.set(cursor, version)
    const current = (): boolean => !this.#closed && cursor.version === version
    while (current()) {
      const looked = await this.#look([cursor])
      if (!current()) break
      if (looked === 'done') {
        this.#options.onSound(cursor)
        break
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS).unref())
    }
    if (this.#judging.get(cursor) === version) this.#judging.delete(cursor)
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      const flowing = this.#options.cursors.all().filter((cursor) => cursor.flowing)
      void this.#look(flowing).finally(() => {
        if (!this.#closed) this.#schedule()
      })
    }, EVERY_MS)
    this.#timer.unref()
  }

  /** `again`: the broker did not answer for all of them. */
  async #look(cursors: readonly Cursor[]): Promise<'done' | 'again'> {
    const { view, commits } = this.#options
    const before = cursors.map((cursor) => ({ cursor, version: cursor.version, next: cursor.next }))
    try {
      const ends = new Map((await view.ends(cursors)).map((end) => [nameOf(end), end]))
      for (const { cursor, version, next } of before) {
        if (cursor.version !== version) continue
        const end = ends.get(nameOf(cursor))
        if (end === undefined) {
          this.#noteMissing(cursor)
          continue
        }
        this.#missing.delete(nameOf(cursor))
        const found = lostAt(next, end, cursor.table ? null : commits.seen(cursor))
        if (found !== null) this.#stop(cursor, cursor.table ? end.low : found)
      }
      if (ends.size === before.length) return 'done'
      await view.refresh()
    } catch {
      // The broker is away or the topic is: what cannot be known now is asked again.
    }
    return 'again'
  }

  #noteMissing(cursor: Cursor): void {
    const looks = (this.#missing.get(nameOf(cursor)) ?? 0) + 1
    this.#missing.set(nameOf(cursor), looks)
    if (looks >= MISSING_LOOKS && !cursor.table) this.#stop(cursor, 0)
  }

  #stop(cursor: Cursor, found: number): void {
    const expected = cursor.next
    this.#missing.delete(nameOf(cursor))
    this.#options.commits.forget(cursor)
    if (!cursor.table) this.#options.cursors.hold(cursor)
    this.#options.onLost(cursor, expected, found)
  }
}

const nameOf = ({ topic, partition }: Place): string => `${topic}/${partition}`
