import { storeCode, textOf } from './faults.ts'
import { repeatedly } from './log.ts'
import type { Ownership } from './ownership.ts'
import type { MessageBus } from './bus-port.ts'
import type { Clock, Log } from './ports.ts'

export interface Away {
  readonly code: 'DATABASE_UNREACHABLE' | 'KAFKA_UNREACHABLE'
  readonly sinceMs: number
  readonly detail: string
}

const START_RETRY_MS = 500
/** A reader that fetches nothing still has a heartbeat every three seconds. */
const BUS_SILENT_MS = 7_000

/** Whether this process reaches what it stands on, the store and the bus, and since when it does not. */
export class Reach {
  readonly #clock: Clock
  readonly #log: Log
  readonly #bus: MessageBus
  readonly #begunMs: number
  /** before the first lease; from then on the lease tells */
  #storeAway: { readonly sinceMs: number; readonly detail: string } | null = null

  constructor({ clock, log, bus }: { clock: Clock; log: Log; bus: MessageBus }) {
    this.#clock = clock
    this.#log = log
    this.#bus = bus
    this.#begunMs = clock.wallMs()
  }

  /** Tries again what a store that is away could not do; what it refuses is thrown, and everything once it `isOver`. */
  async patiently<T>(work: () => Promise<T>, isOver: () => boolean): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        const done = await work()
        if (this.#storeAway) this.#log.info({ event: 'database.recovered', tries }, 'the database answers')
        this.#storeAway = null
        return done
      } catch (error) {
        const code = storeCode(error)
        if (isOver() || (code !== 'unavailable' && code !== 'unknown')) throw error
        repeatedly(this.#log, tries)({ event: tries === 1 ? 'database.lost' : 'database.still_lost', tries }, textOf(error))
        this.#storeAway = { sinceMs: this.#storeAway?.sinceMs ?? this.#clock.wallMs(), detail: textOf(error) }
        await new Promise<void>((resolve) => this.#clock.after(START_RETRY_MS, resolve))
      }
    }
  }

  away({ failures, renewedAtMs, lastError }: Pick<Ownership, 'failures' | 'renewedAtMs' | 'lastError'>): Away[] {
    const nowMs = this.#clock.wallMs()
    const store = this.#storeAway ?? (failures > 0 ? { sinceMs: renewedAtMs ?? nowMs, detail: lastError } : null)
    const heardAtMs = this.#bus.heardAtMs ? (this.#bus.heardAtMs() ?? this.#begunMs) : nowMs
    return [
      ...(store ? [{ code: 'DATABASE_UNREACHABLE', ...store } as const] : []),
      ...(nowMs - heardAtMs > BUS_SILENT_MS
        ? [{ code: 'KAFKA_UNREACHABLE', sinceMs: heardAtMs, detail: 'no broker answers' } as const]
        : []),
    ]
  }
}
