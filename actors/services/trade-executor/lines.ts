import type { Log } from '#actors/runtime/ports.ts'
import { isFinal } from '#machines/contracts/records/trade.ts'
import type { ResultCode } from '#machines/contracts/records/trade.ts'
import type { RecordLines } from '../record-lines.ts'

/** What is worth a line without a fault: that something was sent. How the auction went on from there is not. */
const PLAIN: Partial<Record<ResultCode, readonly [level: 'info' | 'debug', event: string]>> = {
  SUBMITTED: ['info', 'command.submitted'],
  SETTLED: ['debug', 'command.settled'],
  EXPIRED_UNUSED: ['debug', 'command.expired'],
}
const FAULTS: Partial<Record<ResultCode, string>> = {
  REJECTED: 'venue.rejected',
  UNCERTAIN: 'venue.timed_out',
  RECOVERED: 'command.recovered',
}

/** A line for each command that was submitted, rejected, not answered, recovered or failed. */
export const resultLines = (log: Log): RecordLines => ({
  'exec.trade_result': ({ payload, venue, correlation_id }) => {
    const { pair, quote_id, command_id, execution_id, result_code, quote_hash, note } = payload
    const [level, event] = PLAIN[result_code] ?? ['warn', FAULTS[result_code] ?? 'command.failed']
    const names = { component: 'command', topic: 'exec.trade_result', venue, pair, correlation_id, quote_id, command_id, execution_id }
    log[level]({ event, ...names, result_code, final: isFinal(result_code), quote_hash, note }, `${command_id}: ${result_code}`)
  },
})
