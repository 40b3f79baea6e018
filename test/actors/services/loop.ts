import { randomUUID } from 'node:crypto'
import { Host } from '#actors/runtime/host.ts'
import type { OutRecord } from '#actors/runtime/bus-port.ts'
import type { Clock } from '#actors/runtime/ports.ts'
import type { StoreFence } from '#actors/runtime/store-port.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { definition as strategyDefinition } from '#actors/services/strategy-engine/actors.ts'
import { Env as StrategyEnv } from '#actors/services/strategy-engine/config.ts'
import { partitionOf } from '#bus/murmur2.ts'
import { Envelope } from '#machines/contracts/envelope.ts'
import { laneKey, NEAR_INTENTS, PAIR } from '#machines/contracts/ids.ts'
import { topics } from '#machines/contracts/topics.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import type { DeskContext } from '#machines/desk/machine.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { memoryBus } from '#test/twins/bus.ts'
import { memoryStore } from '#test/twins/store.ts'

const LANES = 2
const LANE = partitionOf(laneKey(NEAR_INTENTS, PAIR), LANES)
export const clock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
const meter = { count() {}, observe() {} }
export const COMMON = { KAFKA_BROKERS: '127.0.0.1:9092', DATABASE_URL: 'postgres://x@127.0.0.1/x', STRICT_AUDIT: 'false' }

/** Strategy and executor on real hosts over the twins; what comes from other services is written by the test. */
export class Loop {
  readonly bus = memoryBus({ partitions: LANES })
  readonly store = memoryStore({ clock, lanes: LANES })
  readonly hosts: Record<string, Host> = {}
  readonly warnings: string[] = []
  readonly #positions = new Map<string, number>()

  async start(executor: ServiceDefinition, release = 'r1'): Promise<void> {
    await this.run(strategyDefinition(StrategyEnv.parse(COMMON), { nowMs: clock.wallMs }), release)
    await this.run(executor, release)
  }

  async run(definition: ServiceDefinition, release = 'r1', fence?: StoreFence): Promise<void> {
    const warn = (_: object, text: string): void => void this.warnings.push(text)
    const lifecycle = { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) }
    const host = new Host({
      definition: { ...definition, kinds: { ...definition.kinds, lifecycle } },
      release,
      process: randomUUID(),
      store: this.store.connect(),
      bus: this.bus.connect(),
      clock,
      log: { debug() {}, info() {}, warn, error: warn },
      meter,
      partitionOf: (key) => partitionOf(key, LANES),
      wantedLanes: LANES,
      url: () => 'http://127.0.0.1:1',
      onBroken: (error) => void this.warnings.push(error.message),
      ...(fence ? { fence } : {}),
    })
    this.hosts[definition.name] = host
    await host.start()
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.hosts).map((host) => host.drain()))
  }

  order(service: string, order: string, args: object = {}): Promise<{ outcome: string }> {
    const host = this.hosts[service]
    if (!host) throw new Error(`no ${service}`)
    return host.submit({ order, by: 'test', reason: 'test', arguments: { ...args } }, 2_000)
  }

  /** What another service would have published. */
  publish(topic: TopicName, payload: object, now = new Date().toISOString()): void {
    const position = (this.#positions.get(topic) ?? 0) + 1
    this.#positions.set(topic, position)
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
}
