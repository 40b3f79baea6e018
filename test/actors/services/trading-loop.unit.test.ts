import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { TallyContext } from '#machines/command/tally.ts'
import type { DeskContext } from '#machines/desk/machine.ts'
import { base58 } from '#machines/contracts/nep413.ts'
import { definition } from '#actors/services/trade-executor/actors.ts'
import { Env } from '#actors/services/trade-executor/config.ts'
import { sendOfferEffect } from '#actors/services/trade-executor/effects.ts'
import type { SendOfferEffect } from '#actors/services/trade-executor/effects.ts'
import type { RelayAnswer } from '#actors/venues/near-intents/relay.ts'
import { loadSigner } from '#actors/venues/near-intents/signer.ts'
import { demandOf, EURE, inventoryAt, krakenAt, priceOf } from '#test/machines/desk/trading.ts'
import { clock, COMMON, Loop } from './loop.ts'

let loop = new Loop()
let sent: unknown[] = []
let answers: RelayAnswer[] = []
let chain = { used: false, block_height: 500 }
let sendOffer: SendOfferEffect | null = null

const executor = () => {
  sendOffer = sendOfferEffect({
    relay: () => ({
      quoteResponse: async (body) => {
        sent.push(body)
        return answers.shift() ?? { kind: 'ok' }
      },
    }),
    whenOpen: async () => {},
    signer: loadSigner(`ed25519:${base58(Buffer.alloc(32, 7))}`),
    verifier: { isNonceUsed: async () => ({ ...chain, block_timestamp_ms: Date.now() }), seesNonceUsed: async () => ({ ...chain }) },
    nowMs: clock.wallMs,
    answerTimeoutMs: 5_000,
    hurry: (effect) => void loop.hosts['trade-executor']?.hurry(effect),
    onAnswer: () => {},
  })
  const env = Env.parse({ ...COMMON, NEAR_INTENTS_RELAY_WS_URL: 'ws://127.0.0.1:1/ws', NEAR_RPC_URLS: 'http://127.0.0.1:1' })
  return definition(env, {
    nowMs: clock.wallMs,
    account_id: 'solver.near',
    authority: () => ({ signer: 'ready', salt: '252812b3', problem: null, checked_at_ms: 0 }),
    salts: () => [],
    actor: () => [],
    sendOffer: sendOffer.kind,
  })
}

beforeEach(async () => {
  loop = new Loop()
  sent = []
  answers = []
  chain = { used: false, block_height: 500 }
  await loop.start(executor())
  const now = Date.now()
  loop.publish('ref.market_price', { ...priceOf(krakenAt(now)), version: now })
  loop.publish('state.intent_inventory', { ...inventoryAt(now, { [EURE]: '100000000000000000000' }, 100), version: now })
})
afterEach(async () => {
  await loop.stop()
  assert.deepEqual(loop.warnings, [])
})
const within = { timeout: 4_000, interval: 5 }

it('a demand is decided, signed, sent and settled, and its reservation becomes a booking', async () => {
  expect((await loop.order('strategy-engine', 'arm')).outcome).toBe('done')
  expect((await loop.order('trade-executor', 'arm')).outcome).toBe('done')
  loop.publish('norm.swap_demand', demandOf('q1'))
  await expect.poll(() => loop.codes(), within).toEqual(['SUBMITTED'])
  expect(loop.ledger()).toMatchObject({ open: 1, reserved: { [EURE]: '2940000000000000000' } })
  expect(sent).toMatchObject([{ quote_id: 'q1', quote_output: { amount_out: '2940000000000000000' } }])

  chain.used = true
  const quote_hash = String(loop.read('exec.trade_result')[0]?.payload['quote_hash'])
  sendOffer?.onStatus({ quote_hash, intent_hash: undefined, tx_hash: 'tx1', event_type: undefined })
  await expect.poll(() => loop.codes(), within).toEqual(['SUBMITTED', 'SETTLED'])
  expect(loop.read('exec.trade_result')[1]?.payload).toMatchObject({ tx_hash: 'tx1', settled_height: 500, quote_hash })
  await expect
    .poll(() => loop.ledger(), within)
    .toMatchObject({ open: 0, reserved: {}, bookings: { [EURE]: [['2940000000000000000', 500]] } })
  expect(loop.context<TallyContext>('trade-executor', 'tally')).toMatchObject({ armed: true, in_flight: 0, completed: 1 })

  const records = [...loop.read('decision.trade_decision'), ...loop.read('cmd.execute_trade'), ...loop.read('exec.trade_result')]
  expect(new Set(records.map(({ correlation_id }) => correlation_id))).toEqual(new Set(['corr-1']))
  expect(loop.read('cmd.execute_trade')[0]?.causation_id).toBe('norm.swap_demand:1')
  expect(JSON.stringify(records)).not.toContain('signature')
})

it('a disarmed strategy decides and commands nothing; a disarmed executor sends nothing and frees the reservation', async () => {
  loop.publish('norm.swap_demand', demandOf('q1'))
  await expect
    .poll(() => loop.read('decision.trade_decision').map(({ payload }) => payload['decision_reason']), within)
    .toEqual(['NOT_ARMED'])
  await loop.order('strategy-engine', 'arm')
  loop.publish('norm.swap_demand', demandOf('q2'))
  await expect.poll(() => loop.codes(), within).toEqual(['DISARMED'])
  await expect.poll(() => loop.ledger(), within).toMatchObject({ open: 0, reserved: {}, bookings: {} })
  expect(sent).toEqual([])
  await loop.order('trade-executor', 'arm')
  await loop.order('trade-executor', 'disarm')
  loop.publish('norm.swap_demand', demandOf('q3'))
  await expect.poll(() => loop.codes(), within).toEqual(['DISARMED', 'DISARMED'])
  expect(sent).toEqual([])
})

it('orders change threshold and cap, repeats are counted, and a refusal by the relay is no end', async () => {
  await Promise.all([
    loop.order('strategy-engine', 'arm'),
    loop.order('trade-executor', 'arm'),
    loop.order('strategy-engine', 'threshold', { threshold_bps: 250 }),
  ])
  await loop.order('strategy-engine', 'limits', { max_notional_eure: '1' })
  loop.publish('norm.swap_demand', demandOf('q1'))
  await expect
    .poll(() => loop.read('decision.trade_decision')[0]?.payload, within)
    .toMatchObject({ threshold_bps: 250, decision_reason: 'NOTIONAL_ABOVE_CAP' })
  await loop.order('strategy-engine', 'limits', { max_notional_eure: '5' })
  answers.push({ kind: 'error', code: -32_000, text: 'internal' })
  loop.publish('norm.swap_demand', demandOf('q2'))
  loop.publish('norm.swap_demand', demandOf('q2'))
  await expect.poll(() => loop.codes(), within).toEqual(['REJECTED'])
  await expect
    .poll(() => loop.context<DeskContext>('strategy-engine', 'desk')?.skips, within)
    .toEqual({ NOTIONAL_ABOVE_CAP: 1, DUPLICATE_QUOTE: 1 })
  expect(sent).toHaveLength(1)
})
