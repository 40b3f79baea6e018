import type { MessageBus } from '#actors/runtime/bus-port.ts'
import type { Clock } from '#actors/runtime/ports.ts'
import type { LaneStore } from '#actors/runtime/store-port.ts'
import type { Host } from '#actors/runtime/host.ts'
import type { Random } from './random.ts'
import type { VirtualTime } from './virtual-time.ts'

/**
 * A process as the world sees it. Whatever reaches it (an answer, a record, a timer) comes through `enter`:
 * a dead one gets nothing any more, a frozen one gets it all when it goes on.
 */
export class SimProcess {
  readonly id: string
  readonly service: string
  readonly release: string
  readonly startedAtMs: number
  readonly clock: Clock
  readonly #time: VirtualTime
  readonly #backlog: { label: string; run: () => void }[] = []
  skewMs = 0
  dead = false
  frozen = false
  draining = false
  /** when a disarm was last given to this process; null: never */
  disarmedAtMs: number | null = null
  host: Host | null = null
  store: LaneStore | null = null
  onDeath: () => void = () => {}

  constructor(time: VirtualTime, id: string, service: string, release: string) {
    this.#time = time
    this.id = id
    this.service = service
    this.release = release
    this.startedAtMs = time.nowMs
    this.clock = {
      wallMs: () => Math.floor(time.nowMs + this.skewMs),
      monotonicMs: () => time.nowMs,
      after: (ms, callback) => time.after(ms, `${this.name} timer`, () => this.enter('timer', callback)),
    }
  }

  get name(): string {
    return `${this.service}#${this.id.slice(-4)}`
  }

  get live(): boolean {
    return !this.dead && !this.frozen
  }

  enter(label: string, run: () => void): void {
    if (this.dead) return
    if (this.frozen || this.#backlog.length > 0) this.#backlog.push({ label, run })
    else run()
  }

  /** The outcome of something outside, as this process gets to know it. */
  hears<T>(outside: Promise<T>, label: string): Promise<T> {
    return new Promise((resolve, reject) => {
      outside.then(
        (value) => this.enter(label, () => resolve(value)),
        (error: unknown) => this.enter(label, () => reject(error)),
      )
    })
  }

  /** kill -9 */
  kill(): void {
    this.dead = true
    this.#backlog.length = 0
    this.onDeath()
  }

  /** SIGSTOP */
  freeze(): void {
    this.frozen = true
  }

  /** SIGSTOP, and SIGCONT so much later */
  standStill(ms: number): void {
    this.#time.note(`freeze ${this.name} for ${ms} ms`)
    this.freeze()
    this.#time.after(ms, `${this.name} goes on`, () => this.goOn())
  }

  /** SIGCONT: what it has missed comes in its order. */
  goOn(): void {
    if (!this.frozen || this.dead) return
    this.frozen = false
    this.#catchUp()
  }

  #catchUp(): void {
    const [next] = this.#backlog
    if (!next || this.dead) return
    this.#time.after(0, `${this.name} ${next.label} late`, () => {
      if (this.dead || this.frozen || this.#backlog[0] !== next) return
      next.run()
      this.#backlog.shift()
      this.#catchUp()
    })
  }
}

/** A signature takes a moment. Now and then its process stands still in it, for longer than its lease. */
export const signing = (process: SimProcess, random: Random): Promise<void> => {
  if (random.chance(0.02)) process.standStill(random.between(1_000, 5_000))
  return new Promise((resolve) => process.clock.after(2, resolve))
}

/** A process's own end of the bus. */
export const connected = (bus: MessageBus, process: SimProcess): MessageBus => ({
  send: (records) => process.hears(bus.send(records), 'sent'),
  reader: async (options) => {
    const taken = new Map<number, number>()
    const reader = await bus.reader({
      ...options,
      onRecords: (lane, topic, records, high) => {
        const since = taken.get(lane)
        process.enter('records', () => {
          if (taken.get(lane) === since) options.onRecords(lane, topic, records, high)
        })
      },
      onTable: (record) => process.enter('table', () => options.onTable(record)),
      onGap: (lane, topic, expected, found) => process.enter('gap', () => options.onGap(lane, topic, expected, found)),
    })
    let takes = 0
    return {
      ...reader,
      ends: (lane) => process.hears(reader.ends(lane), 'ends'),
      take: (lane, next) => {
        taken.set(lane, ++takes)
        reader.take(lane, next)
      },
      leave: (lane) => {
        taken.delete(lane)
        reader.leave(lane)
      },
    }
  },
  close: () => bus.close(),
})
