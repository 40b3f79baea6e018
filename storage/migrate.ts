import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import { Client } from 'pg'
import { SERVICES } from '#machines/contracts/services.ts'
import { StoreError } from './errors.ts'
import { OPERATOR, ensureRoles, roleOf, setPasswords } from './roles.ts'

interface MigrateLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

export interface MigrateOptions {
  /** a role that may create roles, and the database to migrate; never logged */
  readonly adminUrl: string
  /** lanes of every keyed service; stored at the first run, and another number is refused */
  readonly lanes: number
  readonly log: MigrateLog
  /** by service name, and `operator`; who is absent gets a random one */
  readonly passwords?: Readonly<Record<string, string>>
}

/**
 * Brings a database to the newest schema, forward only: roles, migrations, grants, the next days' partitions. Safe to run
 * from several processes at once and on a database whose hosts are running. Each run gives every role a new password
 * unless one is given.
 * @returns the URL of each service's own role, and of `operator`
 * @throws {StoreError} broken_contract: the stored number of lanes is another
 */
export const migrate = async (options: MigrateOptions): Promise<{ roleUrls: Record<string, string> }> => {
  const { adminUrl, lanes, log } = options
  const client = new Client({ connectionString: adminUrl, application_name: 'unrip migrate' })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK])
    await ensureRoles(client)
    await runMigrations(client, log)
    await storeFleet(client, lanes)
    const { rows } = await client.query<{ made: number }>('SELECT unrip.ensure_days() AS made')
    if (rows[0]?.made) log.info({ event: 'database.days_made', days: rows[0].made }, 'made partitions for the days ahead')
    const passwords = await setPasswords(client, options.passwords ?? {})
    return { roleUrls: Object.fromEntries(Object.entries(passwords).map(([name, password]) => [name, urlOf(adminUrl, name, password)])) }
  } finally {
    await client.end()
  }
}

/** Any number that nobody else uses; held until the connection ends. */
const LOCK = 0x756e_7269

const runMigrations = async (client: Client, log: MigrateLog): Promise<void> => {
  const { rows } = await client.query<{ name: string }>('SELECT quote_ident(current_database()) AS name')
  await client.query(`GRANT CREATE ON DATABASE ${rows[0]?.name} TO unrip_owner`)
  await client.query('GRANT CREATE, USAGE ON SCHEMA public TO unrip_owner')
  await client.query('GRANT USAGE ON SCHEMA public TO unrip_reader, unrip_service, unrip_operator')
  await client.query('CREATE SCHEMA IF NOT EXISTS unrip AUTHORIZATION unrip_owner')
  await client.query('SET ROLE unrip_owner')
  await client.query('SET search_path = unrip')
  await runner({
    dbClient: client,
    dir: fileURLToPath(new URL('../migrations', import.meta.url)),
    ignorePattern: '(\\..*|schema\\.sql)',
    migrationsSchema: 'unrip',
    migrationsTable: 'migration',
    direction: 'up',
    singleTransaction: true,
    noLock: true,
    logger: {
      debug: () => undefined,
      info: (text) => log.info({}, String(text)),
      warn: (text) => log.warn({}, String(text)),
      error: () => undefined, // the whole file; what went wrong is in the error that follows
    },
  })
  await client.query('RESET ROLE')
}

/** The service rows, and the one row of the fleet: how many lanes, and which storage. */
const storeFleet = async (client: Client, lanes: number): Promise<void> => {
  for (const service of SERVICES)
    await client.query('INSERT INTO unrip.service (service, role) VALUES ($1, $2) ON CONFLICT DO NOTHING', [service, roleOf(service)])
  await client.query(
    'INSERT INTO unrip.fleet (lanes, system_id, timeline) SELECT $1, i.system_id, i.timeline FROM unrip.storage_identity() i ON CONFLICT DO NOTHING',
    [lanes],
  )
  const { rows } = await client.query<{ lanes: number }>('SELECT lanes FROM unrip.fleet')
  if (rows[0]?.lanes !== lanes)
    throw new StoreError(
      'broken_contract',
      `LANES is ${lanes}, but this database was made with ${rows[0]?.lanes}; the number cannot be changed`,
    )
}

const urlOf = (adminUrl: string, name: string, password: string): string => {
  const url = new URL(adminUrl)
  url.username = roleOf(name === OPERATOR ? OPERATOR : name)
  url.password = encodeURIComponent(password)
  return url.href
}
