import { Host } from '#actors/runtime/host.ts'
import type { LaneView } from '#actors/runtime/lane/lane-options.ts'
import type { Log } from '#actors/runtime/ports.ts'
import type { LaneStore } from '#actors/runtime/store-port.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { connected, SimProcess } from '../../simulation/process.ts'
import { promisesSettled, VirtualTime } from '../../simulation/virtual-time.ts'
import type { MemoryBus, MemoryConnection, SendFate } from '../../twins/bus.ts'
import { memoryBus } from '../../twins/bus.ts'
import type { MemoryStore } from '../../twins/store.ts'
import { memoryStore } from '../../twins/store.ts'
import type { StoredLane } from '../../twins/store-lane.ts'

export const START_MS = Date.UTC(2026, 0, 1, 12)
/** drawn long before any test began */
export const FEED = '019b0000-0000-7000-8000-000000000001'

export interface Running {
  readonly host: Host
  readonly process: SimProcess
  readonly link: MemoryConnection
}

interface StartOptions {
  readonly release?: string
  /** another one than the rig's: what a later release runs */
  readonly definition?: ServiceDefinition
  readonly cacheBytes?: number
  readonly timerWindow?: number
  /** between the host and the store */
  readonly store?: (store: LaneStore) => LaneStore
}

/** Hosts of one service with one lane on twins, in virtual time: nothing happens but in `pass`. */
export class Rig {
  /** What every clock on a wall shows, ms, while leases and waiting go on in virtual time; null: both are one. */
  wallMs: number | null = null
  readonly time = new VirtualTime(START_MS)
  readonly store: MemoryStore
  readonly bus: MemoryBus
  readonly logged: { event: string; text: string }[] = []
  readonly broken: string[] = []
  fate: SendFate = 'written'
  readonly #definition: ServiceDefinition
  readonly #positions = new Map<string, number>()
  #processes = 0

  constructor(definition: ServiceDefinition) {
    const { time } = this
    this.#definition = definition
    this.store = memoryStore({
      clock: { wallMs: () => Math.floor(time.nowMs), monotonicMs: () => time.nowMs, after: () => () => {} },
      lanes: 1,
      remembersMs: 1_000,
    })
    this.bus = memoryBus({
      partitions: 1,
      clock: { wallMs: () => Math.floor(time.nowMs) },
      schedule: (step, what) => void time.after(1, what, step),
      fate: () => this.fate,
    })
  }

  async start({ release = 'r1', definition = this.#definition, store = (own) => own, ...rest }: StartOptions = {}): Promise<Running> {
    const process = new SimProcess(
      this.time,
      `00000000-0000-4000-8000-${String(++this.#processes).padStart(12, '0')}`,
      this.#definition.name,
      release,
    )
    const link = this.bus.connect()
    process.onDeath = () => link.crash()
    const host = new Host({
      ...rest,
      definition,
      release,
      process: process.id,
      store: store(this.#heardBy(process)),
      bus: connected(link, process),
      clock: { ...process.clock, wallMs: () => this.wallMs ?? process.clock.wallMs() },
      log: this.#log(),
      meter: { count: () => {}, observe: () => {} },
      partitionOf: () => 0,
      wantedLanes: 1,
      url: () => 'http://test',
      onBroken: (error) => this.broken.push(error.message),
    })
    void host.start()
    await this.pass(20)
    return { host, process, link }
  }

  /** A record for an actor: `event` is what it will be told. Positions count by themselves. */
  put(
    key: string,
    event: object,
    { topic = 'norm.swap_demand', source = 'feed#1', incarnation = FEED, position, eventId }: PutOptions = {},
  ): void {
    const at = `${topic} ${source} ${incarnation}`
    const next = position ?? (this.#positions.get(at) ?? 0) + 1
    this.#positions.set(at, next)
    const headers = { 'unrip-source': source, 'unrip-incarnation': incarnation, 'unrip-position': String(next) }
    this.bus.write([
      { topic, partition: 0, key, value: Buffer.from(JSON.stringify(envelope(topic, key, event, eventId ?? `${at} ${next}`))), headers },
    ])
  }

  async pass(ms: number): Promise<void> {
    const until = this.time.nowMs + ms
    await promisesSettled()
    while (await this.time.step(until));
  }

  get lane(): StoredLane {
    return this.store.lane(this.#definition.name, 0)
  }

  /** What a worker has been sent, as stored. */
  seen(key: string): readonly string[] | null {
    const row = [...this.lane.actors.values()].find((actor) => actor.kind === 'worker' && actor.key === key)
    return row ? (JSON.parse(Buffer.from(row.body).toString()) as { c: { seen: string[] } }).c.seen : null
  }

  value(kind: string, key: string): unknown {
    const row = [...this.lane.actors.values()].find((actor) => actor.kind === kind && actor.key === key)
    return row ? (JSON.parse(Buffer.from(row.body).toString()) as { value: unknown }).value : null
  }

  /** `{kind}/{key}: {cause}` of what is parked, in order. */
  parked(): string[] {
    return this.lane.parked.map(({ kind, key, cause }) => `${kind}/${key}: ${cause}`)
  }

  #heardBy(process: SimProcess): LaneStore {
    const store = this.store.connect()
    const heard = Object.entries(store).map(([name, call]) => [
      name,
      name === 'onOrder' || name === 'close'
        ? call
        : (...args: unknown[]) => process.hears((call as (...a: unknown[]) => Promise<unknown>)(...args), name),
    ])
    const own = Object.fromEntries(heard) as unknown as LaneStore
    const renew: LaneStore['renew'] = async (...args) => {
      const renewal = await own.renew(...args)
      return this.wallMs === null ? renewal : { ...renewal, nowMs: this.wallMs }
    }
    return { ...own, renew }
  }

  #log(): Log {
    const say = (fields: object, text: string): void => void this.logged.push({ event: (fields as { event?: string }).event ?? '', text })
    return { debug: say, info: say, warn: say, error: say }
  }
}

interface PutOptions {
  readonly topic?: 'norm.swap_demand' | 'exec.trade_result'
  readonly source?: string
  readonly incarnation?: string
  readonly position?: number
  /** becomes the turn's cause; default: where it stands */
  readonly eventId?: string
}

export const envelope = (topic: string, quote_id: string, event: object, event_id: string) => {
  const common = { quote_id, pair: 'P', direction: 'btc_to_eure', asset_in: 'a', asset_out: 'b', event }
  const demand = { ...common, amount_in: '1', amount_out: null, fixed_side: 'in', ttl_ms: 1, min_deadline_ms: 1 }
  const result = {
    ...common,
    command_id: quote_id,
    idempotency_key: quote_id,
    execution_key: quote_id,
    execution_id: null,
    amount_in: '1',
    amount_out: '1',
    status: 'submitted',
    result_code: 'SUBMITTED',
    quote_hash: null,
    tx_hash: null,
    settled_height: null,
    note: null,
  }
  return {
    event_id,
    event_type: topic === 'norm.swap_demand' ? 'swap_demand' : 'trade_result',
    venue: 'test',
    source: 'test',
    schema_version: 1,
    observed_at: null,
    ingested_at: new Date(START_MS).toISOString(),
    payload: topic === 'norm.swap_demand' ? demand : result,
    raw: {},
  }
}

export const onlyLane = ({ host }: Running): LaneView => {
  const [lane] = host.lanes()
  if (!lane) throw new Error('no lane is held')
  return lane
}
