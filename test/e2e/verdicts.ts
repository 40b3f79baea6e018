/** What has to be true of a deployment after whatever was done to it: lists of what is wrong, empty when nothing is. */
import { historyTables } from '#storage/history/rows.ts'
import { topicNames } from '#machines/contracts/topics.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import type { Deployment } from './deployment.ts'
import { emptied } from './emptied.ts'
import { envelopeOf } from './topic-log.ts'
import type { LoggedRecord } from './topic-log.ts'
import type { VenueAnswer } from './venues.ts'

const ON_THE_WAY = ['SUBMITTED', 'REJECTED', 'UNCERTAIN', 'RECOVERED']

export interface Final {
  readonly quote_id: string
  readonly result_code: string
  readonly tx_hash: string | null
  readonly quote_hash: string | null
  readonly settled_height: number | null
}

/** Every final result in the tables. */
export const finals = (deployment: Deployment): Promise<Final[]> =>
  deployment.query<Final>(
    `SELECT quote_id, result_code, payload ->> 'tx_hash' AS tx_hash, payload ->> 'quote_hash' AS quote_hash,
       (payload ->> 'settled_height')::float8 AS settled_height
     FROM trade_execution_results WHERE NOT result_code = ANY ($1)`,
    [ON_THE_WAY],
  )

/** Traffic off, and then as long as it takes until no offer is open at the venue and every command has ended. @returns what has not */
export const untilAllEnded = async (deployment: Deployment): Promise<string[]> => {
  const { venues, topics } = deployment
  await venues.traffic(false)
  const open = await emptied(async () => openOffers((await venues.report()).answered), 45_000)
  const withoutEnds =
    open.length > 0 ? [] : await emptied(() => Promise.resolve(withoutEnd(topics.records).map(({ text }) => text)), 20_000)
  await topics.caughtUp()
  const missing = await emptied(() => missingInHistory(deployment), 10_000, 200)
  return [...open, ...withoutEnds, ...missing]
}

export const openOffers = (answers: readonly VenueAnswer[]): string[] =>
  answers.filter(({ state }) => state === 'open').map(({ quote_id }) => `offer of ${quote_id} is open at the venue`)

/** What should have led to something, and the key of the actor that it is the work of. */
export interface WithoutEnd {
  readonly text: string
  readonly record: LoggedRecord
  readonly actor: string
}

/** Demands without a decision, and commands without a final result, by the topics. */
export const withoutEnd = (records: readonly LoggedRecord[]): WithoutEnd[] => {
  const decided = quoteIds(records, 'decision.trade_decision')
  const ended = quoteIds(
    records.filter(
      (record) => record.topic === 'exec.trade_result' && !ON_THE_WAY.includes(String(envelopeOf(record).payload['result_code'])),
    ),
    'exec.trade_result',
  )
  return records.flatMap((record) => {
    const what = BEGINNINGS[record.topic]
    if (what === undefined) return []
    const { payload } = envelopeOf(record)
    const quoteId = String(payload['quote_id'])
    if ((what === 'demand' ? decided : ended).has(quoteId)) return []
    return [{ text: `${what} of ${quoteId} has no end`, record, actor: what === 'demand' ? quoteId : String(payload['command_id']) }]
  })
}

const BEGINNINGS: Readonly<Record<string, 'demand' | 'command'>> = { 'norm.swap_demand': 'demand', 'cmd.execute_trade': 'command' }

const quoteIds = (records: readonly LoggedRecord[], topic: TopicName): Set<string> =>
  new Set(records.filter((record) => record.topic === topic).map((record) => String(envelopeOf(record).payload['quote_id'])))

/** Every topic of which surface.md names a history table. */
const KEPT = topicNames.filter((topic) => topic !== 'ops.audit_state' && topic !== 'ops.lane_state' && topic !== 'ctl.operator_command')

/** Records of the topics that no table has. */
export const missingInHistory = async ({ topics, query }: Deployment): Promise<string[]> => {
  const missing: string[] = []
  for (const topic of KEPT) {
    const sent = new Set(topics.records.filter((record) => record.topic === topic).map((record) => envelopeOf(record).event_id))
    for (const { event_id } of await query<{ event_id: string }>(`SELECT event_id FROM ${historyTables[topic].table}`))
      sent.delete(event_id)
    missing.push(...[...sent].map((id) => `${topic} ${id}`))
  }
  return missing
}

/** Where the tables and the venue's truth differ: every answered quote has one final result, the true one, and nothing else has settled. */
export const untruths = (answers: readonly VenueAnswer[], results: readonly Final[]): string[] => {
  const byQuote = Map.groupBy(results, ({ quote_id }) => quote_id)
  const answered = new Set(answers.map(({ quote_id }) => quote_id))
  return [
    ...answers.flatMap((answer) => untruthsOf(answer, byQuote.get(answer.quote_id) ?? [])),
    ...secondEnds(results),
    ...results
      .filter((end) => end.result_code === 'SETTLED' && !answered.has(end.quote_id))
      .map((end) => `${end.quote_id}: settled unanswered`),
  ]
}

/** Quotes with more than one final result. */
export const secondEnds = (results: readonly Final[]): string[] =>
  [...Map.groupBy(results, ({ quote_id }) => quote_id)]
    .filter(([, ends]) => ends.length > 1)
    .map(([quote, ends]) => `${quote}: ${ends.length} final results`)

const untruthsOf = ({ quote_id, quote_hash, state, tx_hash, settled_height }: VenueAnswer, [end]: readonly Final[]): string[] => {
  if (end === undefined) return [`${quote_id}: answered, ${state}, and no final result`]
  const isSettled = end.result_code === 'SETTLED'
  if (isSettled !== (state === 'settled')) return [`${quote_id}: ${state} at the venue, ${end.result_code} here`]
  if (end.quote_hash !== quote_hash) return [`${quote_id}: hash ${quote_hash} at the venue, ${end.quote_hash} here`]
  if (!isSettled) return []
  // The chain alone names no transaction: a status frame may have, and then the right one.
  const isOther = (end.tx_hash !== null && end.tx_hash !== tx_hash) || (end.settled_height ?? 0) < (settled_height ?? 0)
  return isOther ? [`${quote_id}: ${tx_hash} at ${settled_height}, here ${end.tx_hash} at ${end.settled_height}`] : []
}

interface ChainRow {
  readonly quote_id: string
  readonly correlation_id: string | null
  readonly raw_event_id: string | null
  readonly demand_event_id: string | null
  readonly demand_causation_id: string | null
  readonly decision_event_id: string | null
  readonly decision_causation_id: string | null
  readonly decision: string | null
  readonly price_event_id: string | null
  readonly inventory_event_id: string | null
  readonly command_event_id: string | null
  readonly command_causation_id: string | null
  readonly decision_payload: { readonly reasons: readonly string[] } | null
  readonly results: readonly {
    readonly causation_id: string | null
    readonly correlation_id: string | null
    readonly result_code: string
  }[]
  readonly final_result_code: string | null
}

/** Quotes whose rows do not hang together: each record names the one that led to it, and all have the quote's one correlation id. */
export const brokenChains = async ({ query }: Deployment): Promise<string[]> => {
  const rows = await query<ChainRow>('SELECT * FROM quote_chain')
  if (rows.length === 0) return ['there is no quote']
  return rows.flatMap((row) => brokenLinks(row).map((link) => `${row.quote_id}: ${link}`))
}

const brokenLinks = (row: ChainRow): string[] => {
  const { decision, results, decision_payload } = row
  const isTrade = decision === 'trade'
  const sawPrice = isTrade || !(decision_payload?.reasons ?? []).includes('PRICE_MISSING')
  const sawInventory = isTrade || !(decision_payload?.reasons ?? []).includes('INVENTORY_MISSING')
  const links: readonly (readonly [name: string, holds: boolean])[] = [
    ['correlation id', row.correlation_id === row.quote_id],
    ['raw frame to demand', row.raw_event_id !== null && row.raw_event_id === row.demand_causation_id],
    ['demand to decision', row.demand_event_id !== null && row.demand_event_id === row.decision_causation_id],
    ['price of the decision', !sawPrice || row.price_event_id !== null],
    ['inventory of the decision', !sawInventory || row.inventory_event_id !== null],
    [
      'demand to command',
      isTrade ? row.command_causation_id === row.demand_event_id && row.command_event_id !== null : row.command_event_id === null,
    ],
    ['command to results', results.every(({ causation_id }) => causation_id === row.command_event_id)],
    ['correlation of results', results.every(({ correlation_id }) => correlation_id === row.quote_id)],
    ['one end', results.filter(({ result_code }) => !ON_THE_WAY.includes(result_code)).length === (isTrade ? 1 : 0)],
    ['final code', (row.final_result_code !== null) === isTrade],
  ]
  return links.filter(([, holds]) => !holds).map(([name]) => name)
}
