import { sql } from 'slonik'
import type { CommonQueryMethods } from 'slonik'
import { z } from 'zod'

const ChainRecord = z.object({
  event_id: z.string(),
  event_type: z.string(),
  source: z.string().nullable(),
  observed_at: z.string().nullable(),
  ingested_at: z.string(),
  correlation_id: z.string().nullable(),
  causation_id: z.string().nullable(),
  /** `topic/partition@offset` */
  place: z.string(),
  payload: z.record(z.string(), z.unknown()),
})
export type ChainRecord = z.infer<typeof ChainRecord>

export interface QuoteChain {
  readonly quote_id: string
  /** every record of the quote with the price and the inventory that its decision used, oldest first */
  readonly records: readonly ChainRecord[]
}

const columns = sql.fragment`event_id, event_type, source, observed_at, ingested_at, correlation_id, causation_id,
  topic || '/' || partition || '@' || "offset" AS place, payload, incarnation, position`

/** Null where the history has nothing of this quote. The view `quote_chain` has the same as one row a quote. */
export const readQuoteChain = async (db: CommonQueryMethods, quoteId: string): Promise<QuoteChain | null> => {
  const records = await db.any(sql.type(ChainRecord)`
    WITH decision AS (SELECT ${columns} FROM public.trade_decisions WHERE quote_id = ${quoteId}),
    inventory AS (
      SELECT DISTINCT ON (inventory_id) ${columns} FROM public.intent_inventory_snapshots
      WHERE inventory_id IN (SELECT payload ->> 'inventory_id' FROM decision) ORDER BY inventory_id, ingested_at
    ),
    chain AS (
      SELECT * FROM decision
      UNION ALL SELECT ${columns} FROM public.swap_demand_events WHERE quote_id = ${quoteId}
      UNION ALL SELECT ${columns} FROM public.execute_trade_commands WHERE quote_id = ${quoteId}
      UNION ALL SELECT ${columns} FROM public.trade_execution_results WHERE quote_id = ${quoteId}
    )
    SELECT event_id, event_type, source, observed_at, ingested_at, correlation_id, causation_id, place, payload FROM (
      SELECT * FROM chain
      UNION ALL SELECT * FROM inventory
      UNION ALL SELECT ${columns} FROM public.market_price_events WHERE event_id IN (SELECT payload ->> 'price_event_id' FROM decision)
      UNION ALL SELECT ${columns} FROM public.raw_near_intents_quotes WHERE quote_id = ${quoteId}
    ) records
    ORDER BY ingested_at, incarnation, position`)
  return records.length === 0 ? null : { quote_id: quoteId, records }
}
