import { z } from 'zod'
import { openIntent, Panic, SignedIntent, signatureIsValid } from './intents.ts'
import type { OpenedIntent } from './intents.ts'
import type { Ledger } from './ledger.ts'
import { readVersionedNonce } from './nonces.ts'
import { CONTRACT } from './tokens.ts'

/** What was broadcast: amounts net of the protocol fee. */
export interface QuoteRequest {
  readonly quoteId: string
  readonly tokenIn: string
  readonly tokenOut: string
  /** Which side is fixed, as the taker sees it. */
  readonly side: 'in' | 'out'
  readonly amount: bigint
  readonly minDeadlineMs: number
}

export const QuoteResponse = z.looseObject({
  quote_id: z.string(),
  quote_output: z.looseObject({ amount_in: z.string().optional(), amount_out: z.string().optional(), type: z.string().optional() }),
  signed_data: z.unknown().optional(),
})
export type QuoteResponse = z.infer<typeof QuoteResponse>

/** The checks of the relay, in its order; the first that fails is its answer. */
export const CHECKS = [
  'auction',
  'output_side',
  'signed_data',
  'recipient',
  'signature',
  'key',
  'nonce',
  'salt',
  'deadline',
  'diff',
  'fixed_side',
  'output_amount',
  'balance',
] as const
export type Check = (typeof CHECKS)[number]
export interface Finding {
  readonly check: Check
  readonly text: string
}

/** A swap that somebody signed: what the signer receives and gives, base units above zero. */
export interface Offer {
  readonly signed: SignedIntent
  readonly opened: OpenedIntent
  readonly tokenIn: string
  readonly tokenOut: string
  readonly amountIn: bigint
  readonly amountOut: bigint
}

export interface Inspection {
  /** In the order of CHECKS; empty means accepted. Every check that can be made is made, also after a failed one. */
  readonly findings: readonly Finding[]
  /** Where signature and content are readable: it could settle, whatever else is wrong with it. */
  readonly offer?: Offer
}

export const LATE = 'quote not found or already finished'

/**
 * Holds one quote_response against the auction and the ledger.
 * @param request  of the auction, also of a closed one; absent for an unknown quote_id
 * @param isOpen   whether the auction still takes answers
 */
export const inspect = (
  response: QuoteResponse,
  request: QuoteRequest | undefined,
  isOpen: boolean,
  ledger: Ledger,
  toleranceMs: number,
): Inspection => {
  const findings: Finding[] = []
  const found = (check: Check, text: string): void => void findings.push({ check, text })
  if (!request || !isOpen) found('auction', LATE)
  const output = request && outputOf(response, request)
  if (request && output === undefined) found('output_side', `quote_output must have amount_${request.side === 'in' ? 'out' : 'in'} only`)
  const signed = SignedIntent.safeParse(response.signed_data)
  if (!signed.success) found('signed_data', 'invalid intent: signed_data does not parse')
  const opened = signed.success ? tryOpen(signed.data) : undefined
  if (!signed.success || !opened) return { findings }
  if (typeof opened === 'string') {
    found('signed_data', opened)
    return { findings }
  }
  if (opened.recipient !== CONTRACT) found('recipient', 'wrong verifying_contract')
  const isSigned = signatureIsValid(signed.data)
  if (!isSigned) found('signature', 'invalid signature')
  inspectAuthority(opened, ledger, found)
  if (request) inspectDeadline(opened, request, ledger.now(), toleranceMs, found)
  const offer = swapOf(signed.data, opened)
  if (!offer) found('diff', 'invalid intent: one token_diff of exactly two tokens, one received and one given, is wanted')
  else if (request) inspectAmounts(offer, request, output, found)
  if (offer && ledger.balance(opened.signerId, offer.tokenOut) < offer.amountOut) found('balance', 'insufficient balance or overflow')
  return { findings, ...(offer && isSigned && { offer }) }
}

const outputOf = ({ quote_output }: QuoteResponse, request: QuoteRequest): string | undefined => {
  const [wanted, other] =
    request.side === 'in' ? [quote_output.amount_out, quote_output.amount_in] : [quote_output.amount_in, quote_output.amount_out]
  return other === undefined && wanted !== undefined && /^(0|[1-9]\d{0,38})$/.test(wanted) ? wanted : undefined
}

const tryOpen = (signed: SignedIntent): OpenedIntent | string => {
  try {
    return openIntent(signed)
  } catch (error) {
    if (error instanceof Panic) return error.message
    throw error
  }
}

const inspectAuthority = (opened: OpenedIntent, ledger: Ledger, found: (check: Check, text: string) => void): void => {
  const { signerId, publicKey, nonce } = opened
  if (!ledger.hasKey(signerId, publicKey)) found('key', `public key '${publicKey}' doesn't exist for account '${signerId}'`)
  if (ledger.nonceUsed(signerId, nonce)) found('nonce', 'nonce was already used')
  const versioned = readVersionedNonce(opened.nonceBytes)
  if (!versioned) {
    if (ledger.legacyNoncesForbidden) found('nonce', 'invalid nonce')
    return
  }
  if (!ledger.saltIsValid(versioned.salt)) found('salt', 'invalid salt')
  else if (opened.deadlineMs > versioned.deadlineMs) found('salt', 'deadline is greater than nonce')
  else if (versioned.deadlineMs < ledger.now()) found('salt', 'nonce was already expired')
}

const inspectDeadline = (
  opened: OpenedIntent,
  request: QuoteRequest,
  now: number,
  toleranceMs: number,
  found: (check: Check, text: string) => void,
): void => {
  const leftMs = opened.deadlineMs - now
  if (leftMs < 0) found('deadline', 'deadline has expired')
  else if (leftMs < request.minDeadlineMs - toleranceMs)
    found('deadline', `deadline is in ${leftMs} ms, min_deadline_ms is ${request.minDeadlineMs}`)
}

const swapOf = (signed: SignedIntent, opened: OpenedIntent): Offer | undefined => {
  const [intent, ...others] = opened.intents
  if (intent?.intent !== 'token_diff' || others.length > 0) return undefined
  const entries = Object.entries(intent.diff)
  const [received, given] = [entries.find(([, delta]) => delta > 0n), entries.find(([, delta]) => delta < 0n)]
  if (entries.length !== 2 || !received || !given) return undefined
  return { signed, opened, tokenIn: received[0], amountIn: received[1], tokenOut: given[0], amountOut: -given[1] }
}

const inspectAmounts = (
  offer: Offer,
  request: QuoteRequest,
  output: string | undefined,
  found: (check: Check, text: string) => void,
): void => {
  if (offer.tokenIn !== request.tokenIn || offer.tokenOut !== request.tokenOut) {
    found('diff', `diff is ${offer.tokenIn} for ${offer.tokenOut}, the request ${request.tokenIn} for ${request.tokenOut}`)
    return
  }
  const [fixed, free] = request.side === 'in' ? [offer.amountIn, offer.amountOut] : [offer.amountOut, offer.amountIn]
  if (fixed !== request.amount) found('fixed_side', `diff has ${fixed} on the fixed side, the request ${request.amount}`)
  if (output !== undefined && free !== BigInt(output)) found('output_amount', `diff has ${free}, quote_output ${output}`)
}
