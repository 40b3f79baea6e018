import type { ChainRecord, QuoteChain } from '#control/cli/readings.ts'

const record = (event_type: string, topic: string, second: string, payload: object, more: Partial<ChainRecord> = {}): ChainRecord => ({
  event_id: `ev-${event_type}-${second}`,
  event_type,
  source: 'strategy-engine',
  ingested_at: `2026-11-21T10:00:${second}Z`,
  correlation_id: 'q-1',
  causation_id: null,
  place: `${topic}/1@7`,
  payload: { ...payload },
  ...more,
})

const sides = { pair: 'BTC/EURe', direction: 'btc_to_eure', asset_in: 'btc', asset_out: 'eure', quote_id: 'q-1' }
const offer = { ...sides, amount_in: '100000', amount_out: '60000000000000000000' }
const result = { ...offer, command_id: 'cmd-q-1', execution_id: 'ex-1', quote_hash: '9Zp', tx_hash: null, settled_height: null, note: null }

/** A quote that was traded, from the demand to its settlement. */
export const chain: QuoteChain = {
  quote_id: 'q-1',
  records: [
    record('swap_demand', 'norm.swap_demand', '01.000', {
      ...sides,
      amount_in: '100000',
      amount_out: null,
      fixed_side: 'in',
      ttl_ms: 3000,
      min_deadline_ms: 60000,
    }),
    record('market_price', 'ref.market_price', '00.900', { kraken: { bid: '61224.5', ask: '61226.1' }, coingecko: { price: '61230' } }),
    record('intent_inventory', 'state.intent_inventory', '00.500', {
      inventory_id: 'inv-12',
      block_height: 345,
      spendable: { eure: '5000000000000000000000', nbtc: '7' },
    }),
    record('trade_decision', 'decision.trade_decision', '01.004', {
      ...offer,
      decision_id: 'dec-q-1',
      decision: 'trade',
      decision_reason: 'TRADE',
      reasons: [],
      implied_rate: '60000',
      reference_rate: '61224.5',
      gross_edge_pct: '2.0001',
      threshold_bps: 200,
      price_source: 'kraken',
      price_freshness_ms: 120,
      inventory_snapshot: { inventory_id: 'inv-12', block_height: 345, spendable: { eure: '5000000000000000000000' }, reserved: {} },
    }),
    record('execute_trade', 'cmd.execute_trade', '01.005', {
      ...offer,
      command_id: 'cmd-q-1',
      answer_by: '2026-11-21T10:00:04.000Z',
      offer_deadline: '2026-11-21T10:01:11.000Z',
      reason: 'TRADE',
    }),
    record(
      'trade_result',
      'exec.trade_result',
      '01.020',
      { ...result, result_code: 'SUBMITTED', status: 'submitted' },
      { causation_id: 'ev-execute_trade-01.005' },
    ),
    record('trade_result', 'exec.trade_result', '04.200', {
      ...result,
      result_code: 'SETTLED',
      status: 'settled',
      tx_hash: 'AbC',
      settled_height: 350,
    }),
  ],
}
