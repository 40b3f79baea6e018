import type { AuctionOrder, Auctions, Plan } from './auctions.ts'
import type { Ledger } from './ledger.ts'
import type { Market } from './market.ts'
import type { Random } from './random.ts'
import { BTC_IDS, EURE, SOLVER, USDC, WNEAR } from './tokens.ts'
import type { Timers } from './timers.ts'

/** Notional in cents; a euro cent is 10^16 EURe units. */
const CENT = 10n ** 16n

/**
 * Takers that ask all day: both directions, both BTC ids, both fixed sides, mostly 1 to 4.5 EURe, one in twenty above the cap of 5,
 * one in twelve for another pair. Where an inventory runs low the flow turns, so both directions stay alive.
 */
export class Traffic {
  rate: number
  on: boolean
  /** Share of off-pair requests; a client that filters never sees them. */
  offPairShare = 0.08
  readonly #parts: { auctions: Auctions; ledger: Ledger; market: Market; random: Random; timers: Timers }
  #next: NodeJS.Timeout | undefined

  constructor(parts: { auctions: Auctions; ledger: Ledger; market: Market; random: Random; timers: Timers; rate: number; on: boolean }) {
    this.#parts = parts
    this.rate = parts.rate
    this.on = parts.on
    this.#schedule()
  }

  set(on: boolean, rate = this.rate): void {
    this.on = on
    this.rate = rate
    this.#schedule()
  }

  /** Gaps between 0.5 and 1.5 of the mean; fractions of a millisecond are carried, so 400 a second is 400. */
  #schedule(dueAt = performance.now()): void {
    const { timers, random } = this.#parts
    timers.cancel(this.#next)
    if (!this.on || this.rate <= 0) return
    const nextAt = dueAt + (1_000 / this.rate) * random.between(0.5, 1.5)
    this.#next = timers.after(nextAt - performance.now(), () => {
      this.#parts.auctions.open(this.order())
      this.#schedule(Math.max(nextAt, performance.now() - 1_000))
    })
  }

  /** The next taker's wish. */
  order(): AuctionOrder {
    const { random } = this.#parts
    const frame = {
      min_deadline_ms: random.chance(0.7) ? random.integer(3_000, 5_000) : random.integer(5_000, 20_000),
      min_wait_ms: random.integer(100, 300),
      max_wait_ms: random.integer(600, 1_500),
      partner_id: random.pick('1click', '1click', 'router-solver'),
      plan: this.#plan(),
    }
    if (random.chance(this.offPairShare)) return { ...frame, ...this.#offPair() }
    const cents = BigInt(random.chance(0.05) ? random.integer(520, 2_000) : random.integer(100, 450))
    const btc = random.pick(BTC_IDS[0] ?? '', ...BTC_IDS.slice(1))
    const givesBtc = this.#takerGivesBtc(btc)
    const eureUnits = cents * CENT + BigInt(random.integer(0, 999_999_999)) * 1_000n
    const btcUnits = (eureUnits * 20n) / (this.#parts.market.midTwentieths * 10n ** 10n)
    const [token_in, token_out] = givesBtc ? [btc, EURE] : [EURE, btc]
    const fixesIn = random.chance(0.5)
    const amount = (fixesIn === givesBtc ? btcUnits : eureUnits).toString()
    return { ...frame, token_in, token_out, ...(fixesIn ? { exact_amount_in: amount } : { exact_amount_out: amount }) }
  }

  /** Of good answers 60 % are taken, 20 % meet a better competitor, 13 % are never taken, 7 % are taken and then not paid. */
  #plan(): Plan {
    const { random } = this.#parts
    const draw = random.next()
    return draw < 0.6 ? 'accept' : draw < 0.8 ? 'lose' : draw < 0.93 ? 'ignore' : 'fail'
  }

  #takerGivesBtc(btc: string): boolean {
    const { ledger, random } = this.#parts
    const eureIsLow = ledger.balance(SOLVER, EURE) < 200n * 10n ** 18n
    const btcIsLow = ledger.balance(SOLVER, btc) < 400_000n
    return random.chance(eureIsLow === btcIsLow ? 0.5 : btcIsLow ? 0.9 : 0.1)
  }

  #offPair(): Pick<AuctionOrder, 'token_in' | 'token_out' | 'exact_amount_in'> {
    const { random } = this.#parts
    const [token_in, token_out] = random.pick([WNEAR, USDC] as const, [USDC, EURE] as const, [BTC_IDS[0] ?? '', BTC_IDS[1] ?? ''] as const)
    return { token_in, token_out, exact_amount_in: random.integer(1_000, 900_000).toString() }
  }
}
