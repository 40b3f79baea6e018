import { z } from 'zod'
import type { StoreErrorCode } from './store-port.ts'

/** The code that a store put on an error, or null for any other error. */
export const storeCode = (error: unknown): StoreErrorCode | null => {
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : null
  return typeof code === 'string' && CODES.has(code) ? (code as StoreErrorCode) : null
}

const CODES: ReadonlySet<string> = new Set<StoreErrorCode>([
  'stale_epoch',
  'batch_conflict',
  'went_back',
  'bad_data',
  'unknown',
  'unavailable',
  'broken_contract',
])

/** The store's own contract is broken: nothing this process does can be trusted, and it ends. */
export class HostBroken extends Error {
  readonly code = 'host_broken'
}

/** This event cannot be taken by this actor: it is parked with it, and the lane goes on. */
export class EventRefused extends Error {
  readonly code = 'event_refused'
}

/** The lane's memory was thrown away while something was computed on it; the computation is void. */
export class LaneReset extends Error {
  readonly code = 'lane_reset'
}

/** One line for a log, a cause, an alert. The message of a schema's error is the JSON of its issues. */
export const textOf = (error: unknown): string => {
  if (error instanceof z.ZodError) return error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`).join('; ')
  return error instanceof Error ? error.message : String(error)
}
