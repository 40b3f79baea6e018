import { Client } from 'pg'

export interface DropDaysOptions {
  /** the owner of the tables or the administrator; never logged */
  readonly adminUrl: string
  /** whole days before today that stay */
  readonly keepDays: number
  /** only these parents, for instance `unrip.journal`; absent: all but the history */
  readonly parents?: readonly string[]
  readonly log: { info(fields: object, text: string): void }
}

interface Day {
  readonly parent: string
  readonly child: string
}

/** The kernel's own; a history is kept until somebody says otherwise. */
const KERNEL = ['unrip.journal', 'unrip.outbox', 'unrip.parked']

/**
 * Removes the partitions of old days, one by one, by DETACH CONCURRENTLY and then DROP: dropping an attached one stalls commits
 * for as long as a reader is open. A day stays that still holds an outbox not published or a parked event not resolved.
 * @returns the partitions that went
 */
export const dropDays = async ({ adminUrl, keepDays, parents = KERNEL, log }: DropDaysOptions): Promise<string[]> => {
  const client = new Client({ connectionString: adminUrl, application_name: 'unrip drop days' })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK])
    const dropped: string[] = []
    for (const day of await oldDays(client, parents, keepDays)) {
      if (await isNeeded(client, day)) continue
      await client.query(`ALTER TABLE ${day.parent} DETACH PARTITION ${day.child} CONCURRENTLY`)
      await client.query(`DROP TABLE ${day.child}`)
      log.info({ event: 'database.day_dropped', partition: day.child }, 'dropped the partition of an old day')
      dropped.push(day.child)
    }
    return dropped
  } finally {
    await client.end()
  }
}

/** Any number that nobody else uses. */
const LOCK = 0x756e_7264

const oldDays = async (client: Client, parents: readonly string[], keepDays: number): Promise<Day[]> => {
  const { rows } = await client.query<Day>(
    `SELECT p.oid::regclass::text AS parent, c.oid::regclass::text AS child
     FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
     WHERE p.oid = ANY ($1::regclass[]) AND NOT i.inhdetachpending AND to_date(right(c.relname, 8), 'YYYYMMDD') < unrip.today() - $2::int
     ORDER BY c.relname`,
    [parents, keepDays],
  )
  return rows
}

const isNeeded = async (client: Client, { parent, child }: Day): Promise<boolean> => {
  const open = OPEN[parent]
  if (open === undefined) return false
  const { rows } = await client.query<{ needed: boolean }>(`SELECT EXISTS (SELECT FROM ${child} x WHERE ${open}) AS needed`)
  return rows[0]?.needed ?? true
}

const OPEN: Readonly<Record<string, string>> = {
  'unrip.outbox': `x.blob IS NOT NULL AND x.batch > (SELECT l.published FROM unrip.lane l WHERE l.service = x.service AND l.lane = x.lane)`,
  'unrip.parked': 'x.done IS NULL',
}
