/** The words of `StoreErrorCode` in the runtime's ports; storage fits that shape without importing it. */
export type StoreCode = 'stale_epoch' | 'batch_conflict' | 'went_back' | 'bad_data' | 'unknown' | 'unavailable' | 'broken_contract'

/** What a store could not do. `code` tells the host what follows; `sqlState` is PostgreSQL's own code where it said one. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreCode
  readonly sqlState: string | null
  constructor(code: StoreCode, message: string, options: { sqlState?: string | null; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.sqlState = options.sqlState ?? null
  }
}
