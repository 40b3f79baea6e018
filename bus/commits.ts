import type { BrokerView, Offset, Place } from './cluster.ts'
import type { Log } from './shapes.ts'
import { within } from './within.ts'

const EVERY_MS = 1_000
const FLUSH_MS = 500
/** Kafka forgets a group's offset after seven days without a commit; a quiet lane's is written again long before. */
const REPEAT_MS = 3_600_000

/**
 * Durable offsets, for lag tools: at most one commit a second, in the background, of what has changed. A failed one is made up for by the next.
 * Before each, what was committed is looked for: a commit that has gone went with its topic, and our commit would hide that.
 */
export class Commits {
  readonly #view: BrokerView
  readonly #log: Log
  readonly #onVanished: (place: Place) => void
  readonly #due = new Map<string, Offset>()
  /** the last offset that the broker was seen to have of each partition, in this process */
  readonly #seen = new Map<string, Offset>()
  #timer: NodeJS.Timeout | null = null
  #repeatTimer: NodeJS.Timeout
  #closed = false
  #failed = false

  constructor(options: { view: BrokerView; log: Log; onVanished: (place: Place) => void }) {
    this.#view = options.view
    this.#log = options.log
    this.#onVanished = options.onVanished
    this.#repeatTimer = setInterval(() => this.#repeat(), REPEAT_MS)
    this.#repeatTimer.unref()
  }

  /** null: this process has not seen any */
  seen({ topic, partition }: Place): number | null {
    return this.#seen.get(`${topic}/${partition}`)?.offset ?? null
  }

  /** Of a lane that is no longer ours, or of a log that is no longer what it was. */
  forget({ topic, partition }: Place): void {
    this.#due.delete(`${topic}/${partition}`)
    this.#seen.delete(`${topic}/${partition}`)
  }

  note(offset: Offset): void {
    this.#due.set(`${offset.topic}/${offset.partition}`, offset)
    this.#schedule()
  }

  /** What is due of these, now: their next owner, who commits them later, should not find ours behind it. */
  async flush(places: readonly Place[]): Promise<void> {
    const due = places.flatMap(({ topic, partition }) => this.#due.get(`${topic}/${partition}`) ?? [])
    if (due.length > 0) await within(FLUSH_MS, this.#view.commit(due))
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    clearInterval(this.#repeatTimer)
  }

  #schedule(): void {
    if (this.#timer !== null || this.#closed) return
    this.#timer = setTimeout(() => {
      void this.#commit().finally(() => {
        this.#timer = null
        if (this.#due.size > 0) this.#schedule()
      })
    }, EVERY_MS)
  }

  async #commit(): Promise<void> {
    try {
      for (const { topic, partition, offset } of await this.#view.committed([...this.#due.values()])) {
        const name = `${topic}/${partition}`
        if (offset !== null) {
          if (this.#due.has(name)) this.#seen.set(name, { topic, partition, offset })
        } else if (this.#seen.has(name)) {
          this.forget({ topic, partition })
          this.#onVanished({ topic, partition })
        }
      }
      const offsets = [...this.#due.values()]
      if (offsets.length === 0 || this.#closed) return
      await this.#view.commit(offsets)
      for (const at of offsets) {
        const name = `${at.topic}/${at.partition}`
        if (this.#due.get(name) === at) this.#due.delete(name)
        this.#seen.set(name, at)
      }
      this.#failed = false
    } catch (error) {
      if (!this.#failed && !this.#closed)
        this.#log.debug(
          { event: 'kafka.commit_repeated', error: error instanceof Error ? error.message : String(error) },
          'offsets for lag tools were not written: again',
        )
      this.#failed = true
    }
  }

  #repeat(): void {
    for (const [name, offset] of this.#seen) if (!this.#due.has(name)) this.#due.set(name, offset)
    if (this.#due.size > 0) this.#schedule()
  }
}
