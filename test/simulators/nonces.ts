/*
 * Versioned nonces: `5628f6c6 | 00 | salt[4] | deadline u64 LE nanoseconds | 15 free bytes`. Whatever does not parse as one is a legacy
 * nonce, without salt and without expiry. Source: near/intents, core/src/nonce/versioned.rs.
 */
const MAGIC = Buffer.from('5628f6c600', 'hex')

export interface VersionedNonce {
  /** 8 hex characters. */
  readonly salt: string
  readonly deadlineMs: number
}

/** 32 bytes of canonical base64, or undefined. */
export const nonceBytes = (base64: string): Buffer | undefined => {
  const bytes = Buffer.from(base64, 'base64')
  return bytes.length === 32 && bytes.toString('base64') === base64 ? bytes : undefined
}

/** @returns undefined for a legacy nonce. */
export const readVersionedNonce = (bytes: Buffer): VersionedNonce | undefined =>
  bytes.subarray(0, 5).equals(MAGIC)
    ? { salt: bytes.subarray(5, 9).toString('hex'), deadlineMs: Number(bytes.readBigUInt64LE(9) / 1_000_000n) }
    : undefined

export const makeVersionedNonce = (salt: string, deadlineMs: number, free: Uint8Array): string => {
  const bytes = Buffer.alloc(32)
  MAGIC.copy(bytes)
  Buffer.from(salt, 'hex').copy(bytes, 5)
  bytes.writeBigUInt64LE(BigInt(deadlineMs) * 1_000_000n, 9)
  Buffer.from(free).copy(bytes, 17, 0, 15)
  return bytes.toString('base64')
}
