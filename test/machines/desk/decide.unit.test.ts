import { describe, expect, it } from 'vitest'
import { toUnits } from '#machines/contracts/money.ts'
import { MarketPrice } from '#machines/contracts/records/market-price.ts'
import type { SwapDemand } from '#machines/contracts/records/quote.ts'
import type { DecisionReason } from '#machines/contracts/records/trade.ts'
import type { DeskConfig } from '#machines/desk/config.ts'
import { BTC, coingeckoAt, demandOf, EURE, inventoryAt, krakenAt, priceOf, TestDesk } from './trading.ts'

/** A desk where everything is fine, changed by `change`, asked once. */
const decided = (change: (desk: TestDesk, now: number) => unknown, demand: Partial<SwapDemand> = {}, config: Partial<DeskConfig> = {}) => {
  const desk = new TestDesk(config)
  change(desk, desk.lane.now)
  const { decision, command } = desk.ask(demandOf('q1', demand))
  expect(decision.decision).toBe(command === null ? 'skip' : 'trade')
  return decision
}
const nothing = (): void => {}

const GATES: [string, DecisionReason, (desk: TestDesk, now: number) => unknown, Partial<SwapDemand>][] = [
  ['the auction is over', 'QUOTE_EXPIRED', nothing, { ttl_ms: 0 }],
  ['the offer would have to stay good for too long', 'DEADLINE_TOO_LONG', nothing, { min_deadline_ms: 120_001 }],
  ['there never was a price', 'PRICE_MISSING', (desk) => void (desk.price = null), {}],
  ['a price record has no source', 'PRICE_MISSING', (desk) => void (desk.price = priceOf(null)), {}],
  [
    'Kraken has not confirmed its price for too long',
    'PRICE_STALE',
    (desk, now) => void (desk.price = priceOf(krakenAt(now, { confirmed_at_ms: now - 5_001 }))),
    {},
  ],
  [
    'Kraken is alive and has been quiet for too long',
    'PRICE_STALE',
    (desk, now) => void (desk.price = priceOf(krakenAt(now, { updated_at_ms: now - 60_001 }))),
    {},
  ],
  ['the connection to Kraken is gone', 'PRICE_STALE', (desk, now) => void (desk.price = priceOf(krakenAt(now, { healthy: false }))), {}],
  [
    'both are fresh and too far apart',
    'PRICE_CONFLICT',
    (desk, now) => void (desk.price = priceOf(krakenAt(now), coingeckoAt(now, '60456'))),
    {},
  ],
  [
    'only CoinGecko is there and may not stand in',
    'FALLBACK_DENIED',
    (desk, now) => void (desk.price = priceOf(null, coingeckoAt(now))),
    {},
  ],
  ['there never was an inventory', 'INVENTORY_MISSING', (desk) => void (desk.inventory = null), {}],
  [
    'the inventory was read too long ago',
    'INVENTORY_STALE',
    (desk, now) => void (desk.inventory = inventoryAt(now - 30_001, { [EURE]: toUnits('100', 18).toString() })),
    {},
  ],
  ['the amount is dust', 'EDGE_BELOW_THRESHOLD', nothing, { direction: 'eure_to_btc', asset_in: EURE, asset_out: BTC, amount_in: '1' }],
  ['both amounts are given and leave too little', 'EDGE_BELOW_THRESHOLD', nothing, { amount_out: (toUnits('2.94', 18) + 1n).toString() }],
  ['it is worth more than the cap', 'NOTIONAL_ABOVE_CAP', nothing, { amount_in: '8504' }],
  [
    'less is credited than we would give',
    'INVENTORY_INSUFFICIENT',
    (desk, now) => void (desk.inventory = inventoryAt(now, { [EURE]: (toUnits('2.94', 18) - 1n).toString() })),
    {},
  ],
  ['we have none of that token', 'INVENTORY_INSUFFICIENT', (desk, now) => void (desk.inventory = inventoryAt(now, {})), {}],
]

describe('decide', () => {
  it('trades when no gate fails, and names the command by the quote', () => {
    const desk = new TestDesk()
    const { decision, command } = desk.ask(demandOf('q1'))
    expect(decision).toMatchObject({
      decision: 'trade',
      decision_reason: 'TRADE',
      reasons: [],
      amount_in: '5000',
      amount_out: toUnits('2.94', 18).toString(),
      reference_rate: '60000',
      implied_rate: '58800',
      gross_edge_pct: '2.0000',
      price_source: 'kraken',
      price_freshness_ms: 0,
      inventory_id: 'inv-100',
      inventory_snapshot: { block_height: 100, reserved: {} },
      command_id: 'cmd-q1',
    })
    expect(command).toMatchObject({
      command_id: 'cmd-q1',
      idempotency_key: 'near_intents:q1',
      execution_key: `near_intents:${BTC}->${EURE}`,
      answer_by: new Date(desk.lane.now + 3_000).toISOString(),
      offer_deadline: new Date(desk.lane.now + 70_000).toISOString(),
    })
  })

  it('trades at the ask where we give BTC', () => {
    const decision = decided(nothing, { direction: 'eure_to_btc', asset_in: EURE, asset_out: BTC, amount_in: toUnits('3', 18).toString() })
    expect(decision).toMatchObject({ decision_reason: 'TRADE', reference_rate: '60010' })
  })

  it.each(GATES)('skips when %s: %s alone', (_title, reason, change, demand) => {
    expect(decided(change, demand)).toMatchObject({ decision_reason: reason, reasons: [reason] })
  })

  it('skips while the history cannot be written, or nobody knows whether it can, in strict mode only', () => {
    const impaired = (writable: boolean | null) => (desk: TestDesk) => void (desk.writable = writable)
    expect(decided(impaired(false), {}, { strict_audit: true }).reasons).toEqual(['AUDIT_IMPAIRED'])
    expect(decided(impaired(null), {}, { strict_audit: true }).reasons).toEqual(['AUDIT_IMPAIRED'])
    expect(decided(impaired(true), {}, { strict_audit: true }).decision).toBe('trade')
    expect(decided(impaired(false)).decision).toBe('trade')
  })

  it('skips a disarmed desk with NOT_ARMED, and still prices the offer', () => {
    const { decision } = new TestDesk({}, { armed: false }).ask(demandOf('q1'))
    expect(decision).toMatchObject({ decision_reason: 'NOT_ARMED', reasons: ['NOT_ARMED'], gross_edge_pct: '2.0000' })
  })

  it('records every reason and takes the first in order', () => {
    const decision = decided(
      (desk, now) => {
        desk.price = priceOf(krakenAt(now - 9_000), coingeckoAt(now))
        desk.inventory = null
        desk.lane.send({ kind: 'desk', key: 'desk' }, { type: 'disarmed', by: 'ann', reason: 'stop' })
      },
      { min_deadline_ms: 500_000 },
    )
    expect(decision.decision_reason).toBe('DEADLINE_TOO_LONG')
    expect(decision.reasons).toEqual(['DEADLINE_TOO_LONG', 'PRICE_STALE', 'FALLBACK_DENIED', 'INVENTORY_MISSING', 'NOT_ARMED'])
  })

  it('decides on CoinGecko alone where the policy allows it, with the extra edge', () => {
    const decision = decided(
      (desk, now) => (desk.price = priceOf(krakenAt(now - 9_000), coingeckoAt(now - 100_000, '60000'))),
      {},
      { fallback_price: 'allow' },
    )
    expect(decision).toMatchObject({ decision: 'trade', price_source: 'coingecko', threshold_bps: 300, gross_edge_pct: '3.0000' })
    expect(decision.price_freshness_ms).toBe(100_000)
  })

  it('a pending deposit is not spendable', () => {
    const decision = decided((desk, now) => {
      desk.inventory = { ...inventoryAt(now, {}), pending_in: { [EURE]: toUnits('100', 18).toString() } }
    })
    expect(decision.reasons).toEqual(['INVENTORY_INSUFFICIENT'])
  })

  it('one direction can be affordable and the other not', () => {
    const onlyBtc = (desk: TestDesk, now: number) => void (desk.inventory = inventoryAt(now, { [BTC]: '100000' }))
    expect(decided(onlyBtc).reasons).toEqual(['INVENTORY_INSUFFICIENT'])
    expect(
      decided(onlyBtc, { direction: 'eure_to_btc', asset_in: EURE, asset_out: BTC, amount_in: toUnits('3', 18).toString() }).decision,
    ).toBe('trade')
  })

  it('a venue that names a time beyond all dates for its answers gets an offer whose own deadline is the last of them', () => {
    const desk = new TestDesk()
    const { command } = desk.ask(demandOf('q1', { ttl_ms: Number.MAX_SAFE_INTEGER }))
    expect(command?.answer_by).toBe(command?.offer_deadline)
  })

  it('the largest amount that a venue can name is above the cap, and recorded', () => {
    expect(decided(nothing, { amount_in: '9'.repeat(39) }).reasons).toContain('NOTIONAL_ABOVE_CAP')
  })

  it.each(['0', '0.000', '-1', '1e3', ''])('a price of "%s" does not fit the record that decisions are made on', (bid) => {
    const record = priceOf(krakenAt(1_000))
    expect(MarketPrice.safeParse(record).success).toBe(true)
    expect(MarketPrice.safeParse({ ...record, kraken: krakenAt(1_000, { bid }) }).success).toBe(false)
  })

  it('a price in the middle of both is no conflict', () => {
    expect(decided((desk, now) => (desk.price = priceOf(krakenAt(now), coingeckoAt(now, '60450')))).decision).toBe('trade')
  })
})
