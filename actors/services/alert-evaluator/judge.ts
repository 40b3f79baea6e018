import type { PayloadOf } from '#machines/contracts/topics.ts'
import type { Bad, Good } from '#machines/alert/machine.ts'
import type { Env } from './config.ts'

/** What a record says about a condition: which alert, and good or bad news of it. Null: nothing. */
export type Judgement = { readonly key: string; readonly event: Good | Bad } | null

/** Kraken is what decisions lean on; CoinGecko standing in is worth a warning, nothing at all is critical. */
export const judgePrice = (price: PayloadOf<'ref.market_price'>, env: Env): Judgement => {
  const { pair, kraken, fair } = price
  const key = `stale-price:${pair}`
  if (kraken?.healthy) {
    const reason_if_late = `no fresh Kraken price for ${env.ALERT_PRICE_MAX_AGE_MS} ms`
    return {
      key,
      event: {
        type: 'condition.good',
        reason: 'Kraken is fresh',
        as_of_ms: kraken.confirmed_at_ms,
        good_for_ms: env.ALERT_PRICE_MAX_AGE_MS,
        reason_if_late,
        severity: 'critical',
      },
    }
  }
  const reason = fair ? 'Kraken is not healthy, CoinGecko stands in' : 'no source has a healthy price'
  return {
    key,
    event: { type: 'condition.bad', reason, for_ms: env.ALERT_PRICE_MAX_AGE_MS, quiet_ms: null, severity: fair ? 'warning' : 'critical' },
  }
}

export const judgeInventory = ({ pair, read_at_ms }: PayloadOf<'state.intent_inventory'>, env: Env): Judgement => ({
  key: `stale-inventory:${pair}`,
  event: {
    type: 'condition.good',
    reason: 'balances are read',
    as_of_ms: read_at_ms,
    good_for_ms: env.ALERT_INVENTORY_MAX_AGE_MS,
    reason_if_late: `balances not read for ${env.ALERT_INVENTORY_MAX_AGE_MS} ms`,
    severity: 'critical',
  },
})

/** One alert a deposit, so that one that is stuck is not hidden by another that came through. */
export const judgeFunding = ({ action, handle_id, tx_hash, amount, note }: PayloadOf<'ops.liquidity_action'>, env: Env): Judgement => {
  if (tx_hash === null) return null
  const key = `funding-stuck:${handle_id}:${tx_hash.slice(0, 80)}`
  switch (action) {
    case 'deposit_seen': {
      const reason = `${amount ?? 'an amount'} units seen and not credited within ${env.ALERT_FUNDING_STUCK_MS} ms`
      return { key, event: { type: 'condition.bad', reason, for_ms: env.ALERT_FUNDING_STUCK_MS, quiet_ms: null, severity: 'warning' } }
    }
    case 'deposit_failed':
      return {
        key,
        event: {
          type: 'condition.bad',
          reason: `the bridge says FAILED${note ? `: ${note}` : ''}`,
          for_ms: 0,
          quiet_ms: null,
          severity: 'critical',
        },
      }
    case 'deposit_credited':
      return {
        key,
        event: {
          type: 'condition.good',
          reason: 'credited',
          as_of_ms: 0,
          good_for_ms: null,
          reason_if_late: '',
          severity: 'info',
          ends: true,
        },
      }
    default:
      return null
  }
}

/** Refusals that an operator ordered or that are the auction's normal course are no failures. */
const FAILURES: Readonly<Record<string, 'warning' | 'critical'>> = {
  REJECTED: 'warning',
  UNCERTAIN: 'critical',
  VENUE_REJECTED: 'warning',
  TOO_LATE: 'warning',
  INVENTORY_INSUFFICIENT: 'warning',
  SIGNER_MISSING: 'critical',
  SIGNER_NOT_AUTHORIZED: 'critical',
  BAD_COMMAND: 'critical',
}

export const judgeResult = ({ pair, result_code }: PayloadOf<'exec.trade_result'>, env: Env): Judgement => {
  const key = `execution-failure:${pair}`
  const severity = FAILURES[result_code]
  // Without the command's id: the same failure again is the same alert.
  if (severity)
    return { key, event: { type: 'condition.bad', reason: result_code, for_ms: 0, quiet_ms: env.ALERT_EXECUTION_QUIET_MS, severity } }
  if (result_code !== 'SETTLED') return null
  return {
    key,
    event: { type: 'condition.good', reason: 'a trade settled', as_of_ms: 0, good_for_ms: null, reason_if_late: '', severity: 'info' },
  }
}
