import { z } from 'zod'
import { Decimal, Direction, Units, UnitsByToken } from '../money.ts'

/** In the order in which they are looked at; the first that fails is the reason. `DUPLICATE_QUOTE` is a counter only. */
export const DECISION_REASONS = [
  'DUPLICATE_QUOTE',
  'QUOTE_EXPIRED',
  'DEADLINE_TOO_LONG',
  'PRICE_MISSING',
  'PRICE_STALE',
  'PRICE_CONFLICT',
  'FALLBACK_DENIED',
  'INVENTORY_MISSING',
  'INVENTORY_STALE',
  'EDGE_BELOW_THRESHOLD',
  'NOTIONAL_ABOVE_CAP',
  'INVENTORY_INSUFFICIENT',
  'AUDIT_IMPAIRED',
  'NOT_ARMED',
  'TRADE',
] as const
export type DecisionReason = (typeof DECISION_REASONS)[number]

/** decision.trade_decision */
export const TradeDecision = z.looseObject({
  decision_id: z.string(),
  quote_id: z.string(),
  pair: z.string(),
  direction: Direction,
  asset_in: z.string(),
  asset_out: z.string(),
  /** the offer's amounts in base units; null where no offer could be worked out */
  amount_in: Units.nullable(),
  amount_out: Units.nullable(),
  implied_rate: Decimal.nullable(),
  reference_rate: Decimal.nullable(),
  gross_edge_pct: Decimal.nullable(),
  threshold_bps: z.int(),
  price_freshness_ms: z.int().nullable(),
  price_source: z.enum(['kraken', 'coingecko']).nullable(),
  price_event_id: z.string().nullable(),
  inventory_id: z.string().nullable(),
  inventory_snapshot: z
    .object({ inventory_id: z.string(), block_height: z.int(), spendable: UnitsByToken, reserved: UnitsByToken })
    .nullable(),
  decision: z.enum(['trade', 'skip']),
  decision_reason: z.enum(DECISION_REASONS),
  reasons: z.array(z.enum(DECISION_REASONS)),
  command_id: z.string().nullable(),
})
export type TradeDecision = z.infer<typeof TradeDecision>

/** cmd.execute_trade: one offer to make. Times are ISO-8601. */
export const ExecuteTrade = z.looseObject({
  command_id: z.string().min(1),
  idempotency_key: z.string().min(1),
  execution_key: z.string().min(1),
  decision_id: z.string().min(1),
  quote_id: z.string().min(1),
  pair: z.string(),
  direction: Direction,
  asset_in: z.string(),
  asset_out: z.string(),
  amount_in: Units,
  amount_out: Units,
  fixed_side: z.enum(['in', 'out']),
  /** when the auction stops taking answers; sending later is pointless */
  answer_by: z.iso.datetime(),
  /** until when the signed offer can settle; the venue enforces it */
  offer_deadline: z.iso.datetime(),
  reason: z.string(),
})
export type ExecuteTrade = z.infer<typeof ExecuteTrade>

export const RESULT_CODES = [
  'SUBMITTED',
  'REJECTED',
  'UNCERTAIN',
  'RECOVERED',
  'SETTLED',
  'EXPIRED_UNUSED',
  'VENUE_REJECTED',
  'TOO_LATE',
  'INVENTORY_INSUFFICIENT',
  'DISARMED',
  'SIGNER_MISSING',
  'SIGNER_NOT_AUTHORIZED',
  'BAD_COMMAND',
] as const
export type ResultCode = (typeof RESULT_CODES)[number]

const ON_THE_WAY: readonly ResultCode[] = ['SUBMITTED', 'REJECTED', 'UNCERTAIN', 'RECOVERED']
/** Exactly one final code a command. */
export const isFinal = (code: ResultCode): boolean => !ON_THE_WAY.includes(code)

/** exec.trade_result */
export const TradeResult = z.looseObject({
  command_id: z.string(),
  idempotency_key: z.string(),
  execution_key: z.string(),
  quote_id: z.string(),
  execution_id: z.string().nullable(),
  pair: z.string(),
  direction: Direction,
  asset_in: z.string(),
  asset_out: z.string(),
  amount_in: Units,
  amount_out: Units,
  status: z.enum(['submitted', 'uncertain', 'recovered', 'settled', 'expired', 'failed']),
  result_code: z.enum(RESULT_CODES),
  quote_hash: z.string().nullable(),
  tx_hash: z.string().nullable(),
  settled_height: z.int().nullable(),
  note: z.string().nullable(),
})
export type TradeResult = z.infer<typeof TradeResult>
