import { FeedSource } from '#actors/runtime/feed-source.ts'
import type { BusRecord } from '#actors/runtime/bus-port.ts'
import type { Clock } from '#actors/runtime/ports.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { NEAR_INTENTS, PAIR } from '#machines/contracts/ids.ts'
import type { SwapDemand } from '#machines/contracts/records/quote.ts'
import type { StoredLane } from '../../twins/store-lane.ts'
import type { MemoryConnection } from '../../twins/bus.ts'
import type { Cast, Commit, Part, Sending, Stage } from '../cast.ts'
import type { SimProcess } from '../process.ts'
import { Accounts } from './accounts.ts'
import type { Playing, ServiceName } from './services.ts'
import { PARTS, playing } from './services.ts'
import { BTC, EURE, Venue } from './venue.ts'

/** Demands of pairs that nobody makes offers for, so that more lanes than one have something to say. */
const PAIRS = [PAIR, 'BTC/A', 'BTC/B', 'BTC/C']

/** The trading loop: every production service but the treasury's, over one venue. */
export class LoopCast implements Cast {
  readonly parts: readonly Part[] = Object.entries(PARTS).map(([service, part]) => ({ service, ...part }))
  readonly armed = ['strategy-engine', 'trade-executor']
  readonly restless = ['ref.market_price', 'state.intent_inventory', 'ops.audit_state']
  readonly survivesFailover = true
  readonly #stage: Stage
  readonly #venue: Venue
  readonly #accounts: Accounts
  readonly #playing = new Map<string, Playing>()
  /** another venue, whose demands give both amounts */
  #connection: MemoryConnection
  #source: FeedSource
  #demands = 0
  onSend: (sending: Sending) => void = () => {}

  constructor(stage: Stage) {
    this.#stage = stage
    this.#venue = new Venue(stage.time, stage.random)
    this.#accounts = new Accounts(stage, this.#venue)
    this.#connection = stage.bus.connect()
    this.#source = this.#begin()
    this.#venue.onSend = (offer, process) => {
      this.onSend({
        process,
        service: 'trade-executor',
        command_id: offer.command_id,
        effect: this.#accounts.effectOf(offer.nonce),
      })
      this.#accounts.sent(offer)
    }
  }

  order(): ReturnType<Cast['order']> {
    const { random } = this.#stage
    const drawn = random.next()
    if (drawn < 0.4) return { service: 'strategy-engine', order: 'threshold', arguments: { threshold_bps: random.pick([100, 200, 300]) } }
    if (drawn < 0.7) return { service: 'strategy-engine', order: 'limits', arguments: { max_notional_eure: random.pick(['3', '5', '9']) } }
    return { service: random.pick(['inventory-sync', 'market-reference-ingest']), order: 'refresh', arguments: {} }
  }

  definition(service: string, process: SimProcess): ServiceDefinition {
    const known = this.#playing.get(process.id)
    if (known) return known.definition
    const made = playing(service as ServiceName, process, this.#venue, this.#stage.random)
    this.#playing.set(process.id, made)
    return made.definition
  }

  began(process: SimProcess): void {
    this.#playing.get(process.id)?.began()
  }

  stir(): void {
    const drawn = this.#stage.random.next()
    if (drawn < 0.02) this.#garbage()
    else if (drawn < 0.2) this.#elsewhere()
    else this.#venue.ask()
  }

  upset(): void {
    const { random, bus } = this.#stage
    if (random.chance(0.5)) this.#venue.deposit()
    if (random.chance(0.5)) this.#venue.newSalt()
    this.#source.close()
    this.#connection.crash()
    this.#connection = bus.connect()
    this.#source = this.#begin()
  }

  /** A demand with both amounts, of any pair, under an id of any sort. */
  #elsewhere(): void {
    const { random } = this.#stage
    const number = random.chance(0.1) ? random.between(1, this.#demands + 1) : ++this.#demands
    const pair = PAIRS[number % PAIRS.length]!
    const payload: SwapDemand = {
      quote_id: number % 7 === 0 ? `é/${number}\n"${'x'.repeat(180)}` : `e${number}`,
      pair,
      direction: 'btc_to_eure',
      asset_in: BTC,
      asset_out: EURE,
      amount_in: '5000',
      amount_out: `2${number % 10}00000000000000000`,
      fixed_side: 'in',
      ttl_ms: 2_000,
      min_deadline_ms: 500,
    }
    const { quote_id: correlation_id } = payload
    this.#source.publish([{ topic: 'norm.swap_demand', venue: NEAR_INTENTS, payload, raw: {}, observed_at: null, correlation_id }])
  }

  #garbage(): void {
    const { random, bus, lanes } = this.#stage
    const partition = random.between(0, lanes - 1)
    bus.write([{ topic: 'norm.swap_demand', partition, key: null, value: Buffer.from('{"not": "ours'), headers: {} }])
    const written = bus.log('norm.swap_demand', partition).at(-1)
    this.#accounts.unreadable.push(`norm.swap_demand/${partition}@${written?.offset}`)
  }

  #begin(): FeedSource {
    const { time, random, partitionOf, logOf } = this.#stage
    const process = random.uuid(time.nowMs)
    const clock: Clock = {
      wallMs: () => Math.floor(time.nowMs),
      monotonicMs: () => time.nowMs,
      after: (ms, callback) => time.after(ms, 'elsewhere timer', callback),
    }
    const of = { service: 'elsewhere', process, incarnation: process, bus: this.#connection, clock, log: logOf('elsewhere'), partitionOf }
    return new FeedSource(of)
  }

  committed(commit: Commit): void {
    this.#accounts.committed(commit)
  }

  appended(record: BusRecord): void {
    this.#accounts.appended(record)
  }

  wentBack(): void {
    this.#accounts.wentBack()
  }

  unfinished(_: string, { actors }: StoredLane): string[] {
    return [...actors.values()].flatMap(({ kind, key, status }) =>
      (kind === 'quote' || kind === 'command') && status === 'active' ? [`${kind}/${key} is active`] : [],
    )
  }

  wrong(): string[] {
    return this.#accounts.wrong()
  }

  counts(): Record<string, number> {
    return this.#accounts.counts()
  }
}
