import { afterEach, describe, expect, it } from 'vitest'
import { connectRelay } from '#actors/venues/near-intents/relay.ts'
import type { QuoteFrame, Relay } from '#actors/venues/near-intents/relay.ts'
import { normalizeQuote } from '#actors/venues/near-intents/normalize.ts'
import { verifierClient } from '#actors/venues/near-intents/verifier.ts'
import { Env } from '#actors/services/trade-executor/config.ts'
import { build } from '#actors/services/trade-executor/service.ts'
import type { Service } from '#actors/services/run-service.ts'
import { makeLog } from '#control/telemetry/log.ts'
import { isFinal } from '#machines/contracts/records/trade.ts'
import type { ResultCode } from '#machines/contracts/records/trade.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import { startSimulators } from '#test/simulators/start.ts'
import type { Simulators } from '#test/simulators/start.ts'
import { BTC_IDS, EURE } from '#test/simulators/tokens.ts'
import { inventoryAt, krakenAt, priceOf } from '#test/machines/desk/trading.ts'
import { clock, COMMON, Loop } from './loop.ts'

const TOKENS = [...BTC_IDS, EURE]
const stops: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

const tenths = (value: bigint): string => `${value / 10n}.${value % 10n}`

/** The other services' records, made from the simulators: price, inventory at `final`, demands off the wire. */
const feed = (loop: Loop, venues: Simulators): void => {
  const { endpoints, market } = venues
  const verifier = verifierClient({ urls: endpoints.near_rpc_urls.split(','), contract_id: 'intents.near' })
  const every = setInterval(() => {
    const { bidTenths, askTenths } = market.quote
    const now = Date.now()
    loop.publish('ref.market_price', { ...priceOf(krakenAt(now, { bid: tenths(bidTenths), ask: tenths(askTenths) })), version: now })
    void verifier.balancesAll(endpoints.account_id, TOKENS).then(
      ({ spendable, block_height }) =>
        loop.publish('state.intent_inventory', { ...inventoryAt(now, spendable, block_height), version: block_height }),
      () => {},
    )
  }, 250)
  const onFrame = (_kind: string, { data, receivedAtMs }: QuoteFrame): void => {
    const demand = normalizeQuote(data)
    const direction = demand.asset_in === EURE ? 'eure_to_btc' : 'btc_to_eure'
    const isPair = demand.asset_in !== demand.asset_out && (demand.asset_in === EURE || demand.asset_out === EURE)
    if (isPair) loop.publish('norm.swap_demand', { ...demand, pair: PAIR, direction }, new Date(receivedAtMs).toISOString())
  }
  const log = makeLog({ service: 'test', level: 'fatal' })
  const relay: Relay = connectRelay({
    url: endpoints.relay_ws_url,
    jwt: endpoints.jwt,
    subscriptions: [{ stream: 'quote', filters: { tokens_in: TOKENS, tokens_out: TOKENS } }],
    onFrame,
    log,
  })
  stops.push(
    () => clearInterval(every),
    () => relay.close(),
  )
}

const start = async (): Promise<{ loop: Loop; venues: Simulators; service: Service }> => {
  const venues = await startSimulators({ scenario: 'manual', seed: 5, blockMs: 100 })
  stops.push(() => venues.close())
  const { endpoints } = venues
  const loop = new Loop()
  const env = Env.parse({
    ...COMMON,
    NEAR_INTENTS_RELAY_WS_URL: endpoints.relay_ws_url,
    NEAR_INTENTS_PARTNER_JWT: endpoints.jwt,
    NEAR_RPC_URLS: endpoints.near_rpc_urls,
    NEAR_INTENTS_ACCOUNT_ID: endpoints.account_id,
    NEAR_INTENTS_SIGNING_KEY: endpoints.signing_key,
    EXECUTOR_ANSWER_TIMEOUT_MS: '500',
  })
  const service = await build(env, {
    log: makeLog({ service: 'trade-executor', level: 'fatal' }),
    meter: { count() {}, observe() {} },
    release: 'r1',
    nowMs: clock.wallMs,
    tell: () => false,
    tellLearnt: () => {},
    publish: () => false,
    hurry: (effect) => loop.hosts['trade-executor']?.hurry(effect) ?? false,
    actor: (kind, key) => loop.hosts['trade-executor']?.actor(kind, key) ?? [],
    count: () => {},
  })
  stops.push(() => service.close?.())
  await loop.start(service.definition)
  stops.push(() => loop.stop())
  await service.start?.()
  feed(loop, venues)
  for (const name of ['strategy-engine', 'trade-executor']) expect((await loop.order(name, 'arm')).outcome).toBe('done')
  await expect.poll(() => service.describe(viewOf(loop)).blocked, { timeout: 5_000 }).toEqual([])
  return { loop, venues, service }
}

const viewOf = (loop: Loop) => {
  const host = loop.hosts['trade-executor']
  if (!host) throw new Error('no executor')
  return {
    actor: (kind: string, key: string) => host.actor(kind, key),
    counters: {},
    openEffects: () => 0,
    lanes: [],
    tables: host.tables,
    nowMs: Date.now(),
  }
}

const finals = (loop: Loop): Record<string, ResultCode[]> => {
  const byQuote: Record<string, ResultCode[]> = {}
  for (const { payload } of loop.read('exec.trade_result')) {
    const code = payload['result_code'] as ResultCode
    if (isFinal(code)) (byQuote[String(payload['quote_id'])] ??= []).push(code)
  }
  return byQuote
}

describe('strategy and executor against the venues on the wire', () => {
  it('all four sides settle, and the referee counts no violation', async () => {
    const { loop, venues } = await start()
    const [btc = '', nbtc = ''] = BTC_IDS
    const eure = 3n * 10n ** 18n
    const orders = [
      { token_in: btc, token_out: EURE, exact_amount_in: '5000' },
      { token_in: nbtc, token_out: EURE, exact_amount_out: eure.toString() },
      { token_in: EURE, token_out: btc, exact_amount_in: eure.toString() },
      { token_in: EURE, token_out: nbtc, exact_amount_out: '5000' },
    ]
    await expect.poll(() => loop.hosts['strategy-engine']?.tables.rows('state.intent_inventory').length, { timeout: 5_000 }).toBe(1)
    orders.forEach((order, n) => venues.auctions.open({ ...order, quote_id: `q${n}`, settle_delay_ms: 50 }))
    const all = { q0: ['SETTLED'], q1: ['SETTLED'], q2: ['SETTLED'], q3: ['SETTLED'] }
    await expect.poll(() => finals(loop), { timeout: 15_000, interval: 50 }).toEqual(all)
    expect(venues.referee.violations).toEqual([])
    expect(loop.warnings).toEqual([])
    await expect.poll(() => loop.ledger()?.open, { timeout: 2_000 }).toBe(0)
  }, 30_000)

  it('a relay that takes a response and never answers leads to UNCERTAIN and then to the truth', async () => {
    const { loop, venues } = await start()
    venues.faults.order({ name: 'relay.swallow_executed', on: true, count: 1 })
    await expect.poll(() => loop.hosts['strategy-engine']?.tables.rows('state.intent_inventory').length, { timeout: 5_000 }).toBe(1)
    venues.auctions.open({ quote_id: 'q0', token_in: BTC_IDS[0] ?? '', token_out: EURE, exact_amount_in: '5000', settle_delay_ms: 50 })
    await expect.poll(() => loop.codes(), { timeout: 25_000, interval: 50 }).toEqual(['UNCERTAIN', 'SETTLED'])
    expect(venues.referee.violations).toEqual([])
  }, 40_000)
})
