import type { BusRecord } from '#actors/runtime/bus-port.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import type { StoredLane } from '../../twins/store-lane.ts'
import type { Cast, Part, Sending, Stage } from '../cast.ts'
import type { SimProcess } from '../process.ts'
import { Books } from './books.ts'
import { Feed } from './feed.ts'
import { definitionOf, EXECUTOR, SERVICES, STRATEGY } from './services.ts'
import { Venue } from './venue.ts'

/** Small services that do what the production ones do not: cascades that park, keys and records that storage or Kafka refuse, reads within a state. */
export class KernelCast implements Cast {
  readonly parts: readonly Part[] = SERVICES.map((service) => ({ service, lanes: 'keyed', processes: [1, 2] }))
  readonly armed = [EXECUTOR]
  readonly restless = ['ref.market_price']
  readonly survivesFailover = false
  readonly #stage: Stage
  readonly #venue: Venue
  readonly #feed: Feed
  readonly #log: BusRecord[] = []
  onSend: (sending: Sending) => void = () => {}

  constructor(stage: Stage) {
    const { time, random, bus, lanes, partitionOf, store } = stage
    this.#stage = stage
    this.#venue = new Venue(time, random)
    this.#venue.onSend = ({ effect, command_id }, process) => {
      const stored = Array.from({ length: lanes }, (_, lane) => store.lane(EXECUTOR, lane)).some(({ effects }) => effects.has(effect))
      this.onSend({ process, service: EXECUTOR, command_id, effect: stored ? effect : undefined })
    }
    this.#feed = new Feed({ time, random, bus, pairs: ['A', 'B', 'C', 'D'], lanes, partitionOf, log: stage.logOf('feed') })
  }

  order(): ReturnType<Cast['order']> {
    const order = this.#stage.random.pick(['limit', 'nonsense'])
    return { service: STRATEGY, order, arguments: order === 'limit' ? { limit: this.#stage.random.between(0, 10) } : {} }
  }

  definition(service: string, process: SimProcess): ServiceDefinition {
    return definitionOf(service, process, this.#venue)
  }

  began(): void {}

  stir(): void {
    this.#feed.demand()
  }

  upset(): void {
    this.#feed.restart()
  }

  committed(): void {}

  appended(record: BusRecord): void {
    this.#log.push(record)
  }

  wentBack(): void {}

  unfinished(_: string, { actors, parked }: StoredLane): string[] {
    return [...actors.values()].flatMap(({ kind, key, status }) =>
      (kind === 'quote' || kind === 'command') && status === 'active' && !parked.some((row) => row.kind === kind && row.key === key)
        ? [`${kind}/${key} is active`]
        : [],
    )
  }

  wrong(): string[] {
    const { store, lanes } = this.#stage
    return new Books({ store, log: this.#log, venue: this.#venue, lanes, unreadable: this.#feed.unreadable }).wrong()
  }

  counts(): Record<string, number> {
    const of = (name: TopicName): number => this.#log.filter(({ topic }) => topic === name).length
    const [demands, commands, results] = [of('norm.swap_demand'), of('cmd.execute_trade'), of('exec.trade_result')]
    return { demands, commands, results, sends: this.#venue.sends.length, settled: this.#venue.settled.size }
  }
}
