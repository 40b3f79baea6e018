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
