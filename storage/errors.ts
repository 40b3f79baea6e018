import { DatabaseError } from 'pg'

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

/**
 * Names what went wrong.
 *
 * E1. `unavailable` is said only where nothing was written for certain: PostgreSQL answered with an ERROR, or the statement
 *     never left us.
 * E2. A session that ends while a statement is under way (FATAL, a broken connection, no answer in time) leaves `unknown`:
 *     the statement may have been committed before the words were lost.
 *
 * @param sent whether the statement had been sent
 */
export const toStoreError = (error: unknown, what: string, sent: boolean): StoreError => {
  if (error instanceof StoreError) return error
  const said = error instanceof Error ? error.message : String(error)
  if (!(error instanceof DatabaseError)) return new StoreError(sent ? 'unknown' : 'unavailable', `${what}: ${said}`, { cause: error })
  const sqlState = error.code ?? null
  const code = error.severity === 'ERROR' ? codeOf(sqlState ?? '') : sent ? 'unknown' : 'unavailable'
  return new StoreError(code, `${what}: ${said}`, { sqlState, cause: error })
}

/** Whether the connection that said this can still be used. */
export const isSessionOver = (error: unknown): boolean => !(error instanceof DatabaseError) || error.severity !== 'ERROR'

/** @see https://www.postgresql.org/docs/18/errcodes-appendix.html */
const codeOf = (sqlState: string): StoreCode => {
  const ours = OURS[sqlState]
  if (ours) return ours
  switch (sqlState.slice(0, 2)) {
    case '21': // one statement would write the same row twice: two keys that are one once stored
    case '22': // data exception: NUL in a text, broken JSON, a number out of range
    case '54': // program limit exceeded: a key too long for its index
      return 'bad_data'
    case '23':
    case '42':
      return 'broken_contract'
    default: // 08, 40, 53, 55, 57, 58, 25006 and what nobody named
      return 'unavailable'
  }
}

const OURS: Readonly<Record<string, StoreCode>> = {
  UR001: 'stale_epoch',
  UR002: 'batch_conflict',
  UR003: 'went_back',
  '23514': 'unavailable', // the day has no partition yet
}
