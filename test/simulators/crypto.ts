import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/*
 * NEP-413 hashing and ed25519 on node:crypto alone. Nothing here comes from actors/: the simulators are a second opinion on what the
 * solver signs, and sharing its code would share its mistakes.
 */

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
/** 2^31 + 413, the tag that keeps a signed message from being a transaction. */
const NEP413_TAG = 2_147_484_061

export const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export const toBase58 = (bytes: Uint8Array): string => {
  let rest = BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`)
  let text = ''
  for (; rest > 0n; rest /= 58n) text = ALPHABET[Number(rest % 58n)] + text
  for (const byte of bytes) {
    if (byte !== 0) break
    text = `1${text}`
  }
  return text
}

/** @returns undefined for a character outside the alphabet. */
export const fromBase58 = (text: string): Buffer | undefined => {
  let value = 0n
  for (const letter of text) {
    const digit = ALPHABET.indexOf(letter)
    if (digit < 0) return undefined
    value = value * 58n + BigInt(digit)
  }
  const hex = value === 0n ? '' : value.toString(16)
  const body = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')
  const zeros = /^1*/.exec(text)?.[0].length ?? 0
  return Buffer.concat([Buffer.alloc(zeros), body])
}

/** The bytes after `ed25519:`, or undefined when prefix, alphabet or length is wrong. */
export const keyBytes = (text: string, length: number): Buffer | undefined => {
  if (!text.startsWith('ed25519:')) return undefined
  const bytes = fromBase58(text.slice('ed25519:'.length))
  return bytes?.length === length ? bytes : undefined
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([u32(bytes.length), bytes])
}

/** The borsh preimage of a NEP-413 payload; its sha256 is what is signed, what the chain logs, and in base58 the quote hash. */
export const nep413Preimage = (message: string, nonce: Uint8Array, recipient: string, callbackUrl?: string): Buffer =>
  Buffer.concat([
    u32(NEP413_TAG),
    text(message),
    nonce,
    text(recipient),
    callbackUrl === undefined ? Buffer.from([0]) : Buffer.concat([Buffer.from([1]), text(callbackUrl)]),
  ])

const publicKeys = new Map<string, KeyObject>()

/** False for anything malformed, never a throw. */
export const verifyEd25519 = (publicKey: string, signature: string, signed: Uint8Array): boolean => {
  const raw = keyBytes(publicKey, 32)
  const signatureBytes = keyBytes(signature, 64)
  if (!raw || !signatureBytes) return false
  let key = publicKeys.get(publicKey)
  if (!key) {
    key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' })
    if (publicKeys.size < 1_000) publicKeys.set(publicKey, key)
  }
  return verify(null, signed, key, signatureBytes)
}

export interface KeyPair {
  /** `ed25519:` and base58 of 32 bytes. */
  readonly publicKey: string
  /** `ed25519:` and base58 of seed and public key, 64 bytes. */
  readonly secretKey: string
  sign(bytes: Uint8Array): string
}

export const keyPairFromSeed = (seed: Uint8Array): KeyPair => {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
  const raw = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length)
  return {
    publicKey: `ed25519:${toBase58(raw)}`,
    secretKey: `ed25519:${toBase58(Buffer.concat([seed, raw]))}`,
    sign: (bytes) => `ed25519:${toBase58(sign(null, bytes, privateKey))}`,
  }
}
