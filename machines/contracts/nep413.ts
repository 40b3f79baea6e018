import { hash as digest } from 'node:crypto'

/**
 * The exact bytes of an offer: message, versioned nonce and hash, before any key is involved.
 *
 * N1. The same input gives the same bytes, whatever order the diff's keys were put in.
 * N2. Nothing here knows a key, a clock or randomness: the nonce's free bytes come from the idempotency key, so that a
 *     command has one nonce a salt for ever, and under it can execute once at most.
 * N3. The nonce outlives the offer (`nonce_deadline_ms >= offer_deadline_ms`): the verifier refuses the reverse, and erases
 *     the proof of execution some time after the nonce's own deadline.
 *
 * Formats: github near/intents `crates/signatures/nep413/src/lib.rs` and `core/src/nonce/versioned.rs` (2026-08).
 */
export type OfferInput = {
  /** account inside the verifier that gives and receives */
  account_id: string
  /** the verifier, `intents.near`; NEP-413 calls it the recipient */
  contract_id: string
  idempotency_key: string
  /** 8 hex digits, the verifier's `current_salt` */
  salt_hex: string
  offer_deadline_ms: number
  nonce_deadline_ms: number
  /** token id to signed decimal base units: positive is received, negative is given */
  diff: Readonly<Record<string, string>>
}

/** What is signed; `nonce` is base64 of 32 bytes. */
export type Nep413Payload = { message: string; nonce: string; recipient: string; callbackUrl?: string }

export type Offer = { message: string; nonce: string; recipient: string; quote_hash: string }

/** An offer that must not be built: the input breaks a rule of the wire format or of the verifier. */
export class OfferError extends Error {
  override readonly name = 'OfferError'
  readonly code: 'BAD_SALT' | 'BAD_DEADLINE' | 'BAD_DIFF' | 'BAD_NONCE' | 'BAD_KEY'
  constructor(code: OfferError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/**
 * Message, nonce, recipient and quote hash of one offer.
 * `quote_hash` is base58 of the NEP-413 hash and equals the on-chain `intent_hash`.
 * @throws {OfferError} on a salt, deadline, idempotency key or diff that the verifier could not accept
 */
export const buildOffer = (input: OfferInput): Offer => {
  if (input.idempotency_key === '') throw new OfferError('BAD_KEY', 'an offer needs an idempotency key')
  if (input.nonce_deadline_ms < input.offer_deadline_ms)
    throw new OfferError('BAD_DEADLINE', `nonce deadline ${input.nonce_deadline_ms} is before offer deadline ${input.offer_deadline_ms}`)
  const message = offerMessage({ signer_id: input.account_id, deadlineIso: isoTime(input.offer_deadline_ms), diff: input.diff })
  const free = sha256(Buffer.from(input.idempotency_key, 'utf8')).subarray(0, FREE_BYTES)
  const nonce = versionedNonce({ salt_hex: input.salt_hex, deadline_ms: input.nonce_deadline_ms, free }).toString('base64')
  const payload = { message, nonce, recipient: input.contract_id }
  return { ...payload, quote_hash: quoteHash(payload) }
}

/**
 * The `token_diff` message as it is signed and sent: keys in this order, what is received first, then by token id (N1).
 * @param parts.deadlineIso RFC 3339, for instance `2026-12-01T00:01:10.000Z`
 * @throws {OfferError} BAD_DIFF when empty, or when an amount is zero, not canonical, or outside i128
 */
export const offerMessage = (parts: { signer_id: string; deadlineIso: string; diff: Readonly<Record<string, string>> }): string => {
  const entries = Object.entries(parts.diff)
  if (entries.length === 0) throw new OfferError('BAD_DIFF', 'the diff of an offer is empty')
  for (const [token, amount] of entries) {
    const isCanonical = /^-?[1-9][0-9]{0,38}$/.test(amount) && magnitude(BigInt(amount)) < I128_LIMIT
    if (token === '' || !isCanonical) throw new OfferError('BAD_DIFF', `the diff of "${token}" is "${amount}", not a signed amount`)
  }
  const ordered = entries.toSorted(([a, x], [b, y]) => Number(isGiven(x)) - Number(isGiven(y)) || (a < b ? -1 : 1))
  return JSON.stringify({
    signer_id: parts.signer_id,
    deadline: parts.deadlineIso,
    intents: [{ intent: 'token_diff', diff: Object.fromEntries(ordered) }],
  })
}

/**
 * Versioned nonce V1: `5628f6c6 | 00 | salt[4] | deadline u64 LE, nanoseconds | 15 free bytes`.
 * @throws {OfferError} BAD_SALT, BAD_DEADLINE or BAD_NONCE
 */
export const versionedNonce = (parts: { salt_hex: string; deadline_ms: number; free: Uint8Array }): Buffer => {
  if (!/^[0-9a-f]{8}$/.test(parts.salt_hex)) throw new OfferError('BAD_SALT', `salt "${parts.salt_hex}" is not 8 lower-case hex digits`)
  if (parts.free.length !== FREE_BYTES) throw new OfferError('BAD_NONCE', `a nonce has ${FREE_BYTES} free bytes, not ${parts.free.length}`)
  assertTime(parts.deadline_ms)
  const deadline = Buffer.alloc(8)
  deadline.writeBigUInt64LE(BigInt(parts.deadline_ms) * NANOSECONDS_A_MS)
  return Buffer.concat([VERSIONED_MAGIC, Buffer.from([0]), Buffer.from(parts.salt_hex, 'hex'), deadline, parts.free])
}

/** What a versioned nonce says, or null for a legacy one: 32 bytes without the magic or with another version. */
export const readNonce = (nonce: Uint8Array): { salt_hex: string; deadline_ns: bigint; free: Buffer } | null => {
  const bytes = Buffer.from(nonce)
  if (bytes.length !== 32 || !bytes.subarray(0, 4).equals(VERSIONED_MAGIC) || bytes[4] !== 0) return null
  return { salt_hex: bytes.toString('hex', 5, 9), deadline_ns: bytes.readBigUInt64LE(9), free: bytes.subarray(17) }
}

/** base58 of the NEP-413 hash: `quote_hash` off chain, `intent_hash` on chain. */
export const quoteHash = (payload: Nep413Payload): string => base58(nep413Hash(payload))

/** The 32 bytes that an ed25519 key signs. */
export const nep413Hash = (payload: Nep413Payload): Buffer => sha256(nep413Preimage(payload))

/**
 * Borsh: `u32 2^31 + 413 | message | nonce[32] | recipient | option<callbackUrl>`, strings with a u32 LE length in front.
 * @throws {OfferError} BAD_NONCE when the nonce is not base64 of 32 bytes
 */
export const nep413Preimage = (payload: Nep413Payload): Buffer => {
  const nonce = Buffer.from(payload.nonce, 'base64')
  if (nonce.length !== 32 || nonce.toString('base64') !== payload.nonce)
    throw new OfferError('BAD_NONCE', `nonce "${payload.nonce}" is not base64 of 32 bytes`)
  const callback = payload.callbackUrl === undefined ? [Buffer.from([0])] : [Buffer.from([1]), borshString(payload.callbackUrl)]
  return Buffer.concat([u32(NEP413_TAG), borshString(payload.message), nonce, borshString(payload.recipient), ...callback])
}

/** base58 with Bitcoin's alphabet; each leading zero byte is a `1`. */
export const base58 = (bytes: Uint8Array): string => {
  let rest = BigInt(`0x0${Buffer.from(bytes).toString('hex')}`)
  let text = ''
  for (; rest > 0n; rest /= 58n) text = ALPHABET[Number(rest % 58n)] + text
  return '1'.repeat(leadingZeros(bytes)) + text
}

const NEP413_TAG = 2 ** 31 + 413
const VERSIONED_MAGIC = Buffer.from('5628f6c6', 'hex')
const FREE_BYTES = 15
const NANOSECONDS_A_MS = 1_000_000n
const I128_LIMIT = 2n ** 127n
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** The last millisecond whose nanoseconds fit u64, in the year 2554. */
const LATEST_MS = Number((2n ** 64n - 1n) / NANOSECONDS_A_MS)

const sha256 = (bytes: Uint8Array): Buffer => digest('sha256', bytes, 'buffer')
const magnitude = (value: bigint): bigint => (value < 0n ? -value : value)
const isGiven = (amount: string): boolean => amount.startsWith('-')

const leadingZeros = (bytes: Uint8Array): number => {
  const first = bytes.findIndex((byte) => byte !== 0)
  return first === -1 ? bytes.length : first
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

const borshString = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'utf8')
  return Buffer.concat([u32(bytes.length), bytes])
}

const isoTime = (ms: number): string => {
  assertTime(ms)
  return new Date(ms).toISOString()
}

const assertTime = (ms: number): void => {
  if (!Number.isSafeInteger(ms) || ms <= 0 || ms > LATEST_MS) throw new OfferError('BAD_DEADLINE', `${ms} is not a time in milliseconds`)
}
