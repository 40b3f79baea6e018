import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { authority, loadSigning } from '#actors/services/trade-executor/authority.ts'
import { verifierClient } from '#actors/venues/near-intents/verifier.ts'
import type { Verifier } from '#actors/venues/near-intents/verifier.ts'
import { base58 } from '#machines/contracts/nep413.ts'

const SEED = base58(Buffer.alloc(32, 7))
const KEY = `ed25519:${SEED}`
const signing = loadSigning({ NEAR_INTENTS_ACCOUNT_ID: 'solver.near', NEAR_INTENTS_SIGNING_KEY: KEY })

const setUp = (change: Partial<Verifier>, given = signing) => {
  const clock = { now: 1_000 }
  const failures: string[] = []
  const told: number[] = []
  const verifier: Verifier = {
    ...verifierClient({ urls: ['http://127.0.0.1:9'], contract_id: 'intents.near' }),
    currentSalt: async () => '252812b3',
    hasPublicKey: async () => true,
    ...change,
  }
  return {
    clock,
    failures,
    told,
    rights: authority({
      signing: given,
      verifier,
      nowMs: () => clock.now,
      onFailure: (text) => failures.push(text),
      onSalt: () => told.push(clock.now),
    }),
  }
}

describe('signing', () => {
  it('says which variable is missing or unusable, and never the key', () => {
    expect(loadSigning({}).problem).toBe('NEAR_INTENTS_ACCOUNT_ID is not set')
    expect(loadSigning({ NEAR_INTENTS_ACCOUNT_ID: 'a' }).problem).toBe('NEAR_INTENTS_SIGNING_KEY is not set')
    const broken = loadSigning({ NEAR_INTENTS_ACCOUNT_ID: 'a', NEAR_INTENTS_SIGNING_KEY: 'ed25519:secret0' })
    expect(broken.problem).toContain('NEAR_INTENTS_SIGNING_KEY')
    expect(inspect(broken)).not.toContain('secret0')
    expect(loadSigning({ NEAR_INTENTS_ACCOUNT_ID: 'a', NEAR_INTENTS_SIGNING_KEY_FILE: '/nowhere' }).problem).toContain('/nowhere')
    expect(inspect(signing, { depth: 9 })).not.toContain(SEED)
  })
})

describe('authority', () => {
  it('is not ready before the verifier has confirmed the key', async () => {
    const { rights } = setUp({})
    expect(rights.state()).toMatchObject({ signer: 'not_authorized', salt: null })
    await rights.refresh()
    expect(rights.state()).toEqual({ signer: 'ready', salt: '252812b3', problem: null, checked_at_ms: 1_000 })
  })

  it('a key that is not registered is not authorized, and says for which account', async () => {
    const { rights } = setUp({ hasPublicKey: async () => false })
    await rights.refresh()
    expect(rights.state()).toMatchObject({ signer: 'not_authorized', salt: null, problem: expect.stringContaining('solver.near') })
  })

  it('without a key the verifier is not asked', async () => {
    const { rights, failures } = setUp({}, loadSigning({}))
    await rights.refresh()
    expect(rights.state()).toMatchObject({ signer: 'missing', problem: 'NEAR_INTENTS_ACCOUNT_ID is not set' })
    expect(failures).toEqual([])
  })

  it('remembers each salt since it first saw it, and says so once', async () => {
    const salts = ['aaaaaaaa', 'aaaaaaaa', 'bbbbbbbb', 'aaaaaaaa']
    const { rights, clock, told } = setUp({ currentSalt: async () => salts.shift() ?? '' })
    for (; salts.length > 0; clock.now++) await rights.refresh()
    expect(rights.state().salt).toBe('aaaaaaaa')
    expect(rights.salts()).toEqual([
      { salt: 'aaaaaaaa', first_seen_ms: 1_000 },
      { salt: 'bbbbbbbb', first_seen_ms: 1_002 },
    ])
    expect(told).toEqual([1_000, 1_002])
  })

  it('keeps what it knew through a failure, but not for ever', async () => {
    let isDown = false
    const { rights, clock, failures } = setUp({
      currentSalt: async () => {
        if (isDown) throw new Error('no NEAR node answered')
        return '252812b3'
      },
    })
    await rights.refresh()
    isDown = true
    await rights.refresh()
    expect(failures).toEqual(['no NEAR node answered'])
    expect(rights.state().signer).toBe('ready')
    clock.now += 600_001
    expect(rights.state()).toMatchObject({ signer: 'not_authorized', problem: 'no NEAR node answered' })
  })
})
