import type { Log } from '#actors/runtime/ports.ts'
import type { RecordLines } from '../record-lines.ts'

/** A line for every alert that is raised or cleared. */
export const alertLines = (log: Log): RecordLines => ({
  'ops.alert_event': ({ payload: { alert_id, alert, pair, severity, transition, reason, since }, venue, correlation_id }) => {
    // Of a deposit that is late, the operator looks for it under funding.
    const event = alert === 'funding-stuck' && transition === 'raised' ? 'funding.delayed' : `alert.${transition}`
    const fields = { event, component: 'alert', topic: 'ops.alert_event', venue, pair, correlation_id, alert_id, alert, severity, since }
    if (transition === 'raised') log.warn(fields, `${alert_id}: ${reason}`)
    else log.info(fields, `${alert_id}: ${reason}`)
  },
})
