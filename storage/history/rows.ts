import type { HistoryRow } from '#machines/contracts/history-row.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { ints, longs, texts, uuids } from '../arrays.ts'

/**
 * Where each topic's records are kept (those of `ops.lane_state` as the alerts that they raise), and the columns that its table takes out of the payload (migrations/0006_history.sql
 * generates them there; the integration test holds this table to that one).
 */
export const historyTables = {
  'raw.near_intents.quote': { table: 'raw_near_intents_quotes', columns: ['quote_id'] },
  'norm.swap_demand': { table: 'swap_demand_events', columns: ['quote_id', 'pair', 'direction'] },
  'ref.market_price': { table: 'market_price_events', columns: ['pair'] },
  'state.intent_inventory': { table: 'intent_inventory_snapshots', columns: ['inventory_id', 'pair'] },
  'ops.liquidity_action': { table: 'liquidity_actions', columns: ['liquidity_action_id', 'handle_id', 'pair', 'status'] },
  'decision.trade_decision': {
    table: 'trade_decisions',
    columns: ['decision_id', 'quote_id', 'command_id', 'inventory_id', 'decision', 'decision_reason', 'pair', 'direction'],
  },
  'cmd.execute_trade': {
    table: 'execute_trade_commands',
    columns: ['command_id', 'idempotency_key', 'execution_key', 'decision_id', 'quote_id', 'pair', 'direction'],
  },
  'exec.trade_result': {
    table: 'trade_execution_results',
    columns: ['command_id', 'idempotency_key', 'execution_key', 'quote_id', 'status', 'result_code', 'pair', 'direction'],
  },
  'ops.funding_observation': { table: 'funding_observations', columns: ['handle_id', 'pair'] },
  'ops.alert_event': { table: 'alert_events', columns: ['alert_id', 'pair'] },
  'ops.audit_state': { table: 'audit_states', columns: ['pair'] },
  'ctl.operator_command': { table: 'operator_commands', columns: ['order_id', 'service'] },
} as const satisfies Record<Exclude<TopicName, 'ops.lane_state'>, { table: string; columns: readonly string[] }>

/** The parameters of `commit_history` after its first; none where there is nothing to write. Envelopes are parsed in PostgreSQL. */
export const historyColumns = (rows: readonly HistoryRow[]): (Buffer | null)[] =>
  rows.length === 0
    ? []
    : [
        texts(rows, ({ topic }) => topic),
        ints(rows, ({ partition }) => partition),
        longs(rows, ({ offset }) => offset),
        texts(rows, ({ source_lane }) => source_lane),
        uuids(rows, ({ incarnation }) => incarnation),
        longs(rows, ({ position }) => position),
        texts(rows, ({ text }) => text),
      ]
