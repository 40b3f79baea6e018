import { escapeIdentifier } from 'pg'
import { SERVICES } from '#machines/contracts/services.ts'
import { keyPairFromSeed } from '../simulators/crypto.ts'
import { PARTNER_JWT, SOLVER_SEED } from '../simulators/tokens.ts'
import type { Deployment } from './deployment.ts'

/** 64 bytes in base58 with NEAR's prefix: a signature, or a secret key with its public half. Public keys and hashes are 32. */
const SIGNATURE = /ed25519:[1-9A-HJ-NP-Za-km-z]{80,90}/
const secretKey = keyPairFromSeed(SOLVER_SEED).secretKey
const SECRETS = [secretKey, secretKey.replace('ed25519:', ''), SOLVER_SEED.toString('hex'), SOLVER_SEED.toString('base64'), PARTNER_JWT]

/** What of a text nobody may ever see in it. */
export const secretsIn = (text: string): string[] => {
  const found = SECRETS.filter((secret) => text.includes(secret)).map((secret) => `the secret ${secret.slice(0, 12)}…`)
  const signature = SIGNATURE.exec(text)
  return signature === null ? found : [...found, `a signature: …${text.slice(Math.max(0, signature.index - 80), signature.index + 30)}…`]
}

/** Every place at which a deployment shows or keeps a secret: tables, topics, logs, /state, what it prints. */
export const leakedSecrets = async (deployment: Deployment): Promise<string[]> => {
  const { topics, lines } = deployment
  const places: [string, string][] = [
    ['topics', topics.records.map(({ key, text, headers }) => `${key} ${text} ${JSON.stringify(headers)}`).join('\n')],
    ['logs', deployment.logs()],
    ['stdout', JSON.stringify(lines)],
  ]
  for (const service of SERVICES) {
    const control = deployment.control(service)
    places.push(
      [`/state of ${service}`, JSON.stringify(await control.state())],
      [`/actors of ${service}`, await control.text('/actors?limit=500')],
    )
  }
  for (const table of await tables(deployment)) places.push([`table ${table}`, await contentOf(deployment, table)])
  return places.flatMap(([place, text]) => secretsIn(text).map((what) => `${place}: ${what}`))
}

/** Every table that holds rows of its own. */
const tables = async ({ query }: Deployment): Promise<string[]> => {
  const rows = await query<{ schema: string; name: string }>(`
    SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`)
  return rows.map(({ schema, name }) => `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`)
}

const contentOf = async ({ query }: Deployment, table: string): Promise<string> =>
  (await query<Record<string, unknown>>(`SELECT * FROM ${table}`))
    .flatMap((row) => Object.values(row))
    .map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : typeof value === 'string' ? value : JSON.stringify(value)))
    .join('\n')
