import { randomBytes } from 'node:crypto'
import type { ClientBase } from 'pg'
import { SERVICES } from '#machines/contracts/services.ts'

/** Reads everything and writes nothing; for the command line. */
export const OPERATOR = 'operator'

/** A service's name is its role's, `-` written `_`, after `unrip_`. */
export const roleOf = (service: string): string => `unrip_${service.replaceAll('-', '_')}`

/**
 * Makes the roles that are missing: an owner who cannot log in, the owner of the views, the group of all services.
 * Roles belong to the whole server, so two databases of one server share them.
 */
export const ensureRoles = async (client: ClientBase): Promise<void> => {
  for (const role of ['unrip_owner', 'unrip_reader', 'unrip_service']) await ensureRole(client, role, 'NOLOGIN')
  for (const service of SERVICES) await ensureRole(client, roleOf(service), 'LOGIN')
  await ensureRole(client, roleOf(OPERATOR), 'LOGIN')
  await client.query('GRANT unrip_owner, unrip_reader TO CURRENT_USER WITH SET TRUE')
  await client.query('GRANT unrip_reader TO unrip_owner WITH INHERIT FALSE, SET TRUE')
  await client.query(`GRANT unrip_service TO ${SERVICES.map(roleOf).join(', ')}`)
  await client.query(`ALTER ROLE ${roleOf(OPERATOR)} SET default_transaction_read_only = on`)
}

/**
 * Sets every login role's password: the given one, else a random one that is stored nowhere.
 * @returns by service name (and `operator`)
 */
export const setPasswords = async (client: ClientBase, given: Readonly<Record<string, string>>): Promise<Record<string, string>> => {
  const passwords: Record<string, string> = {}
  // The statement holds the password: it must not reach the server's log.
  await client.query(`SELECT set_config('log_statement', 'none', false) WHERE current_setting('is_superuser') = 'on'`)
  for (const service of [...SERVICES, OPERATOR]) {
    const password = given[service] ?? randomBytes(24).toString('base64url')
    await client.query(`ALTER ROLE ${roleOf(service)} PASSWORD ${client.escapeLiteral(password)}`)
    passwords[service] = password
  }
  return passwords
}

const ensureRole = async (client: ClientBase, role: string, login: 'LOGIN' | 'NOLOGIN'): Promise<void> => {
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [role])
  if (rowCount === 0) await client.query(`CREATE ROLE ${role} ${login} NOSUPERUSER NOCREATEDB NOCREATEROLE`)
}
