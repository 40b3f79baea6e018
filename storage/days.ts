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
  /** `detaching`: an earlier run did not come to its end. `detached`: nor to the dropping */
  readonly state: 'attached' | 'detaching' | 'detached'
}

/** How many whole days before today the journal is kept unless the environment says otherwise: longer than any ended actor's row. */
export const KEEP_DAYS = 14

/** The kernel's own; a history is kept until somebody says otherwise. */
const KERNEL = ['unrip.journal', 'unrip.outbox', 'unrip.parked']

/**
 * Removes the partitions of old days, one by one, by DETACH CONCURRENTLY and then DROP: dropping an attached one stalls commits
 * for as long as a reader is open. A day stays that still holds an outbox not published or a parked event not resolved. What a run
 * that was cut short has left is finished.
 * @returns the partitions that went
 */
export const dropDays = async ({ adminUrl, keepDays, parents = KERNEL, log }: DropDaysOptions): Promise<string[]> => {
  const client = new Client({ connectionString: adminUrl, application_name: 'unrip drop days', statement_timeout: STATEMENT_MS })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK])
    const dropped: string[] = []
    for (const day of await oldDays(client, parents, keepDays)) {
      if (day.state === 'attached' && (await isNeeded(client, day))) continue
      if (day.state !== 'detached')
        await client.query(
          `ALTER TABLE ${day.parent} DETACH PARTITION ${day.child} ${day.state === 'attached' ? 'CONCURRENTLY' : 'FINALIZE'}`,
        )
      await client.query(`DROP TABLE ${day.child}`)
      log.info({ event: 'database.day_dropped', partition: day.child }, `dropped the partition of an old day: ${day.child}`)
      dropped.push(day.child)
    }
    return dropped
  } finally {
    await client.end()
  }
}

/** A reader that stays open longer leaves the day to the next run. */
const STATEMENT_MS = 5_000

/** Any number that nobody else uses. */
const LOCK = 0x756e_7264

const oldDays = async (client: Client, parents: readonly string[], keepDays: number): Promise<Day[]> => {
  const { rows } = await client.query<Day>(
    `SELECT p.oid::regclass::text AS parent, c.oid::regclass::text AS child,
       CASE WHEN i.inhrelid IS NULL THEN 'detached' WHEN i.inhdetachpending THEN 'detaching' ELSE 'attached' END AS state
     FROM pg_class p JOIN pg_class c ON c.relnamespace = p.relnamespace AND c.relkind = 'r' AND c.relname ~ ('^' || p.relname || '_[0-9]{8}$')
       LEFT JOIN pg_inherits i ON i.inhparent = p.oid AND i.inhrelid = c.oid
     WHERE p.oid = ANY ($1::regclass[]) AND right(c.relname, 8) < to_char(unrip.today() - $2::int, 'YYYYMMDD')
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
