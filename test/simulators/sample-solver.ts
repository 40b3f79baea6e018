import { keyPairFromSeed, nep413Preimage, sha256 } from './crypto.ts'
import type { KeyPair } from './crypto.ts'
import type { Auction } from './auctions.ts'
import type { SignedIntent } from './intents.ts'
import type { QuoteResponse } from './inspection.ts'
import type { Market } from './market.ts'
import { makeVersionedNonce } from './nonces.ts'
import { CONTRACT, FIRST_SALT, isBtc, SOLVER, SOLVER_SEED } from './tokens.ts'

/*
 * The smallest client that passes: it prices, signs and answers one auction, with node:crypto. Tests bend one thing of it at a time.
 */

/** What a response is made of; every field can be bent. */
export interface Draft {
  readonly signerId: string
  readonly keys: KeyPair
  readonly deadlineMs: number
  /** base64 of 32 bytes. */
  readonly nonce: string
  readonly recipient: string
  readonly diff: Record<string, string>
  readonly output: { readonly amount_in?: string; readonly amount_out?: string }
}

const EDGE_BPS = 205n

/** Amounts that leave 2.05 % against the market's bid or ask, rounded in the solver's favour. */
const price = (auction: Auction, market: Market): { readonly amountIn: bigint; readonly amountOut: bigint } => {
  const { tokenIn, side, amount } = auction.request
  const { bidTenths, askTenths } = market.quote
  const receivesBtc = isBtc(tokenIn)
  const eurePerSat = receivesBtc ? bidTenths * 10n ** 9n * (10_000n - EDGE_BPS) : askTenths * 10n ** 9n * (10_000n + EDGE_BPS)
  const toEure = (sats: bigint): bigint => (sats * eurePerSat) / 10_000n
  const toSats = (units: bigint): bigint => (units * 10_000n) / eurePerSat
  if (side === 'in') return { amountIn: amount, amountOut: receivesBtc ? toEure(amount) : toSats(amount) }
  return { amountIn: (receivesBtc ? toSats(amount) : toEure(amount)) + 1n, amountOut: amount }
}

/** The right response to an auction at this moment. */
export const draftFor = (auction: Auction, market: Market, salt = FIRST_SALT): Draft => {
  const { tokenIn, tokenOut, side, minDeadlineMs } = auction.request
  const { amountIn, amountOut } = price(auction, market)
  const deadlineMs = Date.now() + minDeadlineMs + 10_000
  return {
    signerId: SOLVER,
    keys: keyPairFromSeed(SOLVER_SEED),
    deadlineMs,
    nonce: makeVersionedNonce(salt, deadlineMs + 60_000, crypto.getRandomValues(new Uint8Array(15))),
    recipient: CONTRACT,
    diff: { [tokenIn]: amountIn.toString(), [tokenOut]: `-${amountOut}` },
    output: side === 'in' ? { amount_out: amountOut.toString() } : { amount_in: amountIn.toString() },
  }
}

const signDraft = ({ signerId, keys, deadlineMs, nonce, recipient, diff }: Draft): SignedIntent => {
  const message = JSON.stringify({
    signer_id: signerId,
    deadline: new Date(deadlineMs).toISOString(),
    intents: [{ intent: 'token_diff', diff }],
  })
  const hash = sha256(nep413Preimage(message, Buffer.from(nonce, 'base64'), recipient))
  return { standard: 'nep413', payload: { message, nonce, recipient }, public_key: keys.publicKey, signature: keys.sign(hash) }
}

export const responseOf = (quoteId: string, draft: Draft): QuoteResponse => ({
  quote_id: quoteId,
  quote_output: draft.output,
  signed_data: signDraft(draft),
})
