import { expect, test } from 'vitest'
import nep413 from '../fixtures/near-intents/nep413-signed-intents.json' with { type: 'json' }
import nonces from '../fixtures/near-intents/versioned-nonces.json' with { type: 'json' }
import protocolFee from './vectors/protocol-fee.json' with { type: 'json' }
import { fromBase58, keyPairFromSeed, toBase58 } from './crypto.ts'
import { closureDelta, feeOf, supplyDelta } from './fees.ts'
import { intentHash, signatureIsValid, SignedIntent } from './intents.ts'
import { nonceBytes, readVersionedNonce } from './nonces.ts'
import { SOLVER_SEED } from './tokens.ts'

test.each(nep413.vectors)('$name: hash and signature are as recorded', ({ signed, expect: expected }) => {
  const parsed = SignedIntent.parse(signed)
  expect(signatureIsValid(parsed)).toBe(expected.signature_valid)
  expect(intentHash(parsed)).toBe(expected.hash_base58)
})

test('the published test seed gives the recorded key pair', () => {
  const own = nep413.vectors.find(({ test_seed_hex }) => test_seed_hex !== undefined)
  const keys = keyPairFromSeed(SOLVER_SEED)
  expect(keys.publicKey).toBe(own?.signed.public_key)
  expect(keys.secretKey).toBe(own?.test_secret_key)
})

test('base58 keeps leading zeros both ways and refuses letters outside its alphabet', () => {
  const bytes = Buffer.from('00000102ff', 'hex')
  expect(fromBase58(toBase58(bytes))?.equals(bytes)).toBe(true)
  expect(fromBase58('0OIl')).toBeUndefined()
})

test.each(protocolFee.rows)('a counterparty delta of $counterparty_delta at $fee_pips pips closes with $our_matching_delta', (row) => {
  const [delta, pips] = [BigInt(row.counterparty_delta), BigInt(row.fee_pips)]
  expect(feeOf('nep141:x', delta, pips)).toBe(BigInt(row.fee_collected_on_counterparty))
  expect(closureDelta(delta, pips)).toBe(BigInt(row.our_matching_delta))
  expect(supplyDelta(delta, pips) + supplyDelta(closureDelta(delta, pips), pips)).toBe(0n)
})

test.each(nonces.vectors)('$name: versioned or legacy as recorded', (vector) => {
  const bytes = vector.base64 === undefined ? Buffer.from(vector.hex ?? '', 'hex') : nonceBytes(vector.base64)
  const read = readVersionedNonce(bytes ?? Buffer.alloc(32))
  expect(read !== undefined).toBe(vector.versioned)
  if (!vector.decoded) return
  expect(read?.salt).toBe(vector.decoded.salt_hex)
  expect(read?.deadlineMs).toBe(Date.parse(vector.decoded.deadline_iso))
})
