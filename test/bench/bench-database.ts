import { loadavg } from 'node:os'
import { Client } from 'pg'
import { startPostgres } from '#deploy/local/postgres.ts'
import type { Postgres } from '#deploy/local/postgres.ts'
import { migrate } from '#storage/migrate.ts'
import { BENCH_SERVICE, BESIDE_SERVICE, quiet } from './bench-host.ts'
import { temporaryDir } from './temporary-dir.ts'

export interface BenchDatabase {
  readonly postgres: Postgres
  /** of the bench service's role */
  readonly url: string
  /** of another service's role, for a lane beside it */
  readonly besideUrl: string
  /** as the superuser, on a connection of its own */
  admin<R>(work: (db: Client) => Promise<R>): Promise<R>
}

/** A migrated PostgreSQL of its own for the length of `work`. */
export const withDatabase = async (name: string, work: (database: BenchDatabase) => Promise<void>): Promise<void> => {
  const dir = temporaryDir(name)
  const postgres = await startPostgres({ dataDir: dir.path, log: () => undefined })
  try {
    const { roleUrls } = await migrate({ adminUrl: postgres.adminUrl, lanes: 1, log: quiet })
    const admin: BenchDatabase['admin'] = async (run) => {
      const db = new Client({ connectionString: postgres.adminUrl })
      await db.connect()
      try {
        return await run(db)
      } finally {
        await db.end()
      }
    }
    await work({ postgres, url: roleUrls[BENCH_SERVICE] ?? '', besideUrl: roleUrls[BESIDE_SERVICE] ?? '', admin })
  } finally {
    await postgres.stop()
    dir.remove()
  }
}

/** What else the machine does: wall times mean little where this is near the number of cores before the bench has begun. */
export const loadNow = (): string => `load average ${loadavg()[0]?.toFixed(2)}`

export const say = (line: string): void => void process.stdout.write(`${line}\n`)
export const progress = (line: string): void => void process.stderr.write(`${line}\n`)
