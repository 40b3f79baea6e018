import type { Random } from './random.ts'

/** Prices in tenths of a euro per BTC: Kraken's BTC/EUR has one decimal. */
export interface Quote {
  readonly at: number
  readonly bidTenths: bigint
  readonly askTenths: bigint
}

const KEPT_MS = 60_000

/**
 * The one true price of the simulated world: a walk that returns to its centre, quoted by Kraken, followed by CoinGecko, known to takers,
 * and held against every offer by the referee. Deviation about 100 EUR at 60 000, some 5 basis points in ten seconds.
 */
export class Market {
  readonly #random: Random
  readonly #now: () => number
  #centre: number
  #mid: number
  #history: Quote[] = []
  readonly #listeners: ((quote: Quote) => void)[] = []

  constructor(random: Random, now: () => number, centre = 60_000) {
    this.#random = random
    this.#now = now
    this.#centre = centre
    this.#mid = centre
    this.#quote()
  }

  get quote(): Quote {
    return this.#history.at(-1) as Quote
  }
  /** Tenths of a euro, doubled, so that it is exact: bid plus ask. */
  get midTwentieths(): bigint {
    return this.quote.bidTenths + this.quote.askTenths
  }
  get midEur(): number {
    return Number(this.midTwentieths) / 20
  }

  onQuote(listener: (quote: Quote) => void): void {
    this.#listeners.push(listener)
  }

  /** One step of the walk; a quarter of a second, by the host's timer. Often nothing moves. */
  step(): void {
    if (this.#random.chance(0.3)) return
    this.#mid += (this.#centre - this.#mid) * 0.002 + this.#random.normal() * this.#centre * 0.0001
    this.#quote()
  }

  /** A jump by admin; the walk goes on around it. */
  jumpTo(mid: number): void {
    this.#centre = mid
    this.#mid = mid
    this.#quote()
  }

  /** Every quote that was valid at some moment of the last `windowMs`. */
  since(windowMs: number): readonly Quote[] {
    const start = this.#now() - windowMs
    const firstInside = this.#history.findIndex((quote) => quote.at >= start)
    return firstInside === -1 ? [this.quote] : this.#history.slice(Math.max(0, firstInside - 1))
  }

  #quote(): void {
    const spread = this.#random.integer(1, 30)
    const bid = Math.round(this.#mid * 10) - Math.floor(spread / 2)
    const quote = { at: this.#now(), bidTenths: BigInt(bid), askTenths: BigInt(bid + spread) }
    this.#history.push(quote)
    if (this.#history.length > 1_000) this.#history = this.#history.filter(({ at }) => at >= quote.at - KEPT_MS)
    for (const listener of this.#listeners) listener(quote)
  }
}

/** "60000.1": always one decimal, as the engine sends it. */
export const tenthsText = (tenths: bigint): string => `${tenths / 10n}.${tenths % 10n}`
