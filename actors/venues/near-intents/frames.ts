import { z } from 'zod'
import { QuoteId } from '#machines/contracts/records/quote.ts'
import { parseJson } from '../json.ts'

/** Shapes that the solver bus sends. Fields that we do not know are ignored, as the relay's own client does (2026-03). */

const I128_MAX = String(2n ** 127n - 1n)

/** Base units, above zero, within i128: no sign, no leading zeros. Texts of one length compare like their numbers. */
const Amount = z
  .string()
  .regex(/^[1-9][0-9]{0,38}$/, 'not a positive decimal integer')
  .refine((text) => text.length < I128_MAX.length || text <= I128_MAX, 'beyond i128')

const Milliseconds = z.int().nonnegative()

/** Some encoders write null for what is absent. */
const absentOr = <T extends z.ZodType>(shape: T) => shape.nullish().transform((value) => value ?? undefined)

/** A request for quotes. `in` is what the taker gives and we receive; one amount is fixed, the other is for us to say. */
const QuoteRequest = z
  .object({
    quote_id: QuoteId,
    defuse_asset_identifier_in: z.string().min(1).max(500),
    defuse_asset_identifier_out: z.string().min(1).max(500),
    exact_amount_in: absentOr(Amount),
    exact_amount_out: absentOr(Amount),
    min_deadline_ms: Milliseconds,
    min_wait_ms: absentOr(Milliseconds),
    max_wait_ms: absentOr(Milliseconds),
    protocol_fee_included: absentOr(z.boolean()),
  })
  .refine((quote) => (quote.exact_amount_in === undefined) !== (quote.exact_amount_out === undefined), 'exactly one exact amount is needed')
export type QuoteRequest = z.infer<typeof QuoteRequest>

/** Of `quote_status` and `quote_status_extended` (that one has `event_type`). Other solvers' hashes can arrive; repeats too. */
const QuoteStatus = z.object({
  quote_hash: z.string().min(1).max(200),
  intent_hash: absentOr(z.string().max(200)),
  tx_hash: absentOr(z.string().max(200)),
  event_type: absentOr(z.string().max(100)),
})
export type QuoteStatus = z.infer<typeof QuoteStatus>

export type Metadata = Record<string, unknown>

/** What one text frame is. `problem` says why a frame is none of the others. */
export type Frame =
  | { kind: 'quote'; data: QuoteRequest; metadata: Metadata | null }
  | { kind: 'status'; data: QuoteStatus }
  | { kind: 'answer'; id: number; result: unknown; error: unknown }
  | { kind: 'unknown'; problem: string }

/**
 * Both envelopes are taken: `{method: "event", params: {subscription, data, metadata}}`, which all running code uses, and the
 * flat `{method: "subscribe", params: {subscription, quote_id, ...}}` of the docs. Never throws.
 */
export const readFrame = (text: string): Frame => {
  const frame = parseJson(text)
  if (!isRecord(frame)) return { kind: 'unknown', problem: 'not a JSON object' }
  if (typeof frame.method === 'string') return notification(frame.method, frame.params)
  if (typeof frame.id === 'number' && ('result' in frame || 'error' in frame))
    return { kind: 'answer', id: frame.id, result: frame.result, error: frame.error ?? undefined }
  return { kind: 'unknown', problem: 'neither a notification nor an answer to a numeric id' }
}

const notification = (method: string, params: unknown): Frame => {
  if (method !== 'event' && method !== 'subscribe') return { kind: 'unknown', problem: `unknown method ${method.slice(0, 40)}` }
  if (!isRecord(params)) return { kind: 'unknown', problem: 'a notification without params' }
  const data = isRecord(params.data) ? params.data : params
  if ('quote_id' in data) {
    const quote = QuoteRequest.safeParse(data)
    if (!quote.success) return { kind: 'unknown', problem: `quote: ${firstIssue(quote.error)}` }
    return { kind: 'quote', data: quote.data, metadata: isRecord(params.metadata) ? params.metadata : null }
  }
  if (!('quote_hash' in data)) return { kind: 'unknown', problem: 'an event of no known stream' }
  const status = QuoteStatus.safeParse(data)
  return status.success ? { kind: 'status', data: status.data } : { kind: 'unknown', problem: `quote_status: ${firstIssue(status.error)}` }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

const firstIssue = (error: z.ZodError): string => {
  const issue = error.issues[0]
  return issue === undefined ? 'malformed' : `${issue.path.join('.') || 'frame'}: ${issue.message}`
}
