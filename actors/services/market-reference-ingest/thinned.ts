import type { Clock } from '#actors/runtime/ports.ts'
import type { Ticker } from '#actors/venues/kraken/ticker.ts'

export type KrakenEvent =
  | {
      readonly type: 'kraken.ticker'
      readonly bid: string
      readonly ask: string
      readonly at: number
      readonly venue_at: string | null
      readonly raw: string
    }
  | { readonly type: 'kraken.confirmed'; readonly at: number; readonly updated: boolean }
  | { readonly type: 'kraken.up' }
  | { readonly type: 'kraken.down'; readonly reason: string }

interface ThinnedOptions {
  /** False: nobody heard it. */
  readonly tell: (event: KrakenEvent) => boolean
  readonly clock: Clock
}

const CONFIRM_EVERY_MS = 1_000
/** At most twenty changes a second become turns; the last one is never left out. */
const CHANGE_EVERY_MS = 50

/**
 * Kraken's stream, thinned to what an actor has to know: each change of the best prices, and once a second that they hold.
 * A book's best prices can move a hundred times a second, and a heartbeat comes even when nothing does.
 */
export class ThinnedTicker {
  readonly #options: ThinnedOptions
  #told: Ticker | null = null
  #waiting: Ticker | null = null
  #changedAtMs = Number.NEGATIVE_INFINITY
  #confirmedAtMs = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | null = null

  constructor(options: ThinnedOptions) {
    this.#options = options
  }

  ticker(ticker: Ticker): void {
    const before = this.#waiting ?? this.#told
    if (before && before.bid === ticker.bid && before.ask === ticker.ask) return this.#confirm(ticker.receivedAtMs, true)
    this.#waiting = ticker
    const waitMs = this.#changedAtMs + CHANGE_EVERY_MS - this.#options.clock.monotonicMs()
    if (waitMs <= 0) this.#change()
    else this.#cancel ??= this.#options.clock.after(waitMs, () => this.#change())
  }

  heartbeat(atMs: number): void {
    this.#confirm(atMs, false)
  }

  /** The next ticker is news, whatever it says. */
  forget(): void {
    this.#cancel?.()
    this.#cancel = null
    this.#told = null
    this.#waiting = null
  }

  #change(): void {
    this.#cancel?.()
    this.#cancel = null
    const ticker = this.#waiting
    if (!ticker) return
    this.#waiting = null
    this.#changedAtMs = this.#options.clock.monotonicMs()
    this.#confirmedAtMs = this.#changedAtMs
    const { bid, ask, receivedAtMs, at, raw } = ticker
    // Nobody heard it: the same prices again would still be news.
    this.#told = this.#options.tell({ type: 'kraken.ticker', bid, ask, at: receivedAtMs, venue_at: at, raw }) ? ticker : null
  }

  #confirm(at: number, updated: boolean): void {
    const now = this.#options.clock.monotonicMs()
    if (!this.#told || this.#waiting || now - this.#confirmedAtMs < CONFIRM_EVERY_MS) return
    this.#confirmedAtMs = now
    this.#options.tell({ type: 'kraken.confirmed', at, updated })
  }
}
