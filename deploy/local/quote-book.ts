/**
 * What became of each quote, read off the topics: decisions that skip end a quote, results move it on or end it.
 * Records in, lines out; a record seen twice says nothing new. What began before this start is looked up.
 */
import { z } from 'zod'
import { Envelope } from '#machines/contracts/envelope.ts'
import type { Envelope as AnyEnvelope } from '#machines/contracts/envelope.ts'
import { isFinal } from '#machines/contracts/records/trade.ts'
import { topics } from '#machines/contracts/topics.ts'

export type Outcome = 'SETTLED' | 'EXPIRED' | 'SKIPPED' | 'REJECTED'

export type QuoteLine =
  | {
      readonly event: 'quote_ended'
      readonly quote_id: string
      readonly outcome: Outcome
      readonly reason: string
      readonly direction: string
      readonly gross_edge_pct: string | null
      /** from the venue's sight of the demand to the end; null where nobody knows it */
      readonly latency_ms: number | null
      readonly note: string | null
      /** it began before this start */
      readonly resumed: boolean
    }
  | {
      readonly event: 'quote_progress'
      readonly quote_id: string
      readonly state: string
      readonly latency_ms: number | null
      readonly note: string | null
    }

export const FOLLOWED = ['norm.swap_demand', 'decision.trade_decision', 'exec.trade_result'] as const

export type QuoteBook = {
  /** @param value the record as it came; one that is not a readable envelope gives no line */
  read(topic: string, value: string): Promise<QuoteLine | undefined>
}

/** What the history has of a quote: when its demand was seen, and the decision's gross edge. */
export type Past = { readonly demandAt: number; readonly edge: string | null }
export type LookUp = (quoteId: string) => Promise<Past | undefined>

type Known = { demandAt?: number; edge?: string | null; ended?: boolean; resumed?: boolean; readonly seen: Set<string> }

/** Quotes kept; the oldest go first. At two a second that is more than an hour. */
const KEPT = 10_000

/**
 * @param sinceMs  records from before give no line: a lane that is taken over publishes its last batch again, and that was told
 *                 by the start before
 */
export const openQuoteBook = (sinceMs: number, lookUp: LookUp = async () => undefined): QuoteBook => {
  const quotes = new Map<string, Known>()
  const known = (quoteId: string): Known => {
    const entry = quotes.get(quoteId) ?? { seen: new Set() }
    if (!quotes.has(quoteId)) quotes.set(quoteId, entry)
    for (const oldest of quotes.keys()) {
      if (quotes.size <= KEPT) break
      quotes.delete(oldest)
    }
    return entry
  }
  return {
    read: async (topic, value) => {
      const envelope = readEnvelope(value)
      if (envelope === undefined) return undefined
      if (topic === 'norm.swap_demand') noteDemand(envelope, known)
      if (Date.parse(envelope.ingested_at) < sinceMs) return undefined
      if (topic === 'decision.trade_decision') return readDecision(envelope, known)
      if (topic === 'exec.trade_result') return readResult(envelope, known, lookUp)
      return undefined
    },
  }
}

const readEnvelope = (value: string): AnyEnvelope | undefined => {
  try {
    return Envelope.safeParse(JSON.parse(value)).data
  } catch (error) {
    if (error instanceof SyntaxError) return undefined // the services park it; here it is no line
    throw error
  }
}

const timeOf = ({ observed_at, ingested_at }: AnyEnvelope): number => Date.parse(observed_at ?? ingested_at)

const noteDemand = (envelope: AnyEnvelope, known: (quoteId: string) => Known): void => {
  const demand = z.looseObject({ quote_id: z.string() }).safeParse(envelope.payload)
  if (demand.success) known(demand.data.quote_id).demandAt ??= timeOf(envelope)
}

const readDecision = (envelope: AnyEnvelope, known: (quoteId: string) => Known): QuoteLine | undefined => {
  const { data } = topics['decision.trade_decision'].schema.safeParse(envelope.payload)
  if (data === undefined) return undefined
  const quote = known(data.quote_id)
  quote.edge = data.gross_edge_pct
  if (data.decision !== 'skip' || quote.ended === true) return undefined
  quote.ended = true
  return {
    event: 'quote_ended',
    quote_id: data.quote_id,
    outcome: 'SKIPPED',
    reason: data.decision_reason,
    direction: data.direction,
    gross_edge_pct: data.gross_edge_pct,
    latency_ms: latencyOf(quote, envelope),
    note: null,
    resumed: false,
  }
}

const readResult = async (envelope: AnyEnvelope, known: (quoteId: string) => Known, lookUp: LookUp): Promise<QuoteLine | undefined> => {
  const { data } = topics['exec.trade_result'].schema.safeParse(envelope.payload)
  if (data === undefined) return undefined
  const quote = known(data.quote_id)
  if (quote.ended === true || quote.seen.has(envelope.event_id)) return undefined
  quote.seen.add(envelope.event_id)
  const { quote_id, result_code, note, direction } = data
  if (quote.demandAt === undefined) {
    const past = await lookUp(quote_id)
    if (past !== undefined) Object.assign(quote, past, { resumed: true })
  }
  const latency_ms = latencyOf(quote, envelope)
  if (!isFinal(result_code)) return { event: 'quote_progress', quote_id, state: result_code, latency_ms, note }
  quote.ended = true
  const outcome = result_code === 'SETTLED' ? 'SETTLED' : result_code === 'EXPIRED_UNUSED' ? 'EXPIRED' : 'REJECTED'
  return {
    event: 'quote_ended',
    quote_id,
    outcome,
    reason: result_code,
    direction,
    gross_edge_pct: quote.edge ?? null,
    latency_ms,
    note,
    resumed: quote.resumed === true,
  }
}

const latencyOf = ({ demandAt }: Known, end: AnyEnvelope): number | null =>
  demandAt === undefined ? null : Date.parse(end.ingested_at) - demandAt

/** One line for people. */
export const textOf = (line: QuoteLine): string => {
  const latency = line.latency_ms === null ? '' : `${line.latency_ms} ms`
  if (line.event === 'quote_progress')
    return `  ${line.state.padEnd(10)}${line.quote_id}  ${latency}${line.note === null ? '' : `  ${line.note}`}`
  const edge = line.gross_edge_pct === null ? '' : `edge ${line.gross_edge_pct} %`
  const reason = line.outcome === line.reason ? '' : line.reason
  return [line.outcome.padEnd(8), line.quote_id, line.direction, edge, latency, reason, line.note ?? '']
    .filter((word) => word !== '')
    .join('  ')
}
