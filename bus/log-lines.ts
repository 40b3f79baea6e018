import { logLevel } from 'kafkajs'
import type { logCreator } from 'kafkajs'
import type { Log } from './shapes.ts'

/** The same line again within this is counted, not printed. */
const QUIET_MS = 5_000

/** While a broker restarts these print dozens of errors a second, and the client mends it by itself. */
const chatter = new Set(['Connection', 'BrokerPool'])

/** kafkajs's lines as ours: `{ns, …facts}`, connection trouble as debug, nothing twice in five seconds. */
export const logLines = (log: Log, nowMs: () => number = () => performance.now()): logCreator => {
  const seen = new Map<string, { at: number; suppressed: number }>()
  return () =>
    ({ namespace, level, log: { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...facts } }) => {
      const line = `${namespace} ${message}`
      const before = seen.get(line)
      if (before !== undefined && nowMs() - before.at < QUIET_MS) {
        before.suppressed += 1
        return
      }
      if (seen.size > 500) seen.clear()
      seen.set(line, { at: nowMs(), suppressed: 0 })
      const fields = {
        event: 'kafka.client',
        ns: `kafkajs ${namespace}`,
        ...facts,
        ...(before === undefined || before.suppressed === 0 ? {} : { suppressed: before.suppressed }),
      }
      if (chatter.has(namespace)) log.debug(fields, message)
      // A kafkajs error is a step of its retries; whoever asked is told in the end by a rejected call.
      else if (level === logLevel.ERROR || level === logLevel.WARN) log.warn(fields, message)
      else log.debug(fields, message)
    }
}
