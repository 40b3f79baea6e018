import type { Output } from '#actors/runtime/machine/xstate-names.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import { toUnits } from '#machines/contracts/money.ts'
import type { IntentInventory } from '#machines/contracts/records/inventory.ts'
import type { MarketPrice } from '#machines/contracts/records/market-price.ts'
import type { SwapDemand } from '#machines/contracts/records/quote.ts'
import type { ExecuteTrade, ResultCode, TradeDecision, TradeResult } from '#machines/contracts/records/trade.ts'
import { SwapDemand as DemandSchema } from '#machines/contracts/records/quote.ts'
import { ExecuteTrade as CommandSchema, TradeDecision as DecisionSchema } from '#machines/contracts/records/trade.ts'
import type { DeskConfig } from '#machines/desk/config.ts'
import type { Attached } from '#machines/desk/decide.ts'
import { deskMachine } from '#machines/desk/machine.ts'
import type { DeskContext } from '#machines/desk/machine.ts'
import { quoteMachine } from '#machines/quote/machine.ts'
import type { QuoteContext } from '#machines/quote/machine.ts'
import { TestLane } from '../lane.ts'

export const BTC = 'nep141:btc.omft.near'
export const NBTC = 'nep141:nbtc.bridge.near'
export const EURE = 'nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near'

export const CONFIG: DeskConfig = {
  threshold_bps: 200,
  max_notional_eure: '5',
  max_deadline_ms: 120_000,
  price_max_age_ms: 5_000,
  price_quiet_max_ms: 60_000,
  inventory_max_age_ms: 30_000,
  price_conflict_bps: 75,
  fallback_price: 'deny',
  fallback_price_max_age_ms: 180_000,
  fallback_extra_edge_bps: 100,
  strict_audit: false,
  offer_margin_ms: 10_000,
}

export const DESK = { kind: 'desk', key: 'desk' }

export const krakenAt = (now: number, more: Partial<NonNullable<MarketPrice['kraken']>> = {}): NonNullable<MarketPrice['kraken']> => ({
  bid: '60000',
  ask: '60010',
  updated_at_ms: now,
  confirmed_at_ms: now,
  healthy: true,
  ...more,
})

export const coingeckoAt = (now: number, price = '60005'): NonNullable<MarketPrice['coingecko']> => ({
  price,
  last_updated_at_ms: now,
  received_at_ms: now,
  healthy: true,
})

export const priceOf = (kraken: MarketPrice['kraken'], coingecko: MarketPrice['coingecko'] = null): MarketPrice => ({
  pair: PAIR,
  version: 1,
  basis: 'EURe=EUR 1:1',
  kraken,
  coingecko,
  fair: null,
  degraded: false,
})

export const inventoryAt = (now: number, spendable: Record<string, string>, block_height = 100): IntentInventory => ({
  inventory_id: `inv-${block_height}`,
  pair: PAIR,
  account_id: 'solver.near',
  version: block_height,
  block_height,
  block_timestamp: new Date(now).toISOString(),
  spendable,
  pending_in: {},
  pending_out: {},
  reconciliation: { status: 'ok', detail: null },
  read_at_ms: now,
})

export const demandOf = (quote_id: string, more: Partial<SwapDemand> = {}): SwapDemand =>
  DemandSchema.parse({
    quote_id,
    pair: PAIR,
    direction: 'btc_to_eure',
    asset_in: BTC,
    asset_out: EURE,
    amount_in: '5000',
    amount_out: null,
    fixed_side: 'in',
    ttl_ms: 3_000,
    min_deadline_ms: 60_000,
    ...more,
  })

const followed = <T>(value: T | null, topic: string) => value && { value, event_id: `${topic}-1`, topic, partition: 0, offset: '7' }

/** The strategy's actors of one lane, with the tables in the test's hands. */
export class TestDesk {
  readonly lane: TestLane
  price: MarketPrice | null
  inventory: IntentInventory | null
  writable: boolean | null = true

  constructor(config: Partial<DeskConfig> = {}, { armed = true }: { armed?: boolean } = {}) {
    this.lane = new TestLane({
      quote: { machine: quoteMachine, input: (quote_id) => ({ quote_id }) },
      desk: {
        machine: deskMachine,
        input: () => ({ config: { ...CONFIG, ...config } }),
        attach: (type) => (type === 'quote.asked' ? this.#attached() : undefined),
      },
    })
    this.price = priceOf(krakenAt(this.lane.now))
    this.inventory = inventoryAt(this.lane.now, { [BTC]: '100000', [NBTC]: '100000', [EURE]: toUnits('100', 18).toString() })
    this.lane.send(DESK, { type: armed ? 'armed' : 'disarmed', by: 'test', reason: 'test' })
  }

  #attached(): Attached {
    return {
      price: followed(this.price, 'ref.market_price'),
      inventory: followed(this.inventory, 'state.intent_inventory'),
      audit: { writable: this.writable },
    }
  }

  ask(demand: SwapDemand, observedAtMs = this.lane.now): { decision: TradeDecision; command: ExecuteTrade | null } {
    const outputs = this.lane.send(
      { kind: 'quote', key: demand.quote_id },
      { type: 'demand.arrived', demand, observed_at: new Date(observedAtMs).toISOString() },
    )
    const command = payload(outputs, 'cmd.execute_trade')
    return {
      decision: DecisionSchema.parse(payload(outputs, 'decision.trade_decision')),
      command: command === null ? null : CommandSchema.parse(command),
    }
  }

  hears(result: TradeResult): void {
    this.lane.send({ kind: 'quote', key: result.quote_id }, { type: 'result.arrived', result })
  }

  get desk(): DeskContext {
    return this.lane.context<DeskContext>(DESK)
  }

  /** what the quotes themselves hold, by token */
  heldByQuotes(): Record<string, string> {
    const totals: Record<string, string> = {}
    for (const { reserved } of this.lane.contexts<QuoteContext>('quote'))
      if (reserved) totals[reserved.token] = (BigInt(totals[reserved.token] ?? '0') + BigInt(reserved.units)).toString()
    return totals
  }
}

const payload = (outputs: readonly Output[], topic: string): unknown =>
  outputs.flatMap((output) => (output.does === 'message' && output.topic === topic ? [output.params.payload] : []))[0] ?? null

export const resultOf = (command: ExecuteTrade, result_code: ResultCode, settled_height: number | null = null): TradeResult => ({
  command_id: command.command_id,
  idempotency_key: command.idempotency_key,
  execution_key: command.execution_key,
  quote_id: command.quote_id,
  execution_id: 'i:1:0',
  pair: command.pair,
  direction: command.direction,
  asset_in: command.asset_in,
  asset_out: command.asset_out,
  amount_in: command.amount_in,
  amount_out: command.amount_out,
  status: STATUS[result_code] ?? 'failed',
  result_code,
  quote_hash: null,
  tx_hash: null,
  settled_height,
  note: null,
})

const STATUS: Partial<Record<ResultCode, TradeResult['status']>> = {
  SUBMITTED: 'submitted',
  REJECTED: 'submitted',
  UNCERTAIN: 'uncertain',
  RECOVERED: 'recovered',
  SETTLED: 'settled',
  EXPIRED_UNUSED: 'expired',
}
