import type { Severity } from '#machines/alert/board.ts'
import { isFinal } from '#machines/contracts/records/trade.ts'
import type { PayloadOf } from '#machines/contracts/topics.ts'
import type { Bad, Good } from '#machines/alert/machine.ts'
import type { Env } from './config.ts'

/** What a record says about a condition: which alert, and good or bad news of it. Null: nothing. */
export interface Judged {
  readonly key: string
  readonly event: Good | Bad
}
export type Judgement = Judged | null

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
  VENUE_REJECTED: 'warning',
  TOO_LATE: 'warning',
  INVENTORY_INSUFFICIENT: 'warning',
  SIGNER_MISSING: 'critical',
  SIGNER_NOT_AUTHORIZED: 'critical',
  BAD_COMMAND: 'critical',
}

/** What a lane says of itself: one alert a lane and condition, whatever else it finds of the same kind. */
export const judgeLane = ({ service, lane, condition, holds, count, reason }: PayloadOf<'ops.lane_state'>): Judged => {
  const key = `${LANE_ALERTS[condition].alert}:${service}/${lane}`
  return holds
    ? bad(key, count > 1 ? `${reason} (and ${count - 1} more)` : reason, LANE_ALERTS[condition].severity, null)
    : good(key, reason)
}

const LANE_ALERTS = {
  parked: { alert: 'event-parked', severity: 'warning' },
  halted: { alert: 'lane-halted', severity: 'critical' },
  overdue: { alert: 'outcome-overdue', severity: 'critical' },
} as const

/**
 * An outcome that is not known has an alert of its own, which only the end of that command clears. Of other failures the same one
 * again is the same alert, and any trade that settles clears it.
 */
export const judgeResult = ({ pair, command_id, result_code }: PayloadOf<'exec.trade_result'>, env: Env): readonly Judged[] => {
  const uncertain = `execution-uncertain:${command_id}`
  if (result_code === 'UNCERTAIN') return [bad(uncertain, 'nobody can say yet what became of it', 'critical', null)]
  const failure = `execution-failure:${pair}`
  const severity = FAILURES[result_code]
  return [
    ...(severity ? [bad(failure, result_code, severity, env.ALERT_EXECUTION_QUIET_MS)] : []),
    ...(result_code === 'SETTLED' ? [good(failure, 'a trade settled')] : []),
    ...(isFinal(result_code) ? [good(uncertain, `it ended: ${result_code}`, true)] : []),
  ]
}

const bad = (key: string, reason: string, severity: Severity, quiet_ms: number | null): Judged => {
  return { key, event: { type: 'condition.bad', reason, for_ms: 0, quiet_ms, severity } }
}

const good = (key: string, reason: string, ends = false): Judged => {
  const event = { type: 'condition.good', reason, as_of_ms: 0, good_for_ms: null, reason_if_late: '', severity: 'info' } as const
  return { key, event: ends ? { ...event, ends } : event }
}
