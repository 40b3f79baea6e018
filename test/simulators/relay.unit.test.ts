import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { keyPairFromSeed } from './crypto.ts'
import type { Auction, AuctionOrder, RelayAnswer } from './auctions.ts'
import type { FaultName } from './faults.ts'
import { makeVersionedNonce } from './nonces.ts'
import { draftFor, responseOf } from './sample-solver.ts'
import type { Draft } from './sample-solver.ts'
import { BTC_NBTC, BTC_OMFT, EURE, SOLVER } from './tokens.ts'
import { createWorld } from './world.ts'
import type { World } from './world.ts'

const EUR = 10n ** 18n
let world: World

beforeEach(() => {
  vi.useFakeTimers()
  world = createWorld({ seed: 7, rate: 2, balanceScale: 1 })
  world.timers.every(600, () => world.ledger.produceBlock())
  world.timers.every(250, () => world.market.step())
})
afterEach(() => {
  world.timers.clear()
  vi.useRealTimers()
})

const open = (order: Partial<AuctionOrder> = {}): Auction =>
  world.auctions.open({ token_in: BTC_OMFT, token_out: EURE, exact_amount_in: '6000', min_deadline_ms: 3_000, ...order })

const respond = (auction: Auction, bend: Partial<Draft> = {}, connection = 1): RelayAnswer => {
  const response = responseOf(auction.request.quoteId, { ...draftFor(auction, world.market), ...bend })
  return world.auctions.respond(response, { connection, text: JSON.stringify(response) }, performance.now())
}
const codes = (): readonly string[] => Object.keys(world.referee.counts)
const stateOf = (auction: Auction): string | undefined =>
  [...world.referee.answers.values()].find(({ quote_id }) => quote_id === auction.request.quoteId)?.state

describe('a good answer', () => {
  const wishes: readonly [string, Partial<AuctionOrder>][] = [
    ['BTC for EURe, the BTC fixed', { exact_amount_in: '6000' }],
    ['BTC for EURe, the EURe fixed', { exact_amount_in: undefined, exact_amount_out: (3n * EUR).toString() }],
    ['EURe for nBTC, the EURe fixed', { token_in: EURE, token_out: BTC_NBTC, exact_amount_in: (3n * EUR).toString() }],
    ['EURe for nBTC, the BTC fixed', { token_in: EURE, token_out: BTC_NBTC, exact_amount_in: undefined, exact_amount_out: '6000' }],
  ]
  test.each(wishes)('to %s is taken and settles with exactly its amounts, without a violation', (_, wish) => {
    const auction = open(wish)
    const before = world.ledger.balance(SOLVER, auction.request.tokenIn)
    expect(respond(auction)).toEqual({ ok: true })
    vi.advanceTimersByTime(3_000)
    expect(auction.outcome).toBe('settled')
    expect(stateOf(auction)).toBe('settled')
    expect(world.ledger.balance(SOLVER, auction.request.tokenIn) - before).toBe(BigInt(auction.winner?.amount_in ?? 0))
    expect(world.ledger.brokenInvariants()).toEqual([])
    expect(world.referee.violations).toEqual([])
  })

  test('closes the auction 300 ms after 300 ms at the top level, and the statuses follow with the block', () => {
    const statuses: string[] = []
    world.settlement.onStatus(({ event_type }) => statuses.push(event_type))
    const auction = open({ max_wait_ms: 3_000, settle_delay_ms: 100 })
    respond(auction)
    vi.advanceTimersByTime(599)
    expect(auction.outcome).toBe('open')
    vi.advanceTimersByTime(1)
    expect(auction.outcome).toBe('accepted')
    vi.advanceTimersByTime(1_000)
    expect(statuses).toEqual(['quote_ready_to_settle', 'quote_settle_successful'])
  })

  test('to a router’s sub-leg has 50 ms of grace and no floor', () => {
    const auction = open({ protocol_fee_included: true, min_wait_ms: 1, max_wait_ms: 300 })
    respond(auction)
    vi.advanceTimersByTime(51)
    expect(auction.takesAnswers).toBe(false)
  })

  test.each([
    ['lose', 'lost'],
    ['ignore', 'not_accepted'],
    ['fail', 'settle_failed'],
  ] as const)('under the plan %s ends %s, and expires unused', (plan, outcome) => {
    const auction = open({ plan })
    respond(auction)
    vi.advanceTimersByTime(3_000)
    expect(auction.outcome).toBe(outcome)
    expect(stateOf(auction)).toBe('open')
    vi.advanceTimersByTime(11_000)
    expect(stateOf(auction)).toBe('expired_unused')
    expect(world.referee.openUnits(EURE)).toBe(0n)
  })

  test('that is worse than 3 % from the mid is refused by the taker', () => {
    const auction = open()
    const draft = draftFor(auction, world.market)
    const poor = ((BigInt(draft.output.amount_out ?? 0) * 98n) / 100n).toString()
    respond(auction, { diff: { [BTC_OMFT]: auction.request.amount.toString(), [EURE]: `-${poor}` }, output: { amount_out: poor } })
    vi.advanceTimersByTime(3_000)
    expect(auction.outcome).toBe('price_refused')
  })
})

describe('the relay refuses, in this order and with these words,', () => {
  const fixed = (auction: Auction, amount: bigint) => ({ diff: { ...draftFor(auction, world.market).diff, [BTC_OMFT]: amount.toString() } })
  const cases: readonly [string, (auction: Auction) => Partial<Draft>, string, readonly string[]][] = [
    [
      'the wrong side of quote_output',
      () => ({ output: { amount_in: '5' } }),
      'quote_output must have amount_out only',
      ['AMOUNT_MISMATCH'],
    ],
    ['another recipient', () => ({ recipient: 'other.near' }), 'wrong verifying_contract', ['WRONG_RECIPIENT']],
    [
      'a key that is not the account’s',
      () => ({ keys: keyPairFromSeed(Buffer.alloc(32, 8)) }),
      "doesn't exist for account 'solver.example.near'",
      [],
    ],
    [
      'a salt that nobody knows',
      ({ openedAt }) => ({ nonce: makeVersionedNonce('00000000', openedAt + 99_000, Buffer.alloc(15)) }),
      'invalid salt',
      [],
    ],
    [
      'a nonce shorter than its intent',
      ({ openedAt }) => ({ nonce: makeVersionedNonce('252812b3', openedAt + 5_000, Buffer.alloc(15)) }),
      'deadline is greater than nonce',
      [],
    ],
    [
      'a deadline shorter than demanded',
      ({ openedAt }) => ({ deadlineMs: openedAt + 2_000 }),
      'min_deadline_ms is 3000',
      ['DEADLINE_TOO_SHORT'],
    ],
    ['a deadline that has passed', ({ openedAt }) => ({ deadlineMs: openedAt - 1 }), 'deadline has expired', ['DEADLINE_TOO_SHORT']],
    [
      'a third token',
      (auction) => ({ diff: { ...draftFor(auction, world.market).diff, [BTC_NBTC]: '1' } }),
      'exactly two tokens',
      ['AMOUNT_MISMATCH'],
    ],
    [
      'a fixed side that is one unit off',
      (auction) => fixed(auction, auction.request.amount + 1n),
      'on the fixed side',
      ['AMOUNT_MISMATCH'],
    ],
    ['an output that is not in the diff', () => ({ output: { amount_out: '17' } }), 'quote_output 17', ['AMOUNT_MISMATCH']],
  ]
  test.each(cases)('%s', (_, bend, text, violations) => {
    const auction = open()
    expect(respond(auction, bend(auction))).toEqual({ error: expect.stringContaining(text) as string })
    expect(codes()).toEqual(violations)
    vi.advanceTimersByTime(3_000)
    expect(auction.outcome).toBe('only_rejected')
  })

  test('an unknown auction, and one that has closed', () => {
    const auction = open()
    vi.advanceTimersByTime(1_001)
    expect(respond(auction)).toEqual({ error: 'quote not found or already finished' })
    world.auctions.all.delete(auction.request.quoteId)
    expect(respond({ ...auction, request: { ...auction.request, quoteId: 'nobody' } })).toEqual({
      error: 'quote not found or already finished',
    })
  })

  test('a signature over other bytes', () => {
    const auction = open()
    const response = responseOf(auction.request.quoteId, draftFor(auction, world.market))
    const forged = JSON.parse(JSON.stringify(response).replace('\\"signer_id\\"', ' \\"signer_id\\"')) as typeof response
    expect(world.auctions.respond(forged, { connection: 1, text: JSON.stringify(forged) }, 0)).toEqual({ error: 'invalid signature' })
    expect(codes()).toEqual(['INVALID_SIGNATURE'])
  })

  test('a nonce that was used, and one that another offer bears as well', () => {
    const first = open()
    const { nonce } = draftFor(first, world.market)
    respond(first, { nonce, deadlineMs: first.openedAt + 13_000 })
    vi.advanceTimersByTime(3_000)
    const second = open()
    expect(respond(second, { nonce, deadlineMs: first.openedAt + 13_000 })).toEqual({ error: 'nonce was already used' })
    expect(codes()).toEqual(['NONCE_REUSED'])
  })

  test('more than the balance', () => {
    const auction = open()
    world.ledger.burn(SOLVER, EURE, 1_499n * EUR)
    expect(respond(auction)).toEqual({ error: 'insufficient balance or overflow' })
    expect(codes()).toEqual(['OVERCOMMITTED'])
  })
})

describe('the referee counts', () => {
  test('a second response with other bytes', () => {
    const auction = open()
    respond(auction, draftFor(auction, world.market))
    respond(auction)
    expect(codes()).toEqual(['DOUBLE_RESPONSE'])
  })

  test('the same bytes again on the same connection', () => {
    const auction = open()
    const draft = draftFor(auction, world.market)
    respond(auction, draft)
    expect(codes()).toEqual([])
    respond(auction, draft)
    expect(codes()).toEqual(['DOUBLE_RESPONSE'])
  })

  test('the same bytes over another connection', () => {
    const auction = open()
    const draft = draftFor(auction, world.market)
    respond(auction, draft, 1)
    respond(auction, draft, 2)
    expect(world.referee.counts).toEqual({ DOUBLE_RESPONSE: 1 })
  })

  test('an offer that leaves less than the threshold at every price of the last ten seconds, not at one of them', () => {
    const auction = open()
    const generous = draftFor(auction, world.market)
    world.market.jumpTo(58_000)
    vi.advanceTimersByTime(500)
    respond(auction, generous)
    expect(codes()).toEqual([])
    vi.advanceTimersByTime(11_000)
    const later = open()
    respond(later, { diff: generous.diff, output: generous.output })
    expect(codes()).toEqual(['EDGE_VIOLATION'])
  })

  test('an offer above the cap', () => {
    respond(open({ exact_amount_in: '9000' }))
    expect(codes()).toEqual(['NOTIONAL_ABOVE_CAP'])
  })

  test('open offers that sum to more than is credited, and no more once the first have expired', () => {
    world.ledger.burn(SOLVER, EURE, 1_494n * EUR)
    respond(open({ plan: 'ignore' }))
    expect(codes()).toEqual([])
    respond(open({ plan: 'ignore' }))
    expect(codes()).toEqual(['OVERCOMMITTED'])
    vi.advanceTimersByTime(14_000)
    respond(open({ plan: 'ignore' }))
    expect(world.referee.counts).toEqual({ OVERCOMMITTED: 1 })
  })

  test('a response of a solver that had said it is disarmed', () => {
    world.referee.expect.armed = false
    respond(open())
    expect(codes()).toEqual(['DISARMED_RESPONSE'])
  })
})

describe('faults of the relay', () => {
  const on = (name: FaultName): void => world.faults.order({ name, on: true, count: 1 })
  const cases: readonly [FaultName, RelayAnswer, string][] = [
    ['relay.swallow_executed', undefined, 'settled'],
    ['relay.swallow_dropped', undefined, 'expired_unused'],
    ['relay.error_but_settles', { error: 'internal error' }, 'settled'],
    ['relay.ok_never_settles', { ok: true }, 'expired_unused'],
    ['relay.settle_at_deadline', { ok: true }, 'settled'],
    ['relay.settle_after_deadline', { ok: true }, 'expired_unused'],
    ['relay.fail_then_success', { ok: true }, 'settled'],
  ]
  test.each(cases)('%s: the answer is %o and the truth %s', (name, said, truth) => {
    on(name)
    const auction = open()
    expect(respond(auction)).toEqual(said)
    vi.advanceTimersByTime(20_000)
    expect(stateOf(auction)).toBe(truth)
    expect(codes()).toEqual([])
  })
})

test('the default traffic holds both directions, both BTC ids, both fixed sides, amounts above the cap and other pairs', () => {
  const orders = Array.from({ length: 600 }, () => world.traffic.order())
  const kinds = new Set(
    orders.map(({ token_in, token_out, exact_amount_in }) => `${token_in}>${token_out} ${exact_amount_in === undefined ? 'out' : 'in'}`),
  )
  for (const btc of [BTC_OMFT, BTC_NBTC])
    for (const side of ['in', 'out']) {
      expect(kinds).toContain(`${btc}>${EURE} ${side}`)
      expect(kinds).toContain(`${EURE}>${btc} ${side}`)
    }
  const eure = orders
    .filter(({ token_in, exact_amount_in }) => token_in === EURE && exact_amount_in !== undefined)
    .map((one) => BigInt(one.exact_amount_in ?? 0))
  expect(eure.some((units) => units > 5n * EUR)).toBe(true)
  expect(eure.filter((units) => units < (9n * EUR) / 2n + EUR / 100n).length).toBeGreaterThan(eure.length * 0.85)
})
