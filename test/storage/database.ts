import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { ensureStack } from '#deploy/local/stack.ts'
import { migrate } from '#storage/migrate.ts'
import { silent } from './silent.ts'

export const TEST_LANES = 4

export interface TestDatabase {
  readonly adminUrl: string
  /** by service name, and `operator` */
  readonly roleUrls: Readonly<Record<string, string>>
  /** As the superuser, on a connection of its own. */
  admin<R>(work: (client: Client) => Promise<R>): Promise<R>
  /** Drops it. @throws when a test left a connection open */
  drop(): Promise<void>
}

const TEMPLATE = 'unrip_template'

/** A database of its own for one test file, cloned from a migrated template of the shared server. About 0.2 s. */
export const freshDatabase = async (): Promise<TestDatabase> => {
  const { adminUrl: serverUrl } = await ensureStack()
  const name = `test_${randomBytes(6).toString('hex')}`
  await withClient(serverUrl, async (client) => {
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [TEMPLATE])
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [TEMPLATE])
    if (rowCount === 0) {
      await client.query(`CREATE DATABASE ${TEMPLATE}`)
      await migrate({ adminUrl: onDatabase(serverUrl, TEMPLATE), lanes: TEST_LANES, log: silent })
    }
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`)
  })
  const adminUrl = onDatabase(serverUrl, name)
  const { roleUrls } = await migrate({ adminUrl, lanes: TEST_LANES, log: silent })
  return {
    adminUrl,
    roleUrls,
    admin: (work) => withClient(adminUrl, work),
    drop: () =>
      withClient(serverUrl, async (client) => {
        const { rows } = await client.query('SELECT application_name, query FROM pg_stat_activity WHERE datname = $1', [name])
        await client.query(`DROP DATABASE ${name} WITH (FORCE)`)
        if (rows.length > 0) throw new Error(`connections left open: ${JSON.stringify(rows)}`)
      }),
  }
}

export const withClient = async <R>(connectionString: string, work: (client: Client) => Promise<R>): Promise<R> => {
  const client = new Client({ connectionString, application_name: 'test' })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const onDatabase = (url: string, database: string): string => {
  const target = new URL(url)
  target.pathname = `/${database}`
  return target.href
}
