import type { Check, Inspection, Offer, QuoteRequest, QuoteResponse } from './inspection.ts'
import type { Ledger, Transaction } from './ledger.ts'
import type { Market } from './market.ts'
import { EURE, isBtc, isPair, SOLVER } from './tokens.ts'
import type { Timers } from './timers.ts'

/*
 * What the solver must never do, counted. A rejection by the relay may be bad luck; a violation never is.
 *
 * V1. One quote_id gets one response: never a second one, with other bytes or the same, over whatever connection (DOUBLE_RESPONSE).
 * V2. One nonce, one payload (NONCE_REUSED).
 * V3. Signature, recipient and amounts are right (INVALID_SIGNATURE, WRONG_RECIPIENT, AMOUNT_MISMATCH), the deadline as long as demanded (DEADLINE_TOO_SHORT).
 * V4. An offer leaves the threshold against the reference at some moment of the last ten seconds (EDGE_VIOLATION), and stays under the cap (NOTIONAL_ABOVE_CAP).
 * V5. Open signed offers of a token never sum to more than is credited of it (OVERCOMMITTED). Rejected ones count: what is signed can settle.
 * V6. A disarmed solver answers nothing (DISARMED_RESPONSE).
 */
export type ViolationCode =
  | 'DOUBLE_RESPONSE'
  | 'NONCE_REUSED'
  | 'INVALID_SIGNATURE'
  | 'WRONG_RECIPIENT'
  | 'AMOUNT_MISMATCH'
  | 'DEADLINE_TOO_SHORT'
  | 'EDGE_VIOLATION'
  | 'NOTIONAL_ABOVE_CAP'
  | 'OVERCOMMITTED'
  | 'DISARMED_RESPONSE'
  | 'LEDGER_BROKEN'

export interface Violation {
  readonly code: ViolationCode
  readonly quote_id: string
  readonly detail: string
  readonly at: string
}

/** What the solver is held to; `POST /expect` changes it. */
export interface Expectations {
  armed: boolean
  thresholdBps: bigint
  /** EURe base units. */
  capUnits: bigint
  edgeWindowMs: number
}

/** A signed response and the truth about it. */
export interface Answer {
  readonly quote_id: string
  readonly quote_hash: string
  readonly nonce: string
  readonly token_in: string
  readonly token_out: string
  readonly amount_in: string
  readonly amount_out: string
  readonly deadline: string
  readonly responded_at: string
  relay_said: 'OK' | 'error' | 'silence'
  error?: string
  state: 'open' | 'settled' | 'expired_unused'
  tx_hash?: string
  settled_height?: number
  readonly offer: Offer
}

export interface Arrival {
  readonly connection: number
  /** The params as they came, byte for byte. */
  readonly text: string
}

const ANSWERS_KEPT = 60_000
const VIOLATIONS_KEPT = 1_000

export class Referee {
  readonly expect: Expectations = { armed: true, thresholdBps: 200n, capUnits: 5n * 10n ** 18n, edgeWindowMs: 10_000 }
  readonly violations: Violation[] = []
  readonly counts: Partial<Record<ViolationCode, number>> = {}
  /** By quote hash. */
  readonly answers = new Map<string, Answer>()
  readonly #arrivals = new Map<string, Arrival>()
  readonly #nonces = new Map<string, string>()
  readonly #open = new Map<string, bigint>()
  readonly #ledger: Ledger
  readonly #market: Market
  readonly #timers: Timers

  constructor(ledger: Ledger, market: Market, timers: Timers) {
    this.#ledger = ledger
    this.#market = market
    this.#timers = timers
  }

  count(code: ViolationCode, quoteId: string, detail: string): void {
    this.counts[code] = (this.counts[code] ?? 0) + 1
    if (this.violations.length < VIOLATIONS_KEPT)
      this.violations.push({ code, quote_id: quoteId, detail, at: new Date(this.#ledger.now()).toISOString() })
  }

  /**
   * Looks at one response with signed data, before the relay answers it.
   * @returns the answer to follow up, the earlier one for repeated bytes; undefined where nothing could ever settle
   */
  judge(
    response: QuoteResponse,
    inspection: Inspection,
    request: QuoteRequest | undefined,
    isOpen: boolean,
    arrival: Arrival,
  ): Answer | undefined {
    const { quote_id } = response
    if (!this.expect.armed) this.count('DISARMED_RESPONSE', quote_id, 'the solver had said that it is disarmed')
    this.#judgeRepeat(quote_id, arrival)
    this.#judgeFindings(quote_id, inspection, isOpen)
    const { offer } = inspection
    if (!offer) return undefined
    this.#judgeNonce(quote_id, offer)
    const known = this.answers.get(offer.opened.hash)
    if (known) return known
    if (isPair(offer.tokenIn, offer.tokenOut)) this.#judgePrice(quote_id, offer)
    return this.#follow(quote_id, offer, request)
  }

  settled(answer: Answer, transaction: Transaction): void {
    if (answer.state === 'settled') return
    if (answer.state === 'open') this.#release(answer)
    answer.state = 'settled'
    answer.tx_hash = transaction.hash
    answer.settled_height = transaction.height
  }

  /** Units of a token that open offers give away. */
  openUnits(token: string): bigint {
    return this.#open.get(token) ?? 0n
  }

  #judgeRepeat(quoteId: string, arrival: Arrival): void {
    const earlier = this.#arrivals.get(quoteId)
    this.#arrivals.set(quoteId, arrival)
    trim(this.#arrivals)
    if (!earlier) return
    const bytes = earlier.text === arrival.text ? 'the same bytes' : 'other bytes'
    const connection = earlier.connection === arrival.connection ? 'the same' : 'another'
    this.count('DOUBLE_RESPONSE', quoteId, `a second response with ${bytes}, over ${connection} connection`)
  }

  #judgeFindings(quoteId: string, { findings }: Inspection, isOpen: boolean): void {
    const code: Partial<Record<Check, ViolationCode>> = {
      signature: 'INVALID_SIGNATURE',
      recipient: 'WRONG_RECIPIENT',
      output_side: 'AMOUNT_MISMATCH',
      diff: 'AMOUNT_MISMATCH',
      fixed_side: 'AMOUNT_MISMATCH',
      output_amount: 'AMOUNT_MISMATCH',
      signed_data: 'AMOUNT_MISMATCH',
      ...(isOpen && { deadline: 'DEADLINE_TOO_SHORT' as const }),
    }
    for (const { check, text } of findings) {
      const violation = code[check]
      if (violation) this.count(violation, quoteId, text)
    }
  }

  #judgeNonce(quoteId: string, { opened }: Offer): void {
    const id = `${opened.signerId} ${opened.nonce}`
    const earlier = this.#nonces.get(id)
    if (earlier !== undefined && earlier !== opened.hash) this.count('NONCE_REUSED', quoteId, `nonce of ${earlier} again in ${opened.hash}`)
    this.#nonces.set(id, opened.hash)
    trim(this.#nonces)
  }

  #judgePrice(quoteId: string, offer: Offer): void {
    const eureUnits = offer.tokenIn === EURE ? offer.amountIn : offer.amountOut
    if (eureUnits > this.expect.capUnits)
      this.count('NOTIONAL_ABOVE_CAP', quoteId, `${eureUnits} EURe units, the cap is ${this.expect.capUnits}`)
    const quotes = this.#market.since(this.expect.edgeWindowMs)
    if (
      quotes.some(({ bidTenths, askTenths }) =>
        leavesThreshold(offer, isBtc(offer.tokenIn) ? bidTenths : askTenths, this.expect.thresholdBps),
      )
    )
      return
    const { bidTenths, askTenths } = this.#market.quote
    this.count(
      'EDGE_VIOLATION',
      quoteId,
      `takes ${offer.amountIn} for ${offer.amountOut} at bid ${bidTenths} ask ${askTenths} (tenths of EUR)`,
    )
  }

  #follow(quoteId: string, offer: Offer, request: QuoteRequest | undefined): Answer {
    const now = this.#ledger.now()
    const answer: Answer = {
      quote_id: quoteId,
      quote_hash: offer.opened.hash,
      nonce: offer.opened.nonce,
      token_in: offer.tokenIn,
      token_out: offer.tokenOut,
      amount_in: offer.amountIn.toString(),
      amount_out: offer.amountOut.toString(),
      deadline: new Date(offer.opened.deadlineMs).toISOString(),
      responded_at: new Date(now).toISOString(),
      relay_said: 'silence',
      state: 'open',
      offer,
    }
    this.answers.set(answer.quote_hash, answer)
    trim(this.answers)
    const sum = this.openUnits(offer.tokenOut) + offer.amountOut
    this.#open.set(offer.tokenOut, sum)
    const credited = this.#ledger.balance(offer.opened.signerId, offer.tokenOut)
    if (request && offer.opened.signerId === SOLVER && sum > credited)
      this.count('OVERCOMMITTED', quoteId, `${sum} of ${offer.tokenOut} signed away, ${credited} credited`)
    this.#timers.after(Math.min(offer.opened.deadlineMs - now, 2 ** 31 - 2) + 1, () => this.#expire(answer))
    return answer
  }

  #expire(answer: Answer): void {
    if (answer.state !== 'open') return
    answer.state = 'expired_unused'
    this.#release(answer)
  }

  #release({ offer }: Answer): void {
    this.#open.set(offer.tokenOut, this.openUnits(offer.tokenOut) - offer.amountOut)
  }
}

/**
 * Whether an offer leaves the threshold; exact. 8 decimals of BTC, 18 of EURe, prices in tenths: EURe units for a BTC unit are tenths times 10^9.
 * @param tenths  the bid where the solver receives BTC, the ask where it gives it
 */
const leavesThreshold = (offer: Offer, tenths: bigint, thresholdBps: bigint): boolean =>
  isBtc(offer.tokenIn)
    ? offer.amountOut * 10_000n <= offer.amountIn * tenths * 10n ** 9n * (10_000n - thresholdBps)
    : offer.amountIn * 10_000n >= offer.amountOut * tenths * 10n ** 9n * (10_000n + thresholdBps)

const trim = (map: Map<string, unknown>): void => {
  if (map.size > ANSWERS_KEPT) map.delete(map.keys().next().value ?? '')
}
