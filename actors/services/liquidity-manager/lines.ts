import type { Log } from '#actors/runtime/ports.ts'
import type { LiquidityAction } from '#machines/contracts/records/operations.ts'
import type { RecordLines } from '../record-lines.ts'

const EVENTS: Readonly<Record<LiquidityAction['action'], readonly [level: 'info' | 'warn', event: string]>> = {
  address_requested: ['info', 'funding.requested'],
  address_active: ['info', 'funding.address_active'],
  address_failed: ['warn', 'funding.address_failed'],
  deposit_seen: ['info', 'funding.seen'],
  deposit_credited: ['info', 'funding.credited'],
  deposit_failed: ['warn', 'funding.failed'],
  withdrawal_seen: ['info', 'withdrawal.seen'],
  withdrawal_ended: ['info', 'withdrawal.ended'],
  withdrawals_frozen: ['warn', 'funding.frozen'],
  withdrawals_unfrozen: ['info', 'funding.unfrozen'],
}

/** A line for every step of a treasury action; that one is late the alert evaluator says. */
export const fundingLines = (log: Log): RecordLines => ({
  'ops.liquidity_action': ({ payload, venue, correlation_id }) => {
    const { action, pair, liquidity_action_id, handle_id, asset, chain, amount, tx_hash, status, note } = payload
    const [level, event] = EVENTS[action]
    const names = { component: 'funding', topic: 'ops.liquidity_action', venue, pair, correlation_id, liquidity_action_id, handle_id }
    log[level]({ event, ...names, asset, chain, amount, tx_hash, status, note }, `${asset}: ${action}`)
  },
})
