import { expect, test } from 'vitest'
import { openQuoteBook } from '#deploy/local/quote-book.ts'

const envelope = (event_type: string, event_id: string, at: string, payload: object): string =>
  JSON.stringify({
    event_id,
    event_type,
    venue: 'near_intents',
    source: 'test',
    schema_version: 1,
    observed_at: at,
    ingested_at: at,
    correlation_id: 'q1',
    causation_id: null,
    payload,
    raw: {},
  })

const demand = envelope('swap_demand', 'd1', '2026-01-01T00:00:00.000Z', { quote_id: 'q1' })
const decision = (kind: 'trade' | 'skip', reason: string): string =>
  envelope('trade_decision', 'dec1', '2026-01-01T00:00:00.010Z', {
    decision_id: 'dec-q1',
    quote_id: 'q1',
    pair: 'BTC/EURe',
    direction: 'btc_to_eure',
    asset_in: 'btc',
    asset_out: 'eure',
    amount_in: '1000',
    amount_out: '2000',
    implied_rate: '60000',
    reference_rate: '61230',
    gross_edge_pct: '2.0134',
    threshold_bps: 200,
    price_freshness_ms: 20,
    price_source: 'kraken',
    price_event_id: 'p1',
    inventory_id: 'i1',
    inventory_snapshot: null,
    decision: kind,
    decision_reason: reason,
    reasons: [reason],
    command_id: kind === 'trade' ? 'cmd-q1' : null,
  })
const result = (status: string, result_code: string, id = result_code): string =>
  envelope('trade_result', id, '2026-01-01T00:00:01.500Z', {
    command_id: 'cmd-q1',
    idempotency_key: 'near_intents:q1',
    execution_key: 'near_intents:btc->eure',
    quote_id: 'q1',
    execution_id: 'e1',
    pair: 'BTC/EURe',
    direction: 'btc_to_eure',
    asset_in: 'btc',
    asset_out: 'eure',
    amount_in: '1000',
    amount_out: '2000',
    status,
    result_code,
    quote_hash: null,
    tx_hash: null,
    settled_height: null,
    note: null,
  })

test('a quote that was traded and settled ends once, with the decision’s edge and the time since its demand', async () => {
  const book = openQuoteBook(0)
  expect(await book.read('norm.swap_demand', demand)).toBeUndefined()
  expect(await book.read('decision.trade_decision', decision('trade', 'TRADE'))).toBeUndefined()
  expect(await book.read('exec.trade_result', result('submitted', 'SUBMITTED'))).toMatchObject({
    event: 'quote_progress',
    state: 'SUBMITTED',
  })
  expect(await book.read('exec.trade_result', result('settled', 'SETTLED'))).toEqual({
    event: 'quote_ended',
    quote_id: 'q1',
    outcome: 'SETTLED',
    reason: 'SETTLED',
    direction: 'btc_to_eure',
    gross_edge_pct: '2.0134',
    latency_ms: 1500,
    note: null,
    resumed: false,
  })
  expect(await book.read('exec.trade_result', result('settled', 'SETTLED'))).toBeUndefined()
})

test('a skipped quote ends with the reason of its decision', async () => {
  const book = openQuoteBook(0)
  await book.read('norm.swap_demand', demand)
  expect(await book.read('decision.trade_decision', decision('skip', 'NOTIONAL_ABOVE_CAP'))).toMatchObject({
    event: 'quote_ended',
    outcome: 'SKIPPED',
    reason: 'NOTIONAL_ABOVE_CAP',
    latency_ms: 10,
  })
})

test.each([
  ['expired', 'EXPIRED_UNUSED', 'EXPIRED'],
  ['failed', 'VENUE_REJECTED', 'REJECTED'],
  ['failed', 'TOO_LATE', 'REJECTED'],
  ['failed', 'DISARMED', 'REJECTED'],
])('status %s with code %s is the outcome of its kind', async (status, code, outcome) => {
  expect(await openQuoteBook(0).read('exec.trade_result', result(status, code))).toMatchObject({ outcome, reason: code, latency_ms: null })
})

test.each([
  ['submitted', 'REJECTED'],
  ['uncertain', 'UNCERTAIN'],
  ['recovered', 'RECOVERED'],
])('status %s with code %s is on the way, and the same record again says nothing', async (status, code) => {
  const book = openQuoteBook(0)
  expect(await book.read('exec.trade_result', result(status, code))).toMatchObject({ event: 'quote_progress', state: code })
  expect(await book.read('exec.trade_result', result(status, code))).toBeUndefined()
  expect(await book.read('exec.trade_result', result('settled', 'SETTLED'))).toMatchObject({ outcome: 'SETTLED' })
})

test('what is not a readable record gives no line', async () => {
  const book = openQuoteBook(0)
  expect(await book.read('exec.trade_result', 'not JSON')).toBeUndefined()
  expect(await book.read('exec.trade_result', '{"event_id":"x"}')).toBeUndefined()
  expect(await book.read('ref.market_price', demand)).toBeUndefined()
})

test('a quote that began before this start has its edge and its latency from the history', async () => {
  const asked: string[] = []
  const book = openQuoteBook(0, async (quoteId) => {
    asked.push(quoteId)
    return { demandAt: Date.parse('2026-01-01T00:00:00.500Z'), edge: '3.5' }
  })
  expect(await book.read('exec.trade_result', result('recovered', 'RECOVERED'))).toMatchObject({ latency_ms: 1000 })
  expect(await book.read('exec.trade_result', result('settled', 'SETTLED'))).toMatchObject({
    latency_ms: 1000,
    gross_edge_pct: '3.5',
    resumed: true,
  })
  expect(asked).toEqual(['q1'])
})

test('records that a takeover publishes again from before this start give no line', async () => {
  const book = openQuoteBook(Date.parse('2026-01-01T00:01:00.000Z'))
  expect(await book.read('decision.trade_decision', decision('skip', 'NOT_ARMED'))).toBeUndefined()
  expect(await book.read('exec.trade_result', result('settled', 'SETTLED'))).toBeUndefined()
})
