import { createPublicKey, verify } from 'node:crypto'
import fc from 'fast-check'
import { baseDecode, baseEncode, KeyPairSigner } from 'near-api-js'
import { describe, expect, it } from 'vitest'
import {
  base58,
  buildOffer,
  nep413Hash,
  nep413Preimage,
  OfferError,
  offerMessage,
  quoteHash,
  readNonce,
  versionedNonce,
} from '#machines/contracts/nep413.ts'
import nonces from '#test/fixtures/near-intents/versioned-nonces.json' with { type: 'json' }
import signedIntents from '#test/fixtures/near-intents/nep413-signed-intents.json' with { type: 'json' }

const BTC = 'nep141:btc.omft.near'
const EURE = 'nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near'
const input = {
  account_id: 'solver.example.near',
  contract_id: 'intents.near',
  idempotency_key: 'cmd-33333333-3333-4333-8333-333333333333',
  salt_hex: '252812b3',
  offer_deadline_ms: Date.parse('2026-12-01T00:01:10.000Z'),
  nonce_deadline_ms: Date.parse('2026-12-04T00:01:10.000Z'),
  diff: { [BTC]: '1000000', [EURE]: '-873456789012345678901' },
}

type Row = (typeof signedIntents.vectors)[number]
const nep413Rows = signedIntents.vectors.flatMap((row) =>
  typeof row.signed.payload === 'string' || !('borsh_preimage_hex' in row.expect) ? [] : [{ row, payload: row.signed.payload }],
)

/** ed25519 by node:crypto alone: the SPKI prefix, then the 32 bytes of the key. */
const isSignedBy = (row: Row, bytes: Uint8Array): boolean => {
  const raw = Buffer.from(baseDecode(row.signed.public_key.slice('ed25519:'.length)))
  const key = createPublicKey({ key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]), format: 'der', type: 'spki' })
  return verify(null, bytes, key, Buffer.from(baseDecode(row.signed.signature.slice('ed25519:'.length))))
}

describe('hashes of signed payloads', () => {
  it('has 13 NEP-413 rows to look at', () => expect(nep413Rows).toHaveLength(13))

  it.each(nep413Rows)('gives the recorded preimage, hash and signature check: $row.name', ({ row, payload }) => {
    const expected = row.expect as { borsh_preimage_hex: string; hash_hex: string; hash_base58: string; signature_valid: boolean }
    expect(nep413Preimage(payload).toString('hex')).toBe(expected.borsh_preimage_hex)
    expect(nep413Hash(payload).toString('hex')).toBe(expected.hash_hex)
    expect(quoteHash(payload)).toBe(expected.hash_base58)
    expect(isSignedBy(row, nep413Hash(payload))).toBe(expected.signature_valid)
    if ('on_chain_intent_hash' in row) expect(quoteHash(payload)).toBe(row.on_chain_intent_hash)
  })

  it('hashes with a callback url as near-api-js does', async () => {
    const payload = {
      message: 'hello',
      nonce: Buffer.alloc(32, 7).toString('base64'),
      recipient: 'a.near',
      callbackUrl: 'https://x.example',
    }
    const signer = KeyPairSigner.fromSecretKey(testKey())
    const signed = await signer.signNep413Message('a.near', { ...payload, nonce: Buffer.alloc(32, 7) })
    expect(signed.publicKey.verify(nep413Hash(payload), signed.signature)).toBe(true)
  })

  it.each(['', 'AAAA', 'not base64', Buffer.alloc(31).toString('base64'), Buffer.alloc(33).toString('base64')])(
    'refuses the nonce %j, which is not base64 of 32 bytes',
    (nonce) => expect(() => nep413Preimage({ message: 'm', nonce, recipient: 'r' })).toThrow(OfferError),
  )
})

describe('versioned nonces', () => {
  it.each(nonces.vectors)('reads: $name', (row) => {
    const bytes = 'base64' in row && row.base64 !== undefined ? Buffer.from(row.base64, 'base64') : Buffer.from(row.hex ?? '', 'hex')
    const read = readNonce(bytes)
    expect(read !== null).toBe(row.versioned)
    if (read === null || !('decoded' in row) || row.decoded === undefined) return
    expect(read.salt_hex).toBe(row.decoded.salt_hex)
    expect(String(read.deadline_ns)).toBe(row.decoded.deadline_ns)
    expect(read.free.toString('hex')).toBe(row.decoded.random_hex)
    const rebuilt = versionedNonce({ salt_hex: read.salt_hex, deadline_ms: Date.parse(row.decoded.deadline_iso), free: read.free })
    expect(rebuilt.toString('hex')).toBe(row.decoded.hex)
  })
})

describe('an offer', () => {
  it.each(nep413Rows.filter(({ row }) => row.name.startsWith('own ')))('has the exact message bytes of: $row.name', ({ payload }) => {
    const { signer_id, deadline, intents } = JSON.parse(payload.message) as {
      signer_id: string
      deadline: string
      intents: [{ diff: Record<string, string> }]
    }
    expect(offerMessage({ signer_id, deadlineIso: deadline, diff: intents[0].diff })).toBe(payload.message)
    expect(offerMessage({ signer_id, deadlineIso: deadline, diff: reversed(intents[0].diff) })).toBe(payload.message)
  })

  it('has one nonce for one idempotency key and salt, with deadline and salt readable from it', () => {
    const offer = buildOffer(input)
    expect(buildOffer({ ...input, diff: reversed(input.diff) })).toEqual(offer)
    const nonce = Buffer.from(offer.nonce, 'base64')
    expect(readNonce(nonce)).toMatchObject({ salt_hex: '252812b3', deadline_ns: BigInt(input.nonce_deadline_ms) * 1_000_000n })
    expect(buildOffer({ ...input, idempotency_key: 'cmd-other' }).nonce).not.toBe(offer.nonce)
    expect(offer.recipient).toBe('intents.near')
    expect(offer.quote_hash).toBe(quoteHash(offer))
  })

  it('is pinned: the same input gives these bytes for ever', () => {
    expect(buildOffer(input)).toEqual({
      message: signedIntents.vectors.flatMap((row) =>
        row.name.startsWith('own BTC') && typeof row.signed.payload !== 'string' ? [row.signed.payload.message] : [],
      )[0],
      nonce: PINNED_NONCE,
      recipient: 'intents.near',
      quote_hash: PINNED_HASH,
    })
  })

  it.each([
    ['BAD_SALT', { salt_hex: '252812' }],
    ['BAD_SALT', { salt_hex: '252812BZ' }],
    ['BAD_KEY', { idempotency_key: '' }],
    ['BAD_DEADLINE', { nonce_deadline_ms: input.offer_deadline_ms - 1 }],
    ['BAD_DEADLINE', { offer_deadline_ms: 1.5 }],
    ['BAD_DEADLINE', { offer_deadline_ms: Number.NaN }],
    ['BAD_DEADLINE', { nonce_deadline_ms: 2 ** 60 }],
    ['BAD_DIFF', { diff: {} }],
    ['BAD_DIFF', { diff: { [BTC]: '0' } }],
    ['BAD_DIFF', { diff: { [BTC]: '-0' } }],
    ['BAD_DIFF', { diff: { [BTC]: '+1' } }],
    ['BAD_DIFF', { diff: { [BTC]: '01' } }],
    ['BAD_DIFF', { diff: { [BTC]: '1.5' } }],
    ['BAD_DIFF', { diff: { [BTC]: String(2n ** 127n) } }],
  ])('is refused with %s for %j', (code, wrong) => {
    expect(() => buildOffer({ ...input, ...wrong })).toThrow(expect.objectContaining({ name: 'OfferError', code }))
  })
})

describe('base58', () => {
  it('is what near-api-js writes, leading zeros included', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(4), (bytes, zeros) => {
        const padded = Buffer.concat([Buffer.alloc(zeros), bytes])
        expect(base58(padded)).toBe(baseEncode(padded))
      }),
    )
  })
})

const testKey = (): `ed25519:${string}` => 'ed25519:2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd'
const reversed = (diff: Record<string, string>): Record<string, string> => Object.fromEntries(Object.entries(diff).toReversed())
/** Both computed apart from this code as well (Python's hashlib, 2026-11-21). */
const PINNED_NONCE = 'Vij2xgAlKBKzADxMg/Xj7RgLz7VmkUgEb3oR6L/q/Q4='
const PINNED_HASH = 'AmGYdPYouqCRe3n4NMc1tG98Qj2xFg3FNNJWEYq8gDQf'
