import { z } from 'zod'
import { keyBytes, nep413Preimage, sha256, toBase58, verifyEd25519 } from './crypto.ts'
import { nonceBytes } from './nonces.ts'

/** A panic of the verifier: the message is the contract's own text (near/intents, core/src/error.rs). */
export class Panic extends Error {
  readonly code = 'PANIC'
  override readonly name = 'Panic'
}

const Nep413 = z.object({
  standard: z.literal('nep413'),
  payload: z.object({ message: z.string(), nonce: z.string(), recipient: z.string(), callbackUrl: z.string().optional() }),
  public_key: z.string(),
  signature: z.string(),
})
const Raw = z.object({ standard: z.literal('raw_ed25519'), payload: z.string(), public_key: z.string(), signature: z.string() })
export const SignedIntent = z.discriminatedUnion('standard', [Nep413, Raw])
export type SignedIntent = z.infer<typeof SignedIntent>

/** The contract's i128: digits with an optional sign. */
const Amount = z
  .string()
  .regex(/^[+-]?\d{1,39}$/)
  .transform((digits) => BigInt(digits.replace(/^\+/, '')))
const Unsigned = Amount.refine((amount) => amount >= 0n)

const TokenDiff = z.object({
  intent: z.literal('token_diff'),
  diff: z.record(z.string(), Amount),
  memo: z.string().optional(),
  referral: z.string().optional(),
})
const Transfer = z.object({
  intent: z.literal('transfer'),
  receiver_id: z.string(),
  tokens: z.record(z.string(), Unsigned),
  memo: z.string().optional(),
})
const FtWithdraw = z.object({
  intent: z.literal('ft_withdraw'),
  token: z.string(),
  receiver_id: z.string(),
  amount: Unsigned,
  memo: z.string().optional(),
})
const MtWithdraw = z.object({
  intent: z.literal('mt_withdraw'),
  token: z.string(),
  receiver_id: z.string(),
  token_ids: z.array(z.string()),
  amounts: z.array(Unsigned),
})
const PublicKey = z.object({ intent: z.enum(['add_public_key', 'remove_public_key']), public_key: z.string() })
export const Intent = z.discriminatedUnion('intent', [TokenDiff, Transfer, FtWithdraw, MtWithdraw, PublicKey])
export type Intent = z.infer<typeof Intent>

const Deadline = z
  .string()
  .refine((text) => !Number.isNaN(Date.parse(text)))
  .transform((text) => Date.parse(text))
const Message = z.object({ signer_id: z.string(), deadline: Deadline, intents: z.array(Intent).default([]) })
const RawMessage = Message.extend({ verifying_contract: z.string(), nonce: z.string() })

export interface OpenedIntent {
  readonly signerId: string
  readonly publicKey: string
  readonly deadlineMs: number
  readonly nonce: string
  readonly nonceBytes: Buffer
  readonly recipient: string
  readonly intents: readonly Intent[]
  /** base58 of the hash: `quote_hash` and `intent_hash`. */
  readonly hash: string
}

const hashOf = (signed: SignedIntent): Buffer => {
  if (signed.standard === 'raw_ed25519') return sha256(Buffer.from(signed.payload))
  const { message, nonce, recipient, callbackUrl } = signed.payload
  return sha256(nep413Preimage(message, nonceBytes(nonce) ?? Buffer.alloc(32), recipient, callbackUrl))
}

export const intentHash = (signed: SignedIntent): string => toBase58(hashOf(signed))

/** A response is checked when it comes and again when it settles; the second time is free. */
const verified = new WeakMap<SignedIntent, boolean>()

/** raw_ed25519 signs the payload's bytes, nep413 the hash. */
export const signatureIsValid = (signed: SignedIntent): boolean => {
  const isValid = verified.get(signed) ?? verifySigned(signed)
  verified.set(signed, isValid)
  return isValid
}

const verifySigned = (signed: SignedIntent): boolean => {
  if (!keyBytes(signed.public_key, 32)) return false
  if (signed.standard === 'nep413' && !nonceBytes(signed.payload.nonce)) return false
  const bytes = signed.standard === 'raw_ed25519' ? Buffer.from(signed.payload) : hashOf(signed)
  return verifyEd25519(signed.public_key, signed.signature, bytes)
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Panic(`JSON: ${error instanceof Error ? error.message : 'malformed'}`)
  }
}

/**
 * The content of a signed payload; its signature is not looked at.
 * @throws {Panic} `JSON: …` for a message that does not parse, `invalid nonce` for a nonce that is not 32 bytes
 */
export const openIntent = (signed: SignedIntent): OpenedIntent => {
  const isNep413 = signed.standard === 'nep413'
  const json = parseJson(isNep413 ? signed.payload.message : signed.payload)
  const parsed = isNep413
    ? Message.transform((message) => ({ ...message, nonce: signed.payload.nonce, verifying_contract: signed.payload.recipient })).safeParse(
        json,
      )
    : RawMessage.safeParse(json)
  if (!parsed.success) throw new Panic(`JSON: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`)
  const { signer_id, deadline, nonce, verifying_contract, intents } = parsed.data
  const bytes = nonceBytes(nonce)
  if (!bytes) throw new Panic('invalid nonce')
  return {
    signerId: signer_id,
    publicKey: signed.public_key,
    deadlineMs: deadline,
    nonce,
    nonceBytes: bytes,
    recipient: verifying_contract,
    intents,
    hash: intentHash(signed),
  }
}
