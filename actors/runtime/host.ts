import type { Address } from '#machines/contracts/stamp.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { FeedSource } from './feed-source.ts'
import type { GateShut } from './gate.ts'
import { storeCode, textOf } from './faults.ts'
import type { LaneView } from './lane-options.ts'
import { Lane } from './lane.ts'
import { repeatedly, tagged } from './log.ts'
import { codeHashOf, machinesOf, structuresOf } from './machines.ts'
import type { PlainEvent } from './mailbox.ts'
import type { Emitted } from './outbox.ts'
import { LIFECYCLE } from './memory.ts'
import { Ownership } from './ownership.ts'
import type { BusReader, Clock, LaneStore, Log, MessageBus, Meter, Recovered, Renewal, StoreFence } from './ports.ts'
import { examine } from './recovering.ts'
import type { OrderKind, ServiceDefinition } from './service.ts'
import { FollowedTables } from './tables.ts'
import type { Machine, MachineState } from './xstate.ts'

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
}

/** A value at a time; null: never. */
export interface Seen {
  readonly at: string | null
  readonly age_ms: number | null
}

export type Submitted =
  | { readonly outcome: 'done'; readonly id: string; readonly answers: readonly { lane: number; answer: object }[] }
  | { readonly outcome: 'pending'; readonly id: string }
  | { readonly outcome: 'refused'; readonly code: string; readonly message: string }
  | { readonly outcome: 'unavailable'; readonly message: string }
  | { readonly outcome: 'draining' }

export interface Away {
  readonly code: 'DATABASE_UNREACHABLE' | 'KAFKA_UNREACHABLE'
  readonly sinceMs: number
  readonly detail: string
}

const TABLE_BACK_MS = 60_000
const START_RETRY_MS = 500
/** A reader that fetches nothing still has a heartbeat every three seconds. */
const BUS_SILENT_MS = 7_000
const ORDER_EXPIRY_MS = 10_000
const ORDER_POLL_MS = 250
const DRAIN_WAIT_MS = 10_000
const SWEEP_EVERY_MS = 600_000
/** Of each kind a step: a statement of some 50 ms. */
const SWEEP_ROWS = 2_000
const SWEEP_STEP_MS = 500

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
  readonly #lanes = new Map<number, Lane>()
  readonly #ownership: Ownership
  readonly #codeHash: Uint8Array
  readonly #seenAtMs = new Map<string, number>()
  readonly #gone = new Map<string, number>()
  #lifeMachine: Machine
  #life: MachineState
  #reader: BusReader | null = null
  #stopOrders: () => Promise<void> = async () => {}
  #orderWaiters = new Set<() => void>()
  #draining: Promise<void> | null = null
  #cancelSweep: () => void = () => {}
  #lanesWanted = 0
  #lostEpochs = 0
  /** The gate is the process's: a lane that is taken anew finds it as it was. */
  #gateShut: GateShut | null = null

  /** before the first lease; from then on the lease tells */
  #storeAway: { readonly sinceMs: number; readonly detail: string } | null = null
  readonly #begunMs: number

  constructor(options: HostOptions) {
    const { definition } = options
    this.#options = { ...options, log: tagged(options.log, { component: 'host' }) }
    this.service = definition.name
    this.#begunMs = options.clock.wallMs()
    this.machines = machinesOf(definition)
    this.#codeHash = codeHashOf(this.machines)
    this.tables = new FollowedTables(definition.follows, tagged(options.log, { component: 'tables' }))
    this.source = new FeedSource({ ...options, service: this.service })
    const { kinds } = definition
    const life = this.machines.get(LIFECYCLE.kind)
    if (!life || !kinds[LIFECYCLE.kind]) throw new Error(`${this.service} hosts no ${LIFECYCLE.kind}`)
    this.#lifeMachine = life
    this.#life = life.begin({ of: 'process' }).state
    this.#ownership = new Ownership({
      ...options,
      log: tagged(options.log, { component: 'ownership' }),
      service: this.service,
      structures: structuresOf(this.machines),
      timerWindow: this.#timerWindow,
      held: () => new Map([...this.#lanes.values()].map(({ lane, epoch }) => [lane, epoch])),
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
    const moved = (): void => this.#ordersMoved()
    this.#stopOrders = await this.#patiently(() => store.onOrder(this.service, moved))
    await this.#patiently(() => this.#ownership.start())
    this.#sweepLater(SWEEP_EVERY_MS)
    this.#lives({ type: 'recovered' })
  }

  /** Tries again what a store that is away could not do; what it refuses is thrown. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const { clock, log } = this.#options
    for (let tries = 1; ; tries++) {
      try {
        const done = await work()
        if (this.#storeAway) log.info({ event: 'database.recovered', tries }, 'the database answers')
        this.#storeAway = null
        return done
      } catch (error) {
        const code = storeCode(error)
        if (this.#draining || (code !== 'unavailable' && code !== 'unknown')) throw error
        repeatedly(log, tries)({ event: tries === 1 ? 'database.lost' : 'database.still_lost', tries }, textOf(error))
        this.#storeAway = { sinceMs: this.#storeAway?.sinceMs ?? clock.wallMs(), detail: textOf(error) }
        await new Promise<void>((resolve) => clock.after(START_RETRY_MS, resolve))
      }
    }
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
      cacheBytes: this.#options.cacheBytes ?? 32 * 1024 * 1024,
      timerWindow: this.#timerWindow,
      onLost: (number) => this.#forget(number),
      onWentBack: (at, why) =>
        void this.#reincarnate(at, why).catch((error: unknown) => log.error({ event: 'store.reincarnate_failed' }, textOf(error))),
      onCommitted: (_, orderIds) => {
        if (orderIds.length > 0) this.#wakeOrderWaiters()
      },
      onGateOpened: () => (this.#gateShut = null),
    })
    const { incarnation } = recovered.lane
    this.#lanes.set(lane.lane, lane)
    if (this.#gateShut) lane.shutGate(this.#gateShut)
    try {
      await lane.start(firstEvents(definition, { release, incarnation }, disagreement))
    } catch (error) {
      lane.drop(`it could not be started: ${textOf(error)}`)
      throw error
    }
    meter.observe('unrip_lane_start_duration_seconds', (clock.monotonicMs() - begunMs) / 1_000)
    await this.#fetchOrders(lane)
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
    this.#retire(lane)
  }

  #forget(number: number): void {
    const lane = this.#lanes.get(number)
    if (!lane) return
    this.#lostEpochs++
    this.#options.meter.count('unrip_epochs_lost_total')
    this.#retire(lane)
  }

  /** Counters of a lane that went stay counted. */
  #retire(lane: Lane): void {
    if (this.#lanes.get(lane.lane) !== lane) return
    this.#lanes.delete(lane.lane)
    for (const [name, n] of Object.entries(lane.describe().counters)) this.#gone.set(name, (this.#gone.get(name) ?? 0) + n)
  }

  #renewed(renewal: Renewal): void {
    for (const lane of this.#lanes.values()) lane.renewed()
    for (const number of renewal.openOrders) {
      const lane = this.#lanes.get(number)
      if (lane) void this.#fetchOrders(lane)
    }
  }

  /** What ended longer ago than its retention goes, a little at a time: the next step follows soon while there is more. */
  #sweepLater(inMs: number): void {
    const { clock, store, definition, log } = this.#options
    const step = async (): Promise<number> => {
      const gone = await store.sweep(this.service, clock.wallMs() - definition.retainEndedMs, SWEEP_ROWS)
      if (gone >= SWEEP_ROWS) return SWEEP_STEP_MS
      for (const lane of this.#lanes.values()) await lane.sweepMarks()
      return SWEEP_EVERY_MS
    }
    this.#cancelSweep = clock.after(inMs, () => {
      step()
        .catch((error: unknown) => {
          log.warn({ event: 'store.not_swept' }, textOf(error))
          return SWEEP_EVERY_MS
        })
        .then((nextMs) => this.draining || this.#sweepLater(nextMs))
    })
  }

  // --- orders ---

  #ordersMoved(): void {
    for (const lane of this.#lanes.values()) void this.#fetchOrders(lane)
    this.#wakeOrderWaiters()
  }

  async #fetchOrders(lane: Lane): Promise<void> {
    try {
      for (const order of await this.#options.store.orders(this.service, lane.lane)) lane.order(order)
    } catch (error) {
      // They are looked for again at the next renewal.
      this.#options.log.warn({ event: 'orders.not_read', lane: lane.lane }, textOf(error))
    }
  }

  #wakeOrderWaiters(): void {
    for (const wake of [...this.#orderWaiters]) wake()
  }

  /** Writes the order, and answers once every addressed lane has committed it, or after `waitMs`. */
  async submit(
    order: { order: string; by: string; reason: string; arguments: Readonly<Record<string, unknown>> },
    waitMs: number,
  ): Promise<Submitted> {
    const kind: OrderKind | undefined = this.#options.definition.orders[order.order]
    if (this.#draining) {
      // Its last sends may still be under way: they stop, though the order itself is the successor's.
      if (kind?.shutsGate) this.#shutGate(null)
      return { outcome: 'draining' }
    }
    if (!kind && !this.ownOrders.includes(order.order)) {
      return { outcome: 'refused', code: 'unknown_order', message: `${this.service} takes no order ${order.order}` }
    }
    const distrusted = order.order === 'arm' ? this.lanes().find(({ disagreement }) => disagreement !== null) : undefined
    if (distrusted?.disagreement) {
      const { lane, disagreement } = distrusted
      return { outcome: 'refused', code: 'STATE_DISAGREES', message: `lane ${lane}: ${disagreement.detail}; only after an order reconcile` }
    }
    const { lane: only } = order.arguments
    if (typeof only === 'number' && only >= this.#lanesWanted)
      return { outcome: 'refused', code: 'NO_SUCH_LANE', message: `${this.service} has no lane ${only}; it has ${this.#lanesWanted}` }
    // In memory and at once, before the row: a disarm must hold even where it cannot be written.
    if (kind?.shutsGate) this.#shutGate(null)
    const { store, log } = this.#options
    let id: number
    try {
      const body = { ...(kind?.namesRelease ? { release: this.#options.release } : {}), ...order.arguments, order: order.order }
      const expiresInMs = kind?.expiresInMs ?? (order.order === 'arm' ? ORDER_EXPIRY_MS : null)
      const lane = typeof only === 'number' ? { lane: only } : {}
      ;({ id } = await store.insertOrder(this.service, { by: order.by, reason: order.reason, body, expiresInMs, ...lane }))
    } catch (error) {
      log.error({ event: 'order.not_written', order: order.order }, textOf(error))
      return {
        outcome: 'unavailable',
        message: `the order could not be written${kind?.shutsGate ? '; the gate of this process is shut all the same' : ''}`,
      }
    }
    if (kind?.shutsGate) this.#shutGate(id)
    log.info({ event: 'order.written', order: order.order, by: order.by, order_id: id }, order.reason)
    for (const lane of this.#lanes.values()) void this.#fetchOrders(lane)
    return this.#answered(id, waitMs)
  }

  async #answered(id: number, waitMs: number): Promise<Submitted> {
    const { store, clock, log } = this.#options
    const until = clock.monotonicMs() + waitMs
    for (;;) {
      const answers = await store.orderAnswers(this.service, id).catch((error: unknown): { lane: number; answer: object | null }[] => {
        log.warn({ event: 'order.answers_not_read', order_id: id }, textOf(error))
        return []
      })
      const done = answers.flatMap(({ lane, answer }) =>
        answer ? [{ lane, answer: answer as { outcome?: string; detail?: string } }] : [],
      )
      if (answers.length > 0 && done.length === answers.length) {
        const refused = done.find(({ answer }) => answer.outcome === 'refused' || answer.outcome === 'expired')
        if (!refused) {
          // The store's answer can be faster than our own commit's: the state that goes with it must show the order.
          const shown = Promise.all([...this.#lanes.values()].map((lane) => lane.committed()))
          await Promise.race([shown, new Promise<void>((resolve) => clock.after(ORDER_POLL_MS, resolve))])
          return { outcome: 'done', id: String(id), answers: done }
        }
        const { outcome, detail } = refused.answer
        return {
          outcome: 'refused',
          code: `order_${outcome ?? 'refused'}`,
          message: `order ${id}, lane ${refused.lane}: ${detail ?? outcome}`,
        }
      }
      const left = until - clock.monotonicMs()
      if (left <= 0) return { outcome: 'pending', id: String(id) }
      await this.#orderMoved(Math.min(left, ORDER_POLL_MS))
    }
  }

  #shutGate(orderId: number | null): void {
    this.#gateShut = { orderId, atMs: this.#options.clock.wallMs() }
    for (const lane of this.#lanes.values()) lane.shutGate(this.#gateShut)
  }

  #orderMoved(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#orderWaiters.delete(wake)
        cancel()
        resolve()
      }
      const cancel = this.#options.clock.after(atMostMs, wake)
      this.#orderWaiters.add(wake)
    })
  }

  // --- feeds ---

  /** An event from this process's own connections, for an actor of the first held lane. False: no lane is held. */
  tell(to: Address, event: PlainEvent): boolean {
    const lane = this.#lanes.values().next().value
    lane?.tell(to, event)
    return lane !== undefined
  }

  /** The oracle of this effect may know by now. False: none of our lanes has it open. */
  hurry(effect: string): boolean {
    return [...this.#lanes.values()].some((lane) => lane.hurry(effect))
  }

  // --- end ---

  /** Finishes what is under way, gives the lanes back, and ends. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  async #drain(): Promise<void> {
    this.#lives({ type: 'drain' })
    this.#cancelSweep()
    this.#ownership.drain()
    await Promise.all([...this.#lanes.keys()].map((lane) => this.#giveBack(lane)))
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
    return ['pause', 'resume', 'accept-loss', 'replay-dead-letters', 'drop-dead-letters', ...(this.#options.fence ? ['reconcile'] : [])]
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
    const { clock, bus } = this.#options
    const nowMs = clock.wallMs()
    const { failures, renewedAtMs, lastError } = this.#ownership
    const store = this.#storeAway ?? (failures > 0 ? { sinceMs: renewedAtMs ?? nowMs, detail: lastError } : null)
    const heardAtMs = bus.heardAtMs ? (bus.heardAtMs() ?? this.#begunMs) : nowMs
    return [
      ...(store ? [{ code: 'DATABASE_UNREACHABLE', ...store } as const] : []),
      ...(nowMs - heardAtMs > BUS_SILENT_MS
        ? [{ code: 'KAFKA_UNREACHABLE', sinceMs: heardAtMs, detail: 'no broker answers' } as const]
        : []),
    ]
  }

  get wantedLanes(): number {
    return this.#lanesWanted
  }

  lanes(): LaneView[] {
    return [...this.#lanes.values()].sort((a, b) => a.lane - b.lane).map((lane) => lane.describe())
  }

  /** A fixed actor in every held lane, as committed. */
  actor(kind: string, key: string): { lane: number; state: unknown; context: unknown }[] {
    return [...this.#lanes.values()].flatMap((lane) => {
      const found = lane.peek({ kind, key })
      return found ? [{ lane: lane.lane, ...found }] : []
    })
  }

  /** Since this process started. */
  counters(): Record<string, number> {
    const merged = new Map(this.#gone)
    for (const lane of this.#lanes.values()) {
      for (const [name, n] of Object.entries(lane.describe().counters)) merged.set(name, (merged.get(name) ?? 0) + n)
    }
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
    const last = Math.max(0, ...[...this.#lanes.values()].map((lane) => lane.lastCommitMs))
    return last > 0 ? last : null
  }

  get #timerWindow(): number {
    return this.#options.timerWindow ?? 10_000
  }

  #lives(event: { type: string }): void {
    if (this.#life.status === 'active') this.#life = this.#lifeMachine.turn(this.#life, event).state
  }
}

/** What a lane hears first from each new owner. */
const firstEvents = (
  { gate, configure }: ServiceDefinition,
  running: { release: string; incarnation: string },
  disagreement: string | null,
): { to: Address; event: PlainEvent }[] => {
  const arm = gate ? [{ kind: gate.kind, key: 'arm' }] : []
  return [
    ...arm.map((to) => ({ to, event: { type: 'released', ...running } })),
    // An arm that came back with the store is nobody's any more.
    ...(disagreement === null
      ? []
      : arm.map((to) => ({ to, event: { type: 'order.disarm', by: 'fence', reason: disagreement, order_id: '' } }))),
    ...configure.map(({ to, type, values }) => ({ to, event: { ...values, type } })),
  ]
}

const watchedOf = ({ configure, orders, gate, watch }: ServiceDefinition): Address[] => {
  const all = [
    ...configure.map(({ to }) => to),
    ...Object.values(orders).map(({ to }) => to),
    ...(gate ? [{ kind: gate.kind, key: 'arm' }] : []),
    ...(watch ?? []),
  ]
  return [...new Map(all.map((address) => [`${address.kind}/${address.key}`, address])).values()]
}
