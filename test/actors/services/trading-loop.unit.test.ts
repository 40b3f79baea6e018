import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { afterEach, expect, it } from 'vitest'
import { Host } from '#actors/runtime/host.ts'
import type { Clock, OutRecord } from '#actors/runtime/ports.ts'
import type { EffectKind, ServiceDefinition } from '#actors/runtime/service.ts'
import { definition as executorDefinition } from '#actors/services/trade-executor/actors.ts'
import { Env as ExecutorEnv } from '#actors/services/trade-executor/config.ts'
import { sendOfferEffect } from '#actors/services/trade-executor/effects.ts'
import type { SendOfferEffect } from '#actors/services/trade-executor/effects.ts'
import { definition as strategyDefinition } from '#actors/services/strategy-engine/actors.ts'
import { Env as StrategyEnv } from '#actors/services/strategy-engine/config.ts'
import type { RelayAnswer } from '#actors/venues/near-intents/relay.ts'
import { loadSigner } from '#actors/venues/near-intents/signer.ts'
import { partitionOf } from '#bus/murmur2.ts'
import { Envelope } from '#machines/contracts/envelope.ts'
import { laneKey, NEAR_INTENTS, PAIR } from '#machines/contracts/ids.ts'
import { base58 } from '#machines/contracts/nep413.ts'
import { topics } from '#machines/contracts/topics.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import type { DeskContext } from '#machines/desk/machine.ts'
import type { TallyContext } from '#machines/command/tally.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { demandOf, EURE, inventoryAt, krakenAt, priceOf } from '#test/machines/desk/trading.ts'
import { memoryBus } from '#test/twins/bus.ts'
import { memoryStore } from '#test/twins/store.ts'

const LANES = 2
const LANE = partitionOf(laneKey(NEAR_INTENTS, PAIR), LANES)
const clock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
const warnings: string[] = []
const log = {
  debug() {},
  info() {},
  warn: (_: object, text: string) => void warnings.push(text),
  error: (_: object, text: string) => void warnings.push(text),
}
const meter = { count() {}, observe() {}, gauge() {} }
const COMMON = { KAFKA_BROKERS: '127.0.0.1:9092', DATABASE_URL: 'postgres://x@127.0.0.1/x', STRICT_AUDIT: 'false' }

/** Strategy and executor as they are, over the twins, with a relay and a chain in the test's hands. */
class Loop {
  readonly bus = memoryBus({ partitions: LANES })
  readonly store = memoryStore({ clock, lanes: LANES })
  readonly hosts: Record<string, Host> = {}
  readonly sent: unknown[] = []
  readonly answers: RelayAnswer[] = []
  readonly chain = { used: false, block_height: 500 }
  sendOffer: SendOfferEffect | null = null
  #positions = new Map<string, number>()

  async start(release = 'r1'): Promise<void> {
    await this.#run(strategyDefinition(StrategyEnv.parse(COMMON), { nowMs: clock.wallMs }), release)
    await this.#run(this.#executor(), release)
  }

  #executor(): ServiceDefinition {
    const env = ExecutorEnv.parse({ ...COMMON, NEAR_INTENTS_RELAY_WS_URL: 'ws://127.0.0.1:1/ws', NEAR_RPC_URLS: 'http://127.0.0.1:1' })
    this.sendOffer = sendOfferEffect({
      relay: () => ({
        quoteResponse: async (body) => {
          this.sent.push(body)
          return this.answers.shift() ?? { kind: 'ok' }
        },
      }),
      whenOpen: async () => {},
      signer: loadSigner(`ed25519:${base58(Buffer.alloc(32, 7))}`),
      verifier: { isNonceUsed: async () => ({ ...this.chain, block_timestamp_ms: Date.now() }) },
      nowMs: clock.wallMs,
      answerTimeoutMs: 5_000,
      hurry: (effect) => void this.hosts['trade-executor']?.hurry(effect),
      onAnswer: () => {},
    })
    return executorDefinition(env, {
      nowMs: clock.wallMs,
      account_id: 'solver.near',
      authority: () => ({ signer: 'ready', salt: '252812b3', problem: null, checked_at_ms: 0 }),
      sendOffer: this.sendOffer.kind satisfies EffectKind,
    })
  }

  async #run(definition: ServiceDefinition, release: string): Promise<void> {
    const host = new Host({
      definition: {
        ...definition,
        kinds: { ...definition.kinds, lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) } },
      },
      release,
      process: randomUUID(),
      store: this.store.connect(),
      bus: this.bus.connect(),
      clock,
      log,
      meter,
      partitionOf: (key) => partitionOf(key, LANES),
      wantedLanes: LANES,
      url: () => 'http://127.0.0.1:1',
      onBroken: (error) => void warnings.push(error.message),
    })
    this.hosts[definition.name] = host
    await host.start()
  }

  order(service: string, order: string, args: object = {}): Promise<{ outcome: string }> {
    const host = this.hosts[service]
    if (!host) throw new Error(`no ${service}`)
    return host.submit({ order, by: 'test', reason: 'test', arguments: { ...args } }, 2_000)
  }

  /** What another service would have published. */
  publish(topic: TopicName, payload: object): void {
    const position = (this.#positions.get(topic) ?? 0) + 1
    this.#positions.set(topic, position)
    const now = new Date().toISOString()
    const record: OutRecord = {
      topic,
      partition: LANE,
      key: null,
      headers: {
        'unrip-source': `test#${topic}`,
        'unrip-incarnation': '00000000-0000-7000-8000-000000000001',
        'unrip-position': String(position),
      },
      value: Buffer.from(
        JSON.stringify({
          event_id: `${topic}:${position}`,
          event_type: topics[topic].event_type,
          venue: NEAR_INTENTS,
          source: 'test',
          schema_version: 1,
          observed_at: now,
          ingested_at: now,
          correlation_id: `corr-${position}`,
          causation_id: null,
          payload,
          raw: {},
        }),
      ),
    }
    this.bus.write([record])
  }

  read(topic: TopicName): Envelope[] {
    return this.bus.log(topic).map(({ value }) => Envelope.parse(JSON.parse(Buffer.from(value ?? []).toString('utf8'))))
  }

  context<C>(service: string, kind: string): C | undefined {
    return this.hosts[service]?.actor(kind, kind).find(({ lane }) => lane === LANE)?.context as C | undefined
  }

  ledger() {
    return this.context<DeskContext>('strategy-engine', 'desk')?.ledger
  }

  codes(): unknown[] {
    return this.read('exec.trade_result').map(({ payload }) => payload['result_code'])
  }

  market(block_height = 100): void {
    const now = Date.now()
    this.publish('ref.market_price', { ...priceOf(krakenAt(now)), version: now })
    this.publish('state.intent_inventory', { ...inventoryAt(now, { [EURE]: '100000000000000000000' }, block_height), version: now })
  }
}

let loop = new Loop()
const started = async (): Promise<Loop> => {
  warnings.length = 0
  loop = new Loop()
  await loop.start()
  loop.market()
  return loop
}
afterEach(async () => {
  await Promise.all(Object.values(loop.hosts).map((host) => host.drain()))
  assert.deepEqual(warnings, [])
})
const within = { timeout: 4_000, interval: 5 }

it('a demand is decided, signed, sent and settled, and its reservation becomes a booking', async () => {
  const { order, publish, read, ledger, codes } = bound(await started())
  expect((await order('strategy-engine', 'arm')).outcome).toBe('done')
  expect((await order('trade-executor', 'arm')).outcome).toBe('done')
  publish('norm.swap_demand', demandOf('q1'))
  await expect.poll(codes, within).toEqual(['SUBMITTED'])
  expect(ledger()).toMatchObject({ open: 1, reserved: { [EURE]: '2940000000000000000' } })
  expect(loop.sent).toMatchObject([{ quote_id: 'q1', quote_output: { amount_out: '2940000000000000000' } }])

  loop.chain.used = true
  const quote_hash = String(read('exec.trade_result')[0]?.payload['quote_hash'])
  loop.sendOffer?.onStatus({ quote_hash, intent_hash: undefined, tx_hash: 'tx1', event_type: undefined })
  await expect.poll(codes, within).toEqual(['SUBMITTED', 'SETTLED'])
  expect(read('exec.trade_result')[1]?.payload).toMatchObject({ tx_hash: 'tx1', settled_height: 500, quote_hash })
  await expect.poll(ledger, within).toMatchObject({ open: 0, reserved: {}, bookings: { [EURE]: [['2940000000000000000', 500]] } })
  expect(loop.context<TallyContext>('trade-executor', 'tally')).toMatchObject({ armed: true, in_flight: 0, completed: 1 })

  const chain = [...read('decision.trade_decision'), ...read('cmd.execute_trade'), ...read('exec.trade_result')]
  expect(new Set(chain.map(({ correlation_id }) => correlation_id))).toEqual(new Set(['corr-1']))
  expect(read('cmd.execute_trade')[0]?.causation_id).toBe('norm.swap_demand:1')
  expect(JSON.stringify(chain)).not.toContain('signature')
})

it('a disarmed strategy decides and commands nothing; a disarmed executor sends nothing and frees the reservation', async () => {
  const { order, publish, read, ledger, codes } = bound(await started())
  publish('norm.swap_demand', demandOf('q1'))
  await expect.poll(() => read('decision.trade_decision').map(({ payload }) => payload['decision_reason']), within).toEqual(['NOT_ARMED'])
  await order('strategy-engine', 'arm')
  publish('norm.swap_demand', demandOf('q2'))
  await expect.poll(codes, within).toEqual(['DISARMED'])
  await expect.poll(ledger, within).toMatchObject({ open: 0, reserved: {}, bookings: {} })
  expect(loop.sent).toEqual([])
  await order('trade-executor', 'arm')
  await order('trade-executor', 'disarm')
  publish('norm.swap_demand', demandOf('q3'))
  await expect.poll(codes, within).toEqual(['DISARMED', 'DISARMED'])
  expect(loop.sent).toEqual([])
})

it('orders change threshold and cap, repeats are counted, and a refusal by the relay is no end', async () => {
  const { order, publish, read, codes } = bound(await started())
  await Promise.all([
    order('strategy-engine', 'arm'),
    order('trade-executor', 'arm'),
    order('strategy-engine', 'threshold', { threshold_bps: 250 }),
  ])
  await order('strategy-engine', 'limits', { max_notional_eure: '1' })
  publish('norm.swap_demand', demandOf('q1'))
  await expect
    .poll(() => read('decision.trade_decision')[0]?.payload, within)
    .toMatchObject({ threshold_bps: 250, decision_reason: 'NOTIONAL_ABOVE_CAP' })
  await order('strategy-engine', 'limits', { max_notional_eure: '5' })
  loop.answers.push({ kind: 'error', code: -32_000, text: 'internal' })
  publish('norm.swap_demand', demandOf('q2'))
  publish('norm.swap_demand', demandOf('q2'))
  await expect.poll(codes, within).toEqual(['REJECTED'])
  await expect
    .poll(() => loop.context<DeskContext>('strategy-engine', 'desk')?.skips, within)
    .toEqual({ NOTIONAL_ABOVE_CAP: 1, DUPLICATE_QUOTE: 1 })
  expect(loop.sent).toHaveLength(1)
})

const bound = (of: Loop) => ({
  order: of.order.bind(of),
  publish: of.publish.bind(of),
  read: of.read.bind(of),
  ledger: of.ledger.bind(of),
  codes: of.codes.bind(of),
})
