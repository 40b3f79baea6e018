import { z } from 'zod'
import { Units } from '../money.ts'

/** ops.liquidity_action: a step of a treasury action, as the bridge reports it. */
export const LiquidityAction = z.looseObject({
  liquidity_action_id: z.string(),
  handle_id: z.string(),
  pair: z.string(),
  action: z.enum([
    'address_requested',
    'address_active',
    'address_failed',
    'deposit_seen',
    'deposit_credited',
    'deposit_failed',
    'withdrawal_seen',
    'withdrawal_ended',
    'withdrawals_frozen',
    'withdrawals_unfrozen',
  ]),
  asset: z.enum(['BTC', 'EURe']),
  token_id: z.string().nullable(),
  chain: z.string(),
  address: z.string().nullable(),
  amount: Units.nullable(),
  tx_hash: z.string().nullable(),
  status: z.string(),
  note: z.string().nullable(),
})
export type LiquidityAction = z.infer<typeof LiquidityAction>

/** ops.funding_observation: an inbound transfer before it is credited. Visibility only, never spendable. */
export const FundingObservation = z.looseObject({
  handle_id: z.string(),
  pair: z.string(),
  asset: z.enum(['BTC', 'EURe']),
  chain: z.string(),
  address: z.string(),
  tx_hash: z.string(),
  amount: Units,
  token_id: z.string().nullable(),
  state: z.enum(['SEEN_UNCONFIRMED', 'SEEN_CONFIRMED', 'CREDIT_PENDING', 'CREDITED', 'FAILED_OR_STUCK']),
  confirmations: z.int().nullable(),
  note: z.string().nullable(),
})
export type FundingObservation = z.infer<typeof FundingObservation>

/** ops.alert_event: an alert was raised or cleared. */
export const AlertEvent = z.looseObject({
  alert_id: z.string(),
  alert: z.string(),
  subject: z.string(),
  pair: z.string(),
  severity: z.enum(['info', 'warning', 'critical']),
  transition: z.enum(['raised', 'cleared']),
  reason: z.string(),
  since: z.iso.datetime(),
})
export type AlertEvent = z.infer<typeof AlertEvent>

/** ops.audit_state: whether the history can be written, once a second from every lane of the writer. */
export const AuditState = z.looseObject({
  pair: z.string(),
  lane: z.int(),
  version: z.int(),
  writable: z.boolean(),
  last_write_at: z.iso.datetime().nullable(),
  lag: z.int().nullable(),
})
export type AuditState = z.infer<typeof AuditState>

/** ops.lane_state: something in a lane that a person has to look at, or that is over; written with the batch that brought it. */
export const LaneState = z.looseObject({
  service: z.string(),
  lane: z.int(),
  /** parked: an event failed and holds its actor. halted: an input lost data. overdue: an outcome is unknown after its deadline */
  condition: z.enum(['parked', 'halted', 'overdue']),
  holds: z.boolean(),
  /** of how many when it was written; `reason` names the first */
  count: z.int(),
  since: z.iso.datetime().nullable(),
  reason: z.string(),
})
export type LaneState = z.infer<typeof LaneState>

/** ctl.operator_command: an order as a fact, after it was committed. */
export const OperatorCommand = z.looseObject({
  order_id: z.string(),
  service: z.string(),
  order: z.string(),
  by: z.string(),
  reason: z.string(),
  lane: z.int(),
  outcome: z.string(),
})
export type OperatorCommand = z.infer<typeof OperatorCommand>
