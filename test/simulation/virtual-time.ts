import { createHash } from 'node:crypto'

interface Happening {
  readonly atMs: number
  readonly order: number
  readonly label: string
  readonly run: () => void
  cancelled: boolean
}

/** So many steps at one moment are a loop that waits for nothing. */
const STANDSTILL_STEPS = 5_000

/** A call of the hash costs more than what it hashes. */
const HASHED_AT_ONCE = 16 * 1024

/** A world's only clock: whatever happens is a step on it, and between two steps every promise has settled. */
export class VirtualTime {
  #nowMs: number
  #order = 0
  /** latest first */
  #waiting: Happening[] = []
  readonly #startMs: number
  readonly #heard: ((line: string) => void) | undefined
  #trace = createHash('sha256')
  #unhashed = ''
  #stoodStill = 0
  steps = 0

  /** @param heard every happening, as a line: milliseconds since the start, what happened */
  constructor(startMs: number, heard?: (line: string) => void) {
    this.#nowMs = startMs
    this.#startMs = startMs
    this.#heard = heard
  }

  get nowMs(): number {
    return this.#nowMs
  }

  /** @param label what a trace shows: who, and what */
  after(ms: number, label: string, run: () => void): () => void {
    const happening: Happening = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, label, run, cancelled: false }
    let [low, high] = [0, this.#waiting.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#waiting[middle]!.atMs > happening.atMs) low = middle + 1
      else high = middle
    }
    this.#waiting.splice(low, 0, happening)
    return () => void (happening.cancelled = true)
  }

  /** Runs what is next if it is due by then; false: nothing is, and it is then. */
  async step(untilMs: number): Promise<boolean> {
    for (;;) {
      const next = this.#waiting.at(-1)
      if (!next || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs)
        return false
      }
      this.#waiting.pop()
      if (next.cancelled) continue
      this.#stoodStill = next.atMs > this.#nowMs ? 0 : this.#stoodStill + 1
      if (this.#stoodStill > STANDSTILL_STEPS) throw new Error(`time stands still: ${next.label}, again and again`)
      this.#nowMs = next.atMs
      this.steps++
      this.note(next.label)
      next.run()
      await promisesSettled()
      return true
    }
  }

  /** All of them stood still, and go on now. */
  jump(ms: number): void {
    this.#nowMs += ms
    for (const happening of this.#waiting) if (happening.atMs < this.#nowMs) Object.assign(happening, { atMs: this.#nowMs })
    this.note(`jump ${ms}`)
  }

  note(text: string): void {
    const line = this.#line(text)
    this.#heard?.(line)
    this.#unhashed += `${line}\n`
    if (this.#unhashed.length > HASHED_AT_ONCE) this.#hash()
  }

  /** Says something to whoever hears; the trace's hash knows nothing of it. */
  tell(text: string): void {
    this.#heard?.(this.#line(text))
  }

  #line(text: string): string {
    return `${(this.#nowMs - this.#startMs).toFixed(3)} ${text}`
  }

  #hash(): void {
    this.#trace.update(this.#unhashed)
    this.#unhashed = ''
  }

  /** The same seed gives the same. */
  traceHash(): string {
    this.#hash()
    return this.#trace.copy().digest('hex').slice(0, 16)
  }
}

/** A macrotask: whatever a step made runnable by promises has run. It waits for no time. */
export const promisesSettled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
