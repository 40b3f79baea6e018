import type { Address } from '#machines/contracts/stamp.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { textOf } from './faults.ts'
import { FeedSource } from './feed-source.ts'
import { firstEvents, watchedOf } from './fixed-actors.ts'
import { HeldLanes } from './held-lanes.ts'
import type { LaneView } from './lane/lane-options.ts'
import { Lane } from './lane/lane.ts'
import { tagged } from './log.ts'
import { codeHashOf, machinesOf, structuresOf } from './machine/machines.ts'
import type { PlainEvent } from './lane/mailbox.ts'
import type { Emitted } from './outbox.ts'
import { LIFECYCLE } from './lane/memory.ts'
import type { Order, Submitted } from './order-desk.ts'
import { OrderDesk } from './order-desk.ts'
import { Ownership } from './ownership.ts'
import type { BusReader, MessageBus } from './bus-port.ts'
import type { Clock, Log, Meter } from './ports.ts'
import type { Recovered } from './rows.ts'
import type { LaneStore, Renewal, StoreFence } from './store-port.ts'
import type { Away } from './reach.ts'
import { Reach } from './reach.ts'
import { examine } from './lane/recovering.ts'
import type { ServiceDefinition } from './service.ts'
import { sweeping } from './sweep.ts'
import { FollowedTables } from './tables.ts'
import type { Machine, MachineState } from './machine/xstate.ts'

export interface HostOptions {
  readonly definition: ServiceDefinition
  readonly release: string
  /** uuid of this process, drawn at its start */
  readonly process: string
  /** of its feed, newer ones sort higher; drawn at the start unless told */
  readonly incarnation?: string
  readonly store: LaneStore
  readonly bus: MessageBus
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
  /** `murmur2(lane key) % LANES` */
  readonly partitionOf: (laneKey: string) => number
  readonly wantedLanes: number
  /** the control API's address, told to the other processes */
  readonly url: () => string
  /** ends the process: what the store or the bus promised does not hold */
  readonly onBroken: (error: Error) => void
  /** where it disagrees with the store, lanes neither send nor are armed until an order `reconcile` */
  readonly fence?: StoreFence
  /** committed records of our lanes, about to be published; for the log. Must not throw */
  readonly onEmitted?: (records: readonly Emitted[]) => void
  readonly cacheBytes?: number
  readonly timerWindow?: number
  /** as of a lane's; default 256 */
  readonly computeAheadEvents?: number
}

/** A value at a time; null: never. */
export interface Seen {
  readonly at: string | null
  readonly age_ms: number | null
}

const TABLE_BACK_MS = 60_000
const DRAIN_WAIT_MS = 10_000
const TIMER_WINDOW = 10_000
const COMPUTE_AHEAD_EVENTS = 256
const CACHE_BYTES = 32 * 1024 * 1024

/**
 * A process that runs the actors of one service: it owns lanes, feeds them, steers them, and says how they stand.
 * It hands over to `Lane` for everything inside a lane and to `Ownership` for which lanes are its own.
 */
export class Host {
  readonly service: string
  readonly source: FeedSource
  readonly tables: FollowedTables
  readonly machines: ReadonlyMap<string, Machine>
  readonly #options: HostOptions
  readonly #lanes = new HeldLanes()
  readonly #orders: OrderDesk
  readonly #reach: Reach
  readonly #ownership: Ownership
  readonly #codeHash: Uint8Array
  readonly #seenAtMs = new Map<string, number>()
  #lifeMachine: Machine
  #life: MachineState
  #reader: BusReader | null = null
  #stopOrders: () => Promise<void> = async () => {}
  #draining: Promise<void> | null = null
  #stopSweeping: () => void = () => {}
  #lanesWanted = 0
  #lostEpochs = 0

  constructor(options: HostOptions) {
    const { definition } = options
    const log = tagged(options.log, { component: 'host' })
    this.#options = { ...options, log }
    this.service = definition.name
    this.#reach = new Reach(this.#options)
    this.machines = machinesOf(definition)
    this.#codeHash = codeHashOf(this.machines)
    this.tables = new FollowedTables(definition.follows, tagged(options.log, { component: 'tables' }))
    this.source = new FeedSource({ ...options, service: this.service })
    const life = this.machines.get(LIFECYCLE.kind)
    if (!life || !definition.kinds[LIFECYCLE.kind]) throw new Error(`${this.service} hosts no ${LIFECYCLE.kind}`)
    this.#lifeMachine = life
    this.#life = life.begin({ of: 'process' }).state
    this.#orders = new OrderDesk({
      ...this.#options,
      lanes: this.#lanes,
      laneCount: () => this.#lanesWanted,
      isFenced: options.fence !== undefined,
    })
    this.#ownership = new Ownership({
      ...options,
      log: tagged(options.log, { component: 'ownership' }),
      service: this.service,
      structures: structuresOf(this.machines),
      timerWindow: this.#timerWindow,
      held: () => this.#lanes.epochs(),
      onTaken: (recovered) => this.#run(recovered),
      onSurplus: (lane) => this.#giveBack(lane),
      onLost: (lane, why) => this.#lanes.get(lane)?.drop(why),
      onRenewed: (renewal) => this.#renewed(renewal),
    })
  }

  /** Resolves when this process is registered, reads, and has looked for lanes once. */
  async start(): Promise<void> {
    const { store, bus, definition, wantedLanes, onBroken } = this.#options
    const lanes = definition.lanes === 'single' ? 1 : wantedLanes
    this.#lanesWanted = await this.#patiently(() => store.lanes(this.service, lanes))
    this.#lives({ type: 'started' })
    this.#reader = await bus.reader({
      service: this.service,
      inputs: Object.keys(definition.inputs),
      tables: this.tables.topics,
      tableBackMs: TABLE_BACK_MS,
      inBulk: definition.readsInBulk ?? false,
      onRecords: (lane, topic, records, end) => {
        this.#seenAtMs.set(topic, this.#options.clock.wallMs())
        this.#lanes.get(lane)?.records(topic, records, end)
      },
      onTable: (record) => {
        this.#seenAtMs.set(record.topic, this.#options.clock.wallMs())
        this.tables.take(record)
      },
      onGap: (lane, topic, expected, found) => this.#lanes.get(lane)?.gap(topic, expected, found),
      onFailure: onBroken,
    })
    const moved = (): void => this.#orders.moved()
    this.#stopOrders = await this.#patiently(() => store.onOrder(this.service, moved))
    await this.#patiently(() => this.#ownership.start())
    if (!this.#draining) this.#stopSweeping = sweeping({ ...this.#options, lanes: this.#lanes })
    this.#lives({ type: 'recovered' })
  }

  #patiently<T>(work: () => Promise<T>): Promise<T> {
    return this.#reach.patiently(work, () => this.draining)
  }

  // --- lanes ---

  async #run(recovered: Recovered): Promise<void> {
    const { definition, release, clock, store, log, meter } = this.#options
    const begunMs = clock.monotonicMs()
    if (!this.#reader || this.#draining) return store.release(this.service, recovered.lane.lane, recovered.lane.epoch)
    const start = await examine(recovered, this.#reader, definition, clock.wallMs())
    const { lane: taken, epoch } = recovered.lane
    if (this.#draining) return store.release(this.service, taken, epoch)
    if (start.wentBack) {
      // Kafka's word is newer than what we recovered: as long as the lane is still ours, nobody but the lost time can have written it.
      await store.recover(this.service, taken, epoch, 1)
      return this.#reincarnate(recovered.lane, start.wentBack)
    }
    const disagreement = this.#options.fence?.taken(recovered.lane) ?? null
    if (disagreement !== null) log.error({ event: 'store.disagrees', lane: recovered.lane.lane }, disagreement)
    const lane = new Lane(start, {
      ...this.#options,
      log: tagged(log, { component: 'lane' }),
      disagreement,
      service: this.service,
      machines: this.machines,
      codeHash: this.#codeHash,
      reader: this.#reader,
      tables: this.tables,
      leaseIsFresh: () => this.#ownership.isFresh(),
      watch: watchedOf(definition),
      cacheBytes: this.#options.cacheBytes ?? CACHE_BYTES,
      timerWindow: this.#timerWindow,
      computeAheadEvents: this.#options.computeAheadEvents ?? COMPUTE_AHEAD_EVENTS,
      onLost: (number) => this.#forget(number),
      onWentBack: (at, why) =>
        void this.#reincarnate(at, why).catch((error: unknown) => log.error({ event: 'store.reincarnate_failed' }, textOf(error))),
      onCommitted: (_, orderIds) => {
        if (orderIds.length > 0) this.#orders.wake()
      },
      onGateOpened: () => this.#orders.gateOpened(),
    })
    const { incarnation } = recovered.lane
    this.#lanes.add(lane)
    this.#orders.shutWithOthers(lane)
    try {
      await lane.start(firstEvents(definition, { release, incarnation }, disagreement))
    } catch (error) {
      lane.drop(`it could not be started: ${textOf(error)}`)
      throw error
    }
    meter.observe('unrip_lane_start_duration_seconds', (clock.monotonicMs() - begunMs) / 1_000)
    await this.#orders.bring(lane)
  }

  /** Everything that was promised after the state that storage went back to is unknown: all lanes begin again under new names. */
  async #reincarnate({ lane, incarnation }: { lane: number; incarnation: string }, why: string): Promise<void> {
    const { store, log } = this.#options
    log.error({ event: 'store.went_back', lane, incarnation }, `lane ${this.service}/${lane}: storage went back: ${why}`)
    await store.reincarnate(this.service, lane, incarnation)
  }

  async #giveBack(number: number): Promise<void> {
    const lane = this.#lanes.get(number)
    if (!lane) return
    await lane.drain(DRAIN_WAIT_MS)
    this.#lanes.retire(lane)
  }

  #forget(number: number): void {
    const lane = this.#lanes.get(number)
    if (!lane) return
    this.#lostEpochs++
    this.#options.meter.count('unrip_epochs_lost_total')
    this.#lanes.retire(lane)
  }

  #renewed(renewal: Renewal): void {
    for (const lane of this.#lanes) lane.renewed()
    for (const number of renewal.openOrders) {
      const lane = this.#lanes.get(number)
      if (lane) void this.#orders.bring(lane)
    }
  }

  // --- what it is told ---

  /** Writes an order, and answers once every addressed lane has committed it, or after `waitMs`. */
  submit(order: Order, waitMs: number): Promise<Submitted> {
    return this.#orders.submit(order, waitMs)
  }

  /** An event from this process's own connections, for an actor of the first held lane. False: no lane is held. */
  tell(to: Address, event: PlainEvent): boolean {
    return this.#lanes.tellFirst(to, event)
  }

  /** What this process has learnt, to all held lanes; whichever is taken later hears it first. */
  tellLearnt(): void {
    const learnt = this.#options.definition.learnt?.() ?? []
    for (const lane of this.#lanes) for (const { to, event } of learnt) lane.tell(to, event)
  }

  /** The oracle of this effect may know by now. False: none of our lanes has it open. */
  hurry(effect: string): boolean {
    return this.#lanes.hurry(effect)
  }

  // --- end ---

  /** Finishes what is under way, gives the lanes back, and ends. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  async #drain(): Promise<void> {
    this.#lives({ type: 'drain' })
    this.#orders.close()
    this.#stopSweeping()
    this.#ownership.drain()
    await Promise.all([...this.#lanes].map(({ lane }) => this.#giveBack(lane)))
    await Promise.race([this.source.drained(), new Promise<void>((resolve) => this.#options.clock.after(DRAIN_WAIT_MS, resolve))])
    await this.#stopOrders()
    await this.#ownership.end()
    await this.#reader?.close()
    this.source.close()
    this.#lives({ type: 'drained' })
  }

  // --- what it says of itself ---

  get draining(): boolean {
    return this.#draining !== null
  }

  /** `paused` when a lane of ours is, `recovering` while the store is not trusted; the process's own phase otherwise. */
  get lifecycle(): string {
    const phase = String(this.#life.value)
    if (phase !== 'running') return phase
    const lanes = this.lanes()
    if (lanes.some(({ paused }) => paused)) return 'paused'
    return lanes.some(({ disagreement }) => disagreement !== null) ? 'recovering' : phase
  }

  /** Orders that the runtime takes by itself, for every service. */
  get ownOrders(): readonly string[] {
    return this.#orders.ownOrders
  }

  get notLoadable(): ReadonlyMap<number, { readonly sinceMs: number; readonly structures: readonly string[] }> {
    return this.#ownership.notLoadable
  }

  get notTaken(): ReadonlyMap<number, { readonly sinceMs: number; readonly why: string }> {
    return this.#ownership.notTaken
  }

  get lostEpochs(): number {
    return this.#lostEpochs
  }

  get connected(): boolean {
    return this.#reader !== null && this.away().length === 0
  }

  /** What this process cannot reach. It stays up, owns nothing that it cannot renew, and goes on by itself. */
  away(): Away[] {
    return this.#reach.away(this.#ownership)
  }

  get wantedLanes(): number {
    return this.#lanesWanted
  }

  lanes(): LaneView[] {
    return this.#lanes.describe()
  }

  /** A fixed actor in every held lane, as committed. */
  actor(kind: string, key: string): { lane: number; state: unknown; context: unknown }[] {
    return this.#lanes.actor({ kind, key })
  }

  /** Since this process started. */
  counters(): Record<string, number> {
    const merged = this.#lanes.counts()
    if (this.source.published > 0) merged.set('feed.published', this.source.published)
    if (this.source.dropped > 0) merged.set('feed.dropped', this.source.dropped)
    for (const [topic, n] of this.tables.unreadable) merged.set(`unreadable.${topic}`, n)
    return Object.fromEntries([...merged].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  seen(topic: TopicName): Seen {
    const at = this.#seenAtMs.get(topic)
    return at === undefined ? { at: null, age_ms: null } : { at: new Date(at).toISOString(), age_ms: this.#options.clock.wallMs() - at }
  }

  lastCommitMs(): number | null {
    return this.#lanes.lastCommitMs()
  }

  get #timerWindow(): number {
    return this.#options.timerWindow ?? TIMER_WINDOW
  }

  #lives(event: { type: string }): void {
    if (this.#life.status === 'active') this.#life = this.#lifeMachine.turn(this.#life, event).state
  }
}
