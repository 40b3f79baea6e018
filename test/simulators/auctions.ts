import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { closureDelta, supplyDelta } from './fees.ts'
import type { Faults } from './faults.ts'
import { inspect, LATE } from './inspection.ts'
import type { QuoteRequest, QuoteResponse } from './inspection.ts'
import type { Ledger } from './ledger.ts'
import type { Market } from './market.ts'
import type { Answer, Arrival, Referee } from './referee.ts'
import type { Settlement } from './settlement.ts'
import type { Timers } from './timers.ts'
import { isBtc, isPair } from './tokens.ts'

/** What becomes of a good answer: taken, lost to a competitor, never taken, taken and then not paid; `external` is for a requester over HTTP. */
export const Plan = z.enum(['accept', 'lose', 'ignore', 'fail', 'external'])
export type Plan = z.infer<typeof Plan>

const Digits = z.string().regex(/^\d{1,39}$/)
/** One auction to open. Amounts are gross, as the taker sees them; the broadcast is net of the protocol fee. */
export const AuctionOrder = z.strictObject({
  quote_id: z.string().optional(),
  token_in: z.string(),
  token_out: z.string(),
  exact_amount_in: Digits.optional(),
  exact_amount_out: Digits.optional(),
  min_deadline_ms: z.int().nonnegative().default(3_000),
  min_wait_ms: z.int().nonnegative().default(200),
  max_wait_ms: z.int().positive().default(1_000),
  protocol_fee_included: z.boolean().default(false),
  partner_id: z.string().default('1click'),
  plan: Plan.default('accept'),
  /** A competitor's price, this far from the mid in its own favour; for plan `lose` 100 unless said. It wins where the taker gets more. */
  competitor_bps: z.int().optional(),
  /** Laid over the broadcast data, for frames that no sane relay sends; the auction itself stays as ordered. */
  data_overrides: z.record(z.string(), z.unknown()).optional(),
  /** From the auction's close to the settlement. */
  settle_delay_ms: z.int().nonnegative().optional(),
})
export type AuctionOrder = z.input<typeof AuctionOrder>

export type Outcome =
  | 'open'
  | 'no_response'
  | 'declined'
  | 'only_rejected'
  | 'lost'
  | 'not_accepted'
  | 'price_refused'
  | 'accepted'
  | 'settled'
  | 'settle_failed'

/** An auction and the truth about it. */
export interface Auction {
  readonly request: QuoteRequest
  readonly order: z.infer<typeof AuctionOrder>
  readonly openedAt: number
  /** performance.now() when the first frame was handed to a socket. */
  broadcastPerf?: number
  responsePerf?: number
  takesAnswers: boolean
  outcome: Outcome
  closedAt?: number
  responses: number
  declines: number
  readonly rejections: string[]
  /** Last accepted response by connection: a later one replaces. */
  readonly standing: Map<number, Answer>
  readonly whenClosed: (() => void)[]
  winner?: Answer
  txHash?: string
  settledHeight?: number
  failure?: string
}

/** What the relay says to a response; nothing for silence. */
export type RelayAnswer = { readonly ok: true } | { readonly error: string } | undefined

const AUCTIONS_KEPT = 60_000

export class Auctions {
  readonly all = new Map<string, Auction>()
  /** Milliseconds from broadcast to first response, newest last. */
  readonly latencies: number[] = []
  deadlineToleranceMs = 500
  readonly #parts: Parts
  readonly #onOpen: ((auction: Auction) => void)[] = []

  constructor(parts: Parts) {
    this.#parts = parts
  }

  onOpen(listener: (auction: Auction) => void): void {
    this.#onOpen.push(listener)
  }

  /** @throws {RangeError} unless exactly one amount is given */
  open(input: AuctionOrder): Auction {
    const order = AuctionOrder.parse(input)
    const { ledger, timers } = this.#parts
    const auction: Auction = {
      request: toRequest(order, ledger.feePips),
      order,
      openedAt: ledger.now(),
      takesAnswers: true,
      outcome: 'open',
      responses: 0,
      declines: 0,
      rejections: [],
      standing: new Map(),
      whenClosed: [],
    }
    this.all.set(auction.request.quoteId, auction)
    if (this.all.size > AUCTIONS_KEPT) this.all.delete(this.all.keys().next().value ?? '')
    for (const listener of this.#onOpen) listener(auction)
    timers.after(minWaitMs(order), () => auction.standing.size > 0 && this.#closeAfterGrace(auction))
    timers.after(Math.max(order.max_wait_ms, 1), () => this.#close(auction))
    return auction
  }

  /** One quote_response, from the check to the answer. */
  respond(response: QuoteResponse, arrival: Arrival, perf: number): RelayAnswer {
    const { ledger, referee, faults } = this.#parts
    const auction = this.all.get(response.quote_id)
    if (auction) this.#clockResponse(auction, perf)
    if (response.signed_data === undefined) return this.#decline(auction, response)
    const isOpen = auction?.takesAnswers ?? false
    const inspection = inspect(response, auction?.request, isOpen, ledger, this.deadlineToleranceMs)
    const answer = referee.judge(response, inspection, auction?.request, isOpen, arrival)
    if (answer && faults.hit('relay.swallow_dropped')) return undefined
    const [finding] = inspection.findings
    if (!auction || finding) {
      const error = finding?.text ?? LATE
      auction?.rejections.push(error)
      return said(answer, { error })
    }
    if (!answer) return { error: 'invalid intent' }
    auction.standing.set(arrival.connection, answer)
    this.#applyFaults(auction)
    if (ledger.now() - auction.openedAt >= minWaitMs(auction.order)) this.#closeAfterGrace(auction)
    if (faults.hit('relay.swallow_executed')) {
      auction.order.plan = 'accept'
      return undefined
    }
    const disguised = faults.hit('relay.error_but_settles')
    if (disguised) auction.order.plan = 'accept'
    return said(answer, disguised ? { error: String(disguised.value ?? 'internal error') } : { ok: true })
  }

  #applyFaults({ order }: Auction): void {
    const { faults } = this.#parts
    if (faults.hit('relay.ok_never_settles')) order.plan = 'ignore'
    for (const name of ['relay.settle_at_deadline', 'relay.settle_after_deadline', 'relay.fail_then_success'] as const)
      if (faults.hit(name)) {
        order.plan = 'accept'
        this.#parts.settlement.special.set(order.quote_id ?? '', name)
      }
  }

  #clockResponse(auction: Auction, perf: number): void {
    auction.responses += 1
    if (auction.responsePerf !== undefined || auction.broadcastPerf === undefined) return
    auction.responsePerf = perf
    this.latencies.push(perf - auction.broadcastPerf)
    if (this.latencies.length > AUCTIONS_KEPT) this.latencies.splice(0, AUCTIONS_KEPT / 2)
  }

  #decline(auction: Auction | undefined, response: QuoteResponse): RelayAnswer {
    if (response.quote_output.type === undefined) return { error: 'invalid intent: signed_data is missing' }
    if (!auction?.takesAnswers) return { error: LATE }
    auction.declines += 1
    return { ok: true }
  }

  #closeAfterGrace(auction: Auction): void {
    this.#parts.timers.after(auction.order.protocol_fee_included ? 50 : 300, () => this.#close(auction))
  }

  #close(auction: Auction): void {
    if (!auction.takesAnswers) return
    auction.takesAnswers = false
    auction.closedAt = this.#parts.ledger.now()
    auction.outcome = this.#outcomeOf(auction)
    for (const closed of auction.whenClosed) closed()
    if (auction.outcome === 'accepted') this.#parts.settlement.begin(auction)
  }

  /** The best standing answer is taken where the plan says so and its price is within 3 % of the mid. */
  #outcomeOf(auction: Auction): Outcome {
    const { plan } = auction.order
    const best = bestOf(auction)
    if (!best) return auction.rejections.length > 0 ? 'only_rejected' : auction.declines > 0 ? 'declined' : 'no_response'
    auction.winner = best
    if (this.#isBeaten(auction, best)) return 'lost'
    if (plan === 'ignore' || plan === 'external') return 'not_accepted'
    return this.#isSane(best) ? 'accepted' : 'price_refused'
  }

  #isBeaten({ order }: Auction, { offer }: Answer): boolean {
    const bps = order.competitor_bps ?? (order.plan === 'lose' ? 100 : undefined)
    if (bps === undefined) return false
    if (!isPair(offer.tokenIn, offer.tokenOut)) return true
    return !this.#beats(offer, 10_000n - BigInt(bps), 10_000n + BigInt(bps))
  }

  #isSane({ offer }: Answer): boolean {
    return !isPair(offer.tokenIn, offer.tokenOut) || this.#beats(offer, 9_700n, 10_300n)
  }

  /** Whether the taker gets at least so many ten-thousandths of the mid, or pays at most so many. */
  #beats(offer: Answer['offer'], least: bigint, most: bigint): boolean {
    const mid = this.#parts.market.midTwentieths
    // EURe units against BTC units at the mid, both times 2 x 10 000.
    return isBtc(offer.tokenIn)
      ? offer.amountOut * 20_000n >= offer.amountIn * mid * 10n ** 9n * least
      : offer.amountIn * 20_000n <= offer.amountOut * mid * 10n ** 9n * most
  }
}

export interface Parts {
  readonly ledger: Ledger
  readonly market: Market
  readonly referee: Referee
  readonly faults: Faults
  readonly timers: Timers
  readonly settlement: Settlement
}

const said = (answer: Answer | undefined, relayAnswer: Exclude<RelayAnswer, undefined>): RelayAnswer => {
  if (!answer) return relayAnswer
  answer.relay_said = 'error' in relayAnswer ? 'error' : 'OK'
  if ('error' in relayAnswer) answer.error = relayAnswer.error
  return relayAnswer
}

/** Collects at least this long: 300 ms at the top level, no floor for a router's sub-leg. */
const minWaitMs = (order: z.infer<typeof AuctionOrder>): number =>
  Math.min(order.protocol_fee_included ? order.min_wait_ms : Math.max(order.min_wait_ms, 300), order.max_wait_ms)

const bestOf = ({ standing, request }: Auction): Answer | undefined =>
  [...standing.values()].toSorted((a, b) => {
    const better = request.side === 'in' ? b.offer.amountOut - a.offer.amountOut : a.offer.amountIn - b.offer.amountIn
    return better > 0n ? 1 : better < 0n ? -1 : 0
  })[0]

/** The fixed amount as the solver sees it: what the taker gives less the fee, or what the taker wants plus the fee. */
const toRequest = (order: z.infer<typeof AuctionOrder>, feePips: bigint): QuoteRequest => {
  const { exact_amount_in, exact_amount_out } = order
  if ((exact_amount_in === undefined) === (exact_amount_out === undefined))
    throw new RangeError('exactly one of exact_amount_in and exact_amount_out')
  order.quote_id ??= randomUUID()
  return {
    quoteId: order.quote_id,
    tokenIn: order.token_in,
    tokenOut: order.token_out,
    side: exact_amount_in === undefined ? 'out' : 'in',
    amount:
      exact_amount_in === undefined
        ? -closureDelta(BigInt(exact_amount_out ?? '0'), feePips)
        : -supplyDelta(-BigInt(exact_amount_in), feePips),
    minDeadlineMs: order.min_deadline_ms,
  }
}
