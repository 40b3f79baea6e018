import { createPool } from 'slonik'
import type { CommonQueryMethods, DatabasePool, DriverTypeParser } from 'slonik'

export interface ReadOptions {
  /** a service's role sees its own rows, the operator's all; never logged */
  readonly connectionString: string
}

export interface ReadPool {
  /** @throws slonik's errors; where the view does not let the role in, its code is 42501 */
  read<R>(query: (db: CommonQueryMethods) => Promise<R>): Promise<R>
  close(): Promise<void>
}

/** Money stays text; ids, offsets and ms are far below 2^53; instants are ISO-8601. */
const typeParsers: DriverTypeParser[] = [
  { name: 'int8', parse: Number },
  { name: 'numeric', parse: (text) => text },
  { name: 'timestamptz', parse: (text) => new Date(text).toISOString() },
]

/** slonik for everything that only looks. It connects at the first read, and an idle connection goes after a minute. */
export const readPool = ({ connectionString }: ReadOptions): ReadPool => {
  let opened: Promise<DatabasePool> | null = null
  const open = (): Promise<DatabasePool> => {
    const attempt = createPool(connectionString, {
      captureStackTrace: false,
      connectionRetryLimit: 0,
      connectionTimeout: 3_000,
      idleTimeout: 60_000,
      maxPoolSize: 2,
      // Reads leave nothing behind that the next one could trip over.
      resetConnection: async () => undefined,
      statementTimeout: 10_000,
      typeParsers,
    })
    opened = attempt
    // One that failed is not kept: the database may be back at the next read.
    attempt.catch(() => {
      if (opened === attempt) opened = null
    })
    return attempt
  }
  return {
    read: async (query) => query(await (opened ?? open())),
    close: async () => {
      const pool = await opened?.catch(() => null)
      opened = null
      await pool?.end()
    },
  }
}
