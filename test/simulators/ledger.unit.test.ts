import { describe, expect, test } from 'vitest'
import settlement from './vectors/mainnet-settlement-tx.json' with { type: 'json' }
import { keyPairFromSeed, nep413Preimage, sha256 } from './crypto.ts'
import { SignedIntent } from './intents.ts'
import { Ledger } from './ledger.ts'
import { makeVersionedNonce } from './nonces.ts'
import { BTC_OMFT, CONTRACT, EURE, FIRST_SALT } from './tokens.ts'

const OMNI = 'nep245:v2_1.omni.hot.tg:56_11111111111111111111'
const SOL = 'nep141:sol.omft.near'
const MAINNET_SOLVER = 'solver-priv-liq.near'
const MAINNET_USER = '69307005629debbd360f5a567fe151a96d3d67082bfbe175273ff784e094927f'
const NOW = Date.parse('2026-04-28T15:24:00.000Z')

const mainnet = SignedIntent.array().parse(settlement.args.signed)
const mainnetLedger = (): Ledger => {
  const ledger = new Ledger({ now: () => NOW })
  ledger.setKey(MAINNET_SOLVER, mainnet[0]!.public_key, true)
  ledger.setKey(MAINNET_USER, mainnet[1]!.public_key, true)
  ledger.mint(MAINNET_SOLVER, OMNI, 2_541_553_358_444_100n)
  ledger.mint(MAINNET_USER, SOL, 19_000_000n)
  return ledger
}

interface Event {
  readonly event: string
  readonly data: readonly Record<string, unknown>[]
}
const eventsOf = (logs: readonly string[]): readonly Event[] => logs.map((log) => JSON.parse(log.replace('EVENT_JSON:', '')) as Event)
const transferred = (events: readonly unknown[]): readonly string[] => events.map((event) => JSON.stringify(event)).toSorted()

describe('the recorded mainnet settlement, executed again', () => {
  test('collects exactly the logged fees and makes exactly the logged transfers', () => {
    const ledger = mainnetLedger()
    const transaction = ledger.execute(mainnet)
    expect(transaction.panic).toBeUndefined()
    const [events, recorded] = [eventsOf(transaction.logs), settlement.event_logs as readonly Event[]]
    const named = (list: readonly Event[], name: string) => list.filter(({ event }) => event === name).flatMap(({ data }) => data)
    expect(named(events, 'token_diff')).toEqual(named(recorded, 'token_diff'))
    expect(named(events, 'intents_executed')).toEqual(named(recorded, 'intents_executed'))
    expect(transferred(named(events, 'mt_transfer'))).toEqual(transferred(named(recorded, 'mt_transfer')))
    expect(ledger.balance(MAINNET_SOLVER, SOL)).toBe(18_999_981n)
    expect(ledger.balance(MAINNET_USER, OMNI)).toBe(0n)
    expect(ledger.brokenInvariants()).toEqual([])
  })

  test('a second time fails with the used nonce and changes nothing', () => {
    const ledger = mainnetLedger()
    ledger.execute(mainnet)
    const before = ledger.state().accounts
    expect(ledger.execute(mainnet).panic).toBe('nonce was already used')
    expect(ledger.state().accounts).toEqual(before)
  })

  test('alone the solver side leaves unmatched deltas, in a simulation told and in an execution fatal', () => {
    const ledger = mainnetLedger()
    const unmatched = { [OMNI]: '-2541550816890741', [SOL]: '18999981' }
    expect(ledger.simulate(mainnet.slice(0, 1))).toMatchObject({
      invariant_violated: { error: 'unmatched_deltas', unmatched_deltas: unmatched },
    })
    expect(ledger.execute(mainnet.slice(0, 1)).panic).toMatch(/^invariant violated: \{"error":"unmatched_deltas"/)
    expect(ledger.nonceUsed(MAINNET_SOLVER, 'qMEK+4Mh5Uy/zuZHenN5ynRu5YVRfb5y8zYjh81HySU=')).toBe(false)
  })
})

const ALICE = keyPairFromSeed(Buffer.alloc(32, 5))
interface Bend {
  readonly nonce?: string
  readonly deadlineMs?: number
  readonly recipient?: string
  readonly diff?: Record<string, string>
  readonly spoil?: boolean
}
const alice = (bend: Bend = {}): SignedIntent => {
  const { deadlineMs = NOW + 60_000, recipient = CONTRACT, diff = { [BTC_OMFT]: '5', [EURE]: '-7' } } = bend
  const nonce = bend.nonce ?? makeVersionedNonce(FIRST_SALT, NOW + 120_000, Buffer.alloc(15, 1))
  const message = JSON.stringify({
    signer_id: 'alice.near',
    deadline: new Date(deadlineMs).toISOString(),
    intents: [{ intent: 'token_diff', diff }],
  })
  const hash = sha256(nep413Preimage(message, Buffer.from(nonce, 'base64'), recipient))
  if (bend.spoil) hash[0] = (hash[0] ?? 0) ^ 1
  return { standard: 'nep413', payload: { message, nonce, recipient }, public_key: ALICE.publicKey, signature: ALICE.sign(hash) }
}
const aliceLedger = (): Ledger => {
  const ledger = new Ledger({ now: () => NOW })
  ledger.setKey('alice.near', ALICE.publicKey, true)
  ledger.mint('alice.near', EURE, 100n)
  return ledger
}

describe('each check of an execution fails with the contract’s text', () => {
  const cases: readonly [string, Bend, (ledger: Ledger) => void, string][] = [
    ['a wrong signature', { spoil: true }, () => {}, 'invalid signature'],
    ['another contract', { recipient: 'other.near' }, () => {}, 'wrong verifying_contract'],
    ['a deadline in the past', { deadlineMs: NOW - 1 }, () => {}, 'deadline has expired'],
    [
      'a key that was removed',
      {},
      (ledger) => ledger.setKey('alice.near', ALICE.publicKey, false),
      `public key '${ALICE.publicKey}' doesn't exist for account 'alice.near'`,
    ],
    ['a salt that was killed', {}, (ledger) => void ledger.rotateSalt(true), 'invalid salt'],
    ['a nonce that ends before its intent', { deadlineMs: NOW + 130_000 }, () => {}, 'deadline is greater than nonce'],
    ['a locked account', {}, (ledger) => ledger.setLocked('alice.near', true), "account 'alice.near' is locked"],
    ['a zero amount', { diff: { [EURE]: '0' } }, () => {}, 'invalid intent'],
    ['an empty diff', { diff: {} }, () => {}, 'invalid intent'],
    ['more than the balance', { diff: { [EURE]: '-101', [BTC_OMFT]: '1' } }, () => {}, 'insufficient balance or overflow'],
    ['a message that does not parse', { diff: { [EURE]: 'seven' } }, () => {}, 'JSON: '],
    ['a paused contract', {}, (ledger) => void (ledger.paused = true), 'Pausable: Method is paused'],
  ]
  test.each(cases)('%s', (_, bend, prepare, text) => {
    const ledger = aliceLedger()
    prepare(ledger)
    expect(ledger.execute([alice(bend)]).panic).toContain(text)
  })

  test('a legacy nonce passes until legacy nonces are forbidden', () => {
    const ledger = aliceLedger()
    const signed = alice({ nonce: Buffer.alloc(32, 9).toString('base64') })
    expect(ledger.simulate([signed])).toHaveProperty('invariant_violated')
    ledger.legacyNoncesForbidden = true
    expect(ledger.execute([signed]).panic).toBe('invalid nonce')
  })

  test('an old salt stays valid after a rotation that does not kill it', () => {
    const ledger = aliceLedger()
    ledger.rotateSalt(false)
    expect(ledger.currentSalt).not.toBe(FIRST_SALT)
    expect(ledger.simulate([alice()])).toHaveProperty('invariant_violated')
  })
})

test('a balance and a nonce are seen from the next block on, not before', () => {
  const ledger = mainnetLedger()
  ledger.produceBlock()
  const before = ledger.head.height
  const transaction = ledger.execute(mainnet)
  expect(transaction.height).toBe(before + 1)
  expect(ledger.balance(MAINNET_SOLVER, SOL, before)).toBe(0n)
  expect(ledger.nonceUsed(MAINNET_SOLVER, 'qMEK+4Mh5Uy/zuZHenN5ynRu5YVRfb5y8zYjh81HySU=', before)).toBe(false)
  const after = ledger.produceBlock().height
  expect(ledger.balance(MAINNET_SOLVER, SOL, after)).toBe(18_999_981n)
  expect(ledger.nonceUsed(MAINNET_SOLVER, 'qMEK+4Mh5Uy/zuZHenN5ynRu5YVRfb5y8zYjh81HySU=', after)).toBe(true)
})

test('a ledger restored from its state keeps balances and used nonces and never goes back in height', () => {
  const ledger = mainnetLedger()
  ledger.execute(mainnet)
  const restored = new Ledger({ now: () => NOW, state: JSON.parse(JSON.stringify(ledger.state())) })
  expect(restored.head.height).toBeGreaterThan(ledger.head.height)
  expect(restored.balance(MAINNET_SOLVER, SOL)).toBe(18_999_981n)
  expect(restored.execute(mainnet).panic).toBe('nonce was already used')
  expect(restored.brokenInvariants()).toEqual([])
})
