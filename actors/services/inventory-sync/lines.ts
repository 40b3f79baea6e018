import type { Log } from '#actors/runtime/ports.ts'
import type { RecordLines } from '../record-lines.ts'

/** A line when the balances begin or cease to add up; that they are stale the state says. */
export const inventoryLines = (log: Log): RecordLines => {
  let before = 'ok'
  return {
    'state.intent_inventory': ({ payload: { pair, inventory_id, block_height, reconciliation }, venue, correlation_id }) => {
      const { status, detail } = reconciliation
      if (status === before) return
      before = status
      const fields = { component: 'inventory', topic: 'state.intent_inventory', venue, pair, correlation_id, inventory_id, block_height }
      if (status === 'ok') log.info({ event: 'inventory.reconciled', ...fields }, 'the balances add up again')
      else log.warn({ event: `inventory.${status}`, ...fields }, detail ?? status)
    },
  }
}
