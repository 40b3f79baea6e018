import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { numberOf } from './faults.ts'
import { parseJson, readBody, sendJson } from './http.ts'
import { intentHash, SignedIntent } from './intents.ts'
import type { Transaction } from './ledger.ts'
import type { RelayParts } from './relay.ts'

const Call = z.looseObject({ id: z.unknown(), method: z.string(), params: z.array(z.unknown()).default([]) })
const QuoteArgs = z.looseObject({
  defuse_asset_identifier_in: z.string(),
  defuse_asset_identifier_out: z.string(),
  exact_amount_in: z.string().optional(),
  exact_amount_out: z.string().optional(),
  min_deadline_ms: z.number().default(60_000),
})
const Publish = z.looseObject({ quote_hashes: z.array(z.string()).nullish(), signed_data: SignedIntent })
const PublishMany = z.looseObject({ quote_hashes: z.array(z.string()).nullish(), signed_datas: z.array(SignedIntent) })

/** A requester over HTTP waits no longer than this. */
const REQUESTER_WAIT_MS = 3_000

/** The relay's JSON-RPC for requesters: quote, publish_intent, publish_intents, get_status. */
export const relayRpc = (parts: RelayParts) => {
  const published = new Map<string, Transaction>()
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const fault = parts.faults.hit('relay.rpc_status')
    if (fault) return sendJson(response, numberOf(fault.value, 502), { error: 'unavailable' })
    const path = new URL(request.url ?? '/', 'http://relay').pathname
    if (request.method !== 'POST' || path !== '/rpc') return sendJson(response, 404, { error: 'not found' })
    const call = Call.safeParse(parseJson(await readBody(request)))
    const answer = (body: object): void => sendJson(response, 200, { jsonrpc: '2.0', id: call.data?.id ?? null, ...body })
    if (!call.success) return answer({ error: { code: -32_600, message: 'Invalid Request' } })
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    const token = bearer ?? request.headers['x-api-key']
    if (typeof token !== 'string' || !parts.jwts.includes(token)) return answer({ error: { code: 401, message: 'Unauthorized' } })
    const { method, params } = call.data
    switch (method) {
      case 'quote': {
        const args = QuoteArgs.safeParse(params[0])
        return answer(args.success ? { result: await quote(parts, args.data) } : { error: { code: -32_602, message: 'Invalid params' } })
      }
      case 'publish_intent': {
        const args = Publish.safeParse(params[0])
        if (!args.success) return answer({ error: { code: -32_602, message: 'Invalid params' } })
        return answer({ result: publish(parts, published, args.data.signed_data, args.data.quote_hashes ?? []) })
      }
      case 'publish_intents': {
        const args = PublishMany.safeParse(params[0])
        if (!args.success) return answer({ error: { code: -32_602, message: 'Invalid params' } })
        const results = args.data.signed_datas.map((signed) => publish(parts, published, signed, args.data.quote_hashes ?? []))
        const failed = results.find(({ status }) => status === 'FAILED')
        return answer({
          result: {
            status: failed ? 'FAILED' : 'OK',
            ...(failed && { reason: failed.reason }),
            intent_hashes: results.map(({ intent_hash }) => intent_hash),
          },
        })
      }
      case 'get_status': {
        const hash = z.looseObject({ intent_hash: z.string() }).safeParse(params[0])
        return answer(
          hash.success ? { result: status(published, hash.data.intent_hash) } : { error: { code: -32_602, message: 'Invalid params' } },
        )
      }
      default:
        return answer({ error: { code: -32_601, message: 'Method not found' } })
    }
  }
}

/** Opens an auction that nobody but the requester settles; answers when it closes. */
const quote = async (parts: RelayParts, args: z.infer<typeof QuoteArgs>): Promise<readonly unknown[] | null> => {
  const auction = parts.auctions.open({
    token_in: args.defuse_asset_identifier_in,
    token_out: args.defuse_asset_identifier_out,
    ...(args.exact_amount_in !== undefined && { exact_amount_in: args.exact_amount_in }),
    ...(args.exact_amount_out !== undefined && { exact_amount_out: args.exact_amount_out }),
    min_deadline_ms: args.min_deadline_ms,
    max_wait_ms: REQUESTER_WAIT_MS,
    plan: 'external',
  })
  await new Promise<void>((resolve) => {
    auction.whenClosed.push(resolve)
  })
  const quotes = [...auction.standing.values()].map((one) => ({
    quote_hash: one.quote_hash,
    defuse_asset_identifier_in: auction.request.tokenIn,
    defuse_asset_identifier_out: auction.request.tokenOut,
    amount_in: one.amount_in,
    amount_out: one.amount_out,
    expiration_time: one.deadline,
  }))
  return quotes.length > 0 ? quotes : null
}

const publish = (
  parts: RelayParts,
  published: Map<string, Transaction>,
  signed: SignedIntent,
  quoteHashes: readonly string[],
): { status: 'OK' | 'FAILED'; reason?: string; intent_hash: string } => {
  const intent_hash = intentHash(signed)
  const earlier = published.get(intent_hash)
  if (earlier?.panic === undefined && earlier) return { status: 'FAILED', reason: 'already processed', intent_hash }
  const transaction = parts.settlement.publish(signed, quoteHashes)
  published.set(intent_hash, transaction)
  return transaction.panic === undefined ? { status: 'OK', intent_hash } : { status: 'FAILED', reason: transaction.panic, intent_hash }
}

const status = (published: Map<string, Transaction>, intent_hash: string): object => {
  const transaction = published.get(intent_hash)
  if (!transaction) return { intent_hash, status: 'NOT_FOUND_OR_NOT_VALID' }
  const data = { hash: transaction.hash }
  return transaction.panic === undefined
    ? { intent_hash, status: 'SETTLED', data }
    : { intent_hash, status: 'NOT_FOUND_OR_NOT_VALID', status_details: 'FAILED', data }
}
