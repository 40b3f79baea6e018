import { createPublicKey, verify } from 'node:crypto'
import { inspect } from 'node:util'
import { baseDecode, KeyPair } from 'near-api-js'
import { describe, expect, it } from 'vitest'
import { loadSigner, SignerError } from '#actors/venues/near-intents/signer.ts'
import { base58, buildOffer, nep413Hash } from '#machines/contracts/nep413.ts'
import fixture from '#test/fixtures/near-intents/nep413-signed-intents.json' with { type: 'json' }

const own = fixture.vectors.flatMap((row) =>
  row.test_secret_key === undefined || typeof row.signed.payload === 'string'
    ? []
    : [{ name: row.name, secret: row.test_secret_key, payload: row.signed.payload, signed: row.signed }],
)
const SECRET = own[0]?.secret ?? ''
const SEED = KeyPair.fromString(SECRET as `ed25519:${string}`)
const seedOnly = `ed25519:${base58(Buffer.from(baseDecode(SECRET.slice(8))).subarray(0, 32))}`
const secrets = [SECRET.slice(8), seedOnly.slice(8)]

describe('a signer', () => {
  it.each(own)('makes the recorded signature from seed and public key: $name', async ({ secret, payload, signed }) => {
    const signer = loadSigner(secret)
    expect(signer.public_key).toBe(signed.public_key)
    expect(await signer.sign('solver.example.near', payload)).toEqual(signed)
  })

  it('makes the same from the seed alone, and from a key with a line break after it', async () => {
    for (const secret of [seedOnly, `${SECRET}\n`])
      for (const { payload, signed } of own) expect(await loadSigner(secret).sign('solver.example.near', payload)).toEqual(signed)
  })

  it('signs an offer so that its quote hash is what was signed, by node:crypto', async () => {
    const { quote_hash, ...unsigned } = buildOffer({
      account_id: 'solver.example.near',
      contract_id: 'intents.near',
      idempotency_key: 'cmd-1',
      salt_hex: '252812b3',
      offer_deadline_ms: 1_796_083_270_000,
      nonce_deadline_ms: 1_796_342_470_000,
      diff: { 'nep141:btc.omft.near': '1000', 'nep141:x.omft.near': '-2000' },
    })
    const signed = await loadSigner(SECRET).sign('solver.example.near', unsigned)
    expect(signed).toMatchObject({ standard: 'nep413', payload: unsigned })
    expect(base58(nep413Hash(signed.payload))).toBe(quote_hash)
    const key = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(baseDecode(signed.public_key.slice(8)))])
    const signature = Buffer.from(baseDecode(signed.signature.slice(8)))
    expect(verify(null, nep413Hash(signed.payload), createPublicKey({ key, format: 'der', type: 'spki' }), signature)).toBe(true)
  })

  it('shows its public key and never the secret, however it is printed', () => {
    const signer = loadSigner(SECRET)
    const shown = [
      JSON.stringify({ signer }),
      inspect(signer, { depth: 9, showHidden: true }),
      inspect({ signer }),
      String(Object.values({ ...signer })),
      `${String(signer)}`,
    ]
    for (const text of shown) for (const secret of secrets) expect(text).not.toContain(secret)
    expect(shown[0]).toContain(signer.public_key)
    expect(shown[1]).toBe(`Signer(${SEED.getPublicKey().toString()})`)
  })

  it.each([
    ['KEY_MISSING', ''],
    ['KEY_MISSING', '  \n'],
    ['KEY_INVALID', SECRET.slice(8)],
    ['KEY_INVALID', SECRET.replace('ed25519', 'secp256k1')],
    ['KEY_INVALID', 'ed25519:'],
    ['KEY_INVALID', 'ed25519:not-base58-0OIl'],
    ['KEY_INVALID', SECRET.slice(0, -1)],
    ['KEY_INVALID', `${SECRET.slice(0, -1)}e`],
    ['KEY_INVALID', `${SECRET}${SECRET.slice(8)}`],
  ])('is refused with %s for a key of another form (%#), and the key is not in the error', (code, secret) => {
    const caught = catching(() => loadSigner(secret))
    expect(caught).toBeInstanceOf(SignerError)
    expect(caught).toMatchObject({ code })
    expect(caught).not.toHaveProperty('cause')
    if (secret.trim().length > 20) expect(inspect(caught)).not.toContain(secret.slice(10, 20))
  })

  it.each(['', 'AAAA', 'x'.repeat(44)])('refuses the nonce %j', async (nonce) => {
    await expect(loadSigner(SECRET).sign('a.near', { message: '{}', nonce, recipient: 'intents.near' })).rejects.toMatchObject({
      code: 'BAD_NONCE',
    })
  })
})

const catching = (action: () => unknown): unknown => {
  try {
    return action()
  } catch (error) {
    return error
  }
}
