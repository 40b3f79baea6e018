import { FeedSource } from '#actors/runtime/feed-source.ts'
import type { Clock, Log } from '#actors/runtime/ports.ts'
import type { MarketPrice } from '#machines/contracts/records/market-price.ts'
import type { SwapDemand } from '#machines/contracts/records/quote.ts'
import type { MemoryBus, MemoryConnection } from '../../twins/bus.ts'
import type { Random } from '../random.ts'
import type { VirtualTime } from '../virtual-time.ts'

const PRICE_EVERY_MS = 500

/** What comes from outside: demands of every sort, prices, and bytes that nobody can read. A process of its own, which dies too. */
export class Feed {
  readonly #time: VirtualTime
  readonly #random: Random
  readonly #bus: MemoryBus
  readonly #pairs: readonly string[]
  readonly #lanes: number
  readonly #partitionOf: (laneKey: string) => number
  readonly #log: Log
  #connection: MemoryConnection
  #source: FeedSource
  #count = 0
  #versions = 0
  /** as `topic/partition@offset` */
  readonly unreadable: string[] = []

  constructor(of: {
    time: VirtualTime
    random: Random
    bus: MemoryBus
    pairs: readonly string[]
    lanes: number
    partitionOf: (laneKey: string) => number
    log: Log
  }) {
    this.#time = of.time
    this.#random = of.random
    this.#bus = of.bus
    this.#pairs = of.pairs
    this.#lanes = of.lanes
    this.#partitionOf = of.partitionOf
    this.#log = of.log
    this.#connection = of.bus.connect()
    this.#source = this.#begin()
    this.#publishPrice()
  }

  /** Dies and comes back: a new incarnation, and every count from 1. */
  restart(): void {
    this.#source.close()
    this.#connection.crash()
    this.#connection = this.#bus.connect()
    this.#source = this.#begin()
  }

  demand(): void {
    const sort = this.#random.next()
    if (sort < 0.02) return this.#garbage()
    const again = sort < 0.07 && this.#count > 0
    const number = again ? this.#random.between(1, this.#count) : ++this.#count
    const prefix = number % 25 === 3 ? 'boom' : number % 50 === 9 ? 'nul' : number % 25 === 17 ? 'huge' : 'q'
    const pair = this.#pairs[number % this.#pairs.length]!
    const payload: SwapDemand = {
      quote_id: `${prefix}${number}`,
      pair,
      direction: 'btc_to_eure',
      asset_in: 'btc',
      asset_out: 'eure',
      amount_in: '100',
      amount_out: null,
      fixed_side: 'in',
      ttl_ms: 1_000,
      min_deadline_ms: 1_000,
    }
    this.#source.publish([
      { topic: 'norm.swap_demand', venue: 'sim', payload, raw: {}, observed_at: null, correlation_id: payload.quote_id },
    ])
  }

  #garbage(): void {
    const partition = this.#random.between(0, this.#lanes - 1)
    const headers: Record<string, string> = this.#random.chance(0.5)
      ? {}
      : { 'unrip-source': 'x\0y', 'unrip-incarnation': this.#random.uuid(1), 'unrip-position': '1' }
    this.#bus.write([{ topic: 'norm.swap_demand', partition, key: null, value: Buffer.from('{"not": "ours'), headers }])
    const written = this.#bus.log('norm.swap_demand', partition).at(-1)
    this.unreadable.push(`norm.swap_demand/${partition}@${written?.offset}`)
  }

  #begin(): FeedSource {
    const process = this.#random.uuid(this.#time.nowMs)
    const clock: Clock = {
      wallMs: () => Math.floor(this.#time.nowMs),
      monotonicMs: () => this.#time.nowMs,
      after: (ms, callback) => this.#time.after(ms, 'feed timer', callback),
    }
    return new FeedSource({
      service: 'sim-feed',
      process,
      incarnation: process,
      bus: this.#connection,
      clock,
      log: this.#log,
      partitionOf: this.#partitionOf,
    })
  }

  #publishPrice(): void {
    const payload: MarketPrice = {
      pair: this.#pairs[0]!,
      version: ++this.#versions,
      basis: 'EURe=EUR 1:1',
      kraken: null,
      coingecko: null,
      fair: null,
      degraded: false,
    }
    this.#source.publish([{ topic: 'ref.market_price', venue: 'sim', payload, raw: {}, observed_at: null, correlation_id: null }])
    this.#time.after(PRICE_EVERY_MS, 'price', () => this.#publishPrice())
  }
}
