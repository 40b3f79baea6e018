import type { BrokerView, Place } from './cluster.ts'
import type { Commits } from './commits.ts'
import { lostAt } from './cursors.ts'
import type { Cursor, Cursors } from './cursors.ts'

const EVERY_MS = 3_000
const AGAIN_MS = 500

export interface WatchOptions {
  readonly view: BrokerView
  readonly cursors: Cursors
  readonly commits: Commits
  /** the log does not continue at `cursor.next` but, if anywhere, at `found` */
  onLost(cursor: Cursor, found: number): void
  /** it does: fetch from `cursor.next` again */
  onSound(cursor: Cursor): void
}

/**
 * Asks the broker what kafkajs does not tell: whether each log still continues where we are. Every three seconds for what flows, which finds
 * logs that were truncated or made anew while nothing arrived; at once (`judge`) for a partition whose records do not fit.
 */
export class Watch {
  readonly #options: WatchOptions
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
    while (current() && !(await this.#look([cursor]))) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS).unref())
    if (current()) this.#options.onSound(cursor)
    if (this.#judging.get(cursor) === version) this.#judging.delete(cursor)
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      void this.#look(this.#options.cursors.all().filter((cursor) => cursor.flowing)).finally(() => {
        if (!this.#closed) this.#schedule()
      })
    }, EVERY_MS)
    this.#timer.unref()
  }

  /** False: the broker did not answer for all of them. */
  async #look(cursors: readonly Cursor[]): Promise<boolean> {
    const { view, commits, onLost } = this.#options
    // What was seen before the question: a commit that goes out while the answer is on its way is not missing from it.
    const before = cursors.map((cursor) => ({
      cursor,
      version: cursor.version,
      next: cursor.next,
      seen: cursor.table ? null : commits.seen(cursor),
    }))
    try {
      const ends = new Map((await view.ends(cursors)).map((end) => [nameOf(end), end]))
      for (const { cursor, version, next, seen } of before) {
        const end = ends.get(nameOf(cursor))
        if (end === undefined || cursor.version !== version || this.#closed) continue
        const found = lostAt(next, end, seen)
        if (found !== null) onLost(cursor, cursor.table ? end.low : found)
      }
      if (ends.size === before.length) return true
      await view.refresh()
    } catch {
      // The broker is away, or a topic is: what cannot be known now is asked again.
    }
    return false
  }
}

const nameOf = ({ topic, partition }: Place): string => `${topic}/${partition}`
