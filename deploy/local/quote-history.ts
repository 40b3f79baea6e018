/** Looks up what the history tables have of a quote that began before this start. */
import { Client } from 'pg'
import type { Past } from './quote-book.ts'

/** @param url a role that may read the view `quote_chain`. @returns undefined also where the database cannot be asked: a line goes out without it */
export const pastOf = async (url: string, quoteId: string): Promise<Past | undefined> => {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1_000, query_timeout: 2_000 })
  client.on('error', () => undefined) // told by the query
  try {
    await client.connect()
    const { rows } = await client.query<{ at: Date | null; edge: string | null }>(
      `SELECT coalesce(demand_observed_at, demand_ingested_at) AS at, decision_payload ->> 'gross_edge_pct' AS edge
         FROM quote_chain WHERE quote_id = $1`,
      [quoteId],
    )
    const [row] = rows
    return row?.at === null || row === undefined ? undefined : { demandAt: row.at.getTime(), edge: row.edge }
  } catch {
    return undefined
  } finally {
    await client.end().catch(() => undefined)
  }
}
