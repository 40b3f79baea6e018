import type { Log } from '#actors/runtime/ports.ts'
import type { RecordLines } from '../record-lines.ts'

/** A line for every demand that is not traded, with the reason; a trade is the executor's line. */
export const decisionLines = (log: Log): RecordLines => ({
  'decision.trade_decision': ({ payload, venue, correlation_id }) => {
    const { pair, quote_id, decision_id, decision, decision_reason, reasons, direction, gross_edge_pct, price_freshness_ms } = payload
    const fields = { component: 'desk', topic: 'decision.trade_decision', venue, pair, correlation_id, quote_id, decision_id, direction }
    const more = { decision_reason, reasons, gross_edge_pct, price_freshness_ms, inventory_id: payload.inventory_id }
    if (decision === 'trade') log.debug({ event: 'strategy.decided', ...fields, ...more }, `${quote_id}: trade`)
    else log.info({ event: 'strategy.rejected', ...fields, ...more }, `${quote_id}: ${decision_reason}`)
  },
})
