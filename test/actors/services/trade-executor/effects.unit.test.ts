import { describe, expect, it } from 'vitest'
import type { EffectContext } from '#actors/runtime/service.ts'
import type { RelayAnswer } from '#actors/venues/near-intents/relay.ts'
import { loadSigner } from '#actors/venues/near-intents/signer.ts'
import type { SendOffer } from '#machines/command/machine.ts'
import { base58, buildOffer } from '#machines/contracts/nep413.ts'
import { sendOfferEffect } from '#actors/services/trade-executor/effects.ts'
import type { SendOfferDeps } from '#actors/services/trade-executor/effects.ts'

const NOW = 1_790_000_000_000
const SIGNER = loadSigner(`ed25519:${base58(Buffer.alloc(32, 7))}`)

const offerWith = (salt_hex: string) =>
  buildOffer({
    account_id: 'solver.near',
    contract_id: 'intents.near',
    idempotency_key: 'near_intents:q1',
    salt_hex,
    offer_deadline_ms: NOW + 70_000,
    nonce_deadline_ms: NOW + 80_000,
    diff: { 'nep141:btc.omft.near': '5000', 'nep141:eure': '-7' },
  })
const traceOf = ({ nonce, quote_hash }: ReturnType<typeof offerWith>) => ({ nonce, quote_hash })
const NOW_SIGNED = offerWith('252812b3')

const OFFER: SendOffer = {
  ...NOW_SIGNED,
  asked_for: [traceOf(NOW_SIGNED)],
  account_id: 'solver.near',
  quote_id: 'q1',
  quote_output: { amount_out: '7' },
  answer_by_ms: NOW + 3_000,
  not_after_ms: NOW + 70_000,
}

/** A venue in the test's hands: answers in order, and everything that was asked of it. */
const setUp = (answers: RelayAnswer[] = [{ kind: 'ok' }], change: Partial<SendOfferDeps> = {}) => {
  const bodies: unknown[] = []
  const hurried: string[] = []
  const clock = { now: NOW }
  const chain = { used: false, block_height: 500, block_timestamp_ms: NOW }
  const effect = sendOfferEffect({
    relay: () => ({
      quoteResponse: async (body) => {
        bodies.push(body)
        return answers.shift() ?? { kind: 'silence', reason: 'no answer' }
      },
    }),
    whenOpen: async (ms) => void (clock.now += Math.min(ms, 1_000)),
    signer: SIGNER,
    verifier: { isNonceUsed: async () => ({ ...chain }), seesNonceUsed: async () => ({ ...chain }) },
    nowMs: () => clock.now,
    answerTimeoutMs: 5_000,
    hurry: (id) => void hurried.push(id),
    onAnswer: () => {},
    ...change,
  })
  const { kind } = effect
  if (kind.mode !== 'ask first') throw new Error('sendOffer is ask first')
  const context = (more: Partial<EffectContext> = {}): EffectContext => ({
    effect: 'i:1:0',
    lane: 0,
    actor: { kind: 'command', key: 'cmd-q1' },
    signal: new AbortController().signal,
    nowMs: clock.now,
    mayStillSend: () => true,
    ...more,
  })
  return {
    bodies,
    hurried,
    clock,
    chain,
    effect,
    send: (more?: Partial<EffectContext>) => kind.send(JSON.parse(JSON.stringify(OFFER)), context(more)),
    ask: (offer = OFFER) => kind.ask(JSON.parse(JSON.stringify(offer)), context()),
  }
}

describe('sendOffer', () => {
  it('signs the bytes as they are and sends them once', async () => {
    const { send, bodies } = setUp()
    expect(await send()).toEqual({ answered: { kind: 'ok' } })
    const { message, nonce, recipient } = OFFER
    expect(bodies).toMatchObject([
      {
        quote_id: 'q1',
        quote_output: { amount_out: '7' },
        signed_data: { standard: 'nep413', payload: { message, nonce, recipient }, public_key: SIGNER.public_key },
      },
    ])
  })

  it.each<RelayAnswer>([
    { kind: 'error', code: -32_000, text: 'quote not found or already finished' },
    { kind: 'silence', reason: 'no answer within 5000 ms' },
  ])('what the relay says is said as it came, and never sent again: $kind', async (answer) => {
    const { send, bodies } = setUp([answer])
    expect(await send()).toEqual({ answered: answer })
    expect(bodies).toHaveLength(1)
  })

  it('nothing leaves when the gate is shut at the last moment', async () => {
    const { send, bodies } = setUp()
    expect(await send({ mayStillSend: () => false })).toEqual({ not_sent: 'disarmed' })
    expect(bodies).toEqual([])
  })

  it('the gate is asked after the signature, for every attempt', async () => {
    const gate = [true, false]
    const { send, bodies } = setUp([{ kind: 'not_connected', reason: 'connecting' }])
    expect(await send({ mayStillSend: () => gate.shift() ?? false })).toEqual({ not_sent: 'disarmed' })
    expect(bodies).toHaveLength(1)
  })

  it('a relay that is not connected is waited for until the auction closes', async () => {
    const lost: RelayAnswer = { kind: 'not_connected', reason: 'connecting' }
    expect(await setUp([lost, { kind: 'ok' }]).send()).toEqual({ answered: { kind: 'ok' } })
    expect(await setUp([lost, lost, lost, lost, lost]).send()).toEqual({ not_sent: 'too late' })
    expect(await setUp([], { relay: () => null }).send()).toEqual({ not_sent: 'too late' })
  })

  it('after the auction nothing is sent', async () => {
    const { send, bodies, clock } = setUp()
    clock.now = OFFER.answer_by_ms
    expect(await send()).toEqual({ not_sent: 'too late' })
    expect(bodies).toEqual([])
  })

  it('without a key nothing is sent', async () => {
    expect(await setUp([], { signer: null }).send()).toEqual({ not_sent: 'signer missing' })
  })
})

describe('the oracle of sendOffer', () => {
  it('a used nonce is a settlement, at the height where it was seen', async () => {
    const { ask, chain } = setUp()
    chain.used = true
    expect(await ask()).toEqual({
      answer: 'happened',
      as_of_ms: NOW,
      detail: { tx_hash: null, settled_height: 500, quote_hash: OFFER.quote_hash },
    })
  })

  it('an unused nonce is the end only at a block later than the deadline', async () => {
    const { ask, chain, clock } = setUp()
    expect((await ask()).answer).toBe('unknown')
    clock.now = OFFER.not_after_ms + 1
    chain.block_timestamp_ms = OFFER.not_after_ms
    expect((await ask()).answer).toBe('unknown')
    chain.block_timestamp_ms = OFFER.not_after_ms + 1
    expect(await ask()).toMatchObject({ answer: 'never', as_of_ms: OFFER.not_after_ms + 1 })
  })

  it('an answer that comes after the deadline to a question from before it is no end: the offer could still settle in between', async () => {
    const { ask, clock } = setUp([], {
      verifier: {
        isNonceUsed: async () => ({ used: false, block_height: 500, block_timestamp_ms: NOW }),
        seesNonceUsed: async () => {
          clock.now = OFFER.not_after_ms + 5_000
          return { used: false, block_height: 500 }
        },
      },
    })
    expect(await ask()).toMatchObject({ answer: 'unknown' })
  })

  describe('where it is not known under which salt the offer was signed', () => {
    const before = traceOf(offerWith('11111111'))
    const forgotten: SendOffer = { ...OFFER, asked_for: [traceOf(NOW_SIGNED), before] }
    /** Each nonce's look, by its order in the question: whether it is used, and the block's time. */
    const asking = (...looks: { used?: boolean; block_timestamp_ms: number }[]) => {
      const isNonceUsed = async (_: string, nonce: string) => {
        const look = looks[forgotten.asked_for.findIndex((trace) => trace.nonce === nonce)]
        return { used: false, block_height: 500, block_timestamp_ms: 0, ...look }
      }
      const made = setUp([], { verifier: { isNonceUsed, seesNonceUsed: isNonceUsed } })
      made.clock.now = OFFER.not_after_ms + 1
      return made
    }
    const [EARLY, LATE] = [OFFER.not_after_ms, OFFER.not_after_ms + 1]

    it('any of its nonces that is used is the settlement, under its own hash', async () => {
      const { ask, effect } = asking({ block_timestamp_ms: LATE }, { used: true, block_timestamp_ms: EARLY })
      expect(await ask(forgotten)).toMatchObject({ answer: 'happened', detail: { settled_height: 500, quote_hash: before.quote_hash } })
      expect(effect.open()).toBe(0)
    })

    it('the end is that all are unused at a block later than the deadline', async () => {
      expect((await asking({ block_timestamp_ms: LATE }, { block_timestamp_ms: EARLY }).ask(forgotten)).answer).toBe('unknown')
      expect((await asking({ block_timestamp_ms: EARLY }, { block_timestamp_ms: LATE }).ask(forgotten)).answer).toBe('unknown')
      expect(await asking({ block_timestamp_ms: LATE + 1 }, { block_timestamp_ms: LATE }).ask(forgotten)).toMatchObject({
        answer: 'never',
        as_of_ms: LATE,
      })
    })

    it('a status frame of any of them hurries the one question', async () => {
      const { ask, effect, hurried } = asking({ block_timestamp_ms: EARLY }, { block_timestamp_ms: EARLY })
      await ask(forgotten)
      effect.onStatus({ quote_hash: before.quote_hash, intent_hash: undefined, tx_hash: 'tx0', event_type: undefined })
      effect.onReconnected()
      expect(hurried).toEqual(['i:1:0', 'i:1:0'])
    })
  })

  it('a status frame hurries the question and names the transaction; one of another solver does nothing', async () => {
    const { send, ask, effect, hurried, chain } = setUp()
    await send()
    effect.onStatus({ quote_hash: 'somebody else', intent_hash: undefined, tx_hash: 'x', event_type: undefined })
    expect(hurried).toEqual([])
    effect.onStatus({ quote_hash: OFFER.quote_hash, intent_hash: undefined, tx_hash: 'tx1', event_type: undefined })
    expect(hurried).toEqual(['i:1:0'])
    chain.used = true
    expect((await ask()).detail).toEqual({ tx_hash: 'tx1', settled_height: 500, quote_hash: OFFER.quote_hash })
    expect(effect.open()).toBe(0)
  })

  it('after a reconnect everything open is asked about, also what an earlier owner sent', async () => {
    const { ask, effect, hurried } = setUp()
    await ask()
    effect.onReconnected()
    expect(hurried).toEqual(['i:1:0'])
  })

  it('a node that does not answer is an error, never a "no"', async () => {
    const { ask } = setUp([], {
      verifier: {
        isNonceUsed: async () => {
          throw new Error('no NEAR node answered')
        },
        seesNonceUsed: async () => {
          throw new Error('no NEAR node answered')
        },
      },
    })
    await expect(ask()).rejects.toThrow('no NEAR node answered')
  })
})
