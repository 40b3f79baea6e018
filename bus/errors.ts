/**
 * Why the bus refused. `code`:
 * - `closed` the bus was closed with the call under way; what was to be written may be written
 * - `no_such_partition` the topic has no such partition, or there is no such topic; whatever else was in the call may be written
 * - `message_too_large` a record, or what one call has for one partition, is above the broker's limit: repeating it is of no use
 * - `unavailable` anything else; possibly written: repeat the identical list
 * - `wrong_partitions` a topic exists with another number of partitions than this fleet has lanes
 */
export type BusErrorCode = 'closed' | 'no_such_partition' | 'message_too_large' | 'unavailable' | 'wrong_partitions'

export class BusError extends Error {
  override readonly name = 'BusError'
  readonly code: BusErrorCode

  constructor(code: BusErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
const MISSING = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION'])

/** kafkajs's error as ours. Its names do not tell (a refused connection is a `NonRetriableError`); the protocol's `type`, anywhere in its causes, does. */
export const asBusError = (error: unknown, doing: string): BusError => {
  if (error instanceof BusError) return error
  const types = typesOf(error)
  const text = error instanceof Error ? error.message : String(error)
  const code = types.some((type) => LARGE.has(type))
    ? 'message_too_large'
    : types.some((type) => MISSING.has(type))
      ? 'no_such_partition'
      : 'unavailable'
  return new BusError(code, `${doing}: ${text}`, { cause: error })
}

const typesOf = (error: unknown): string[] => {
  const types: string[] = []
  for (let at = error; at instanceof Error; at = at.cause) if ('type' in at && typeof at.type === 'string') types.push(at.type)
  return types
}
