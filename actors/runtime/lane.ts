import assert from 'node:assert/strict'
import type { Address, Cause } from '#machines/contracts/stamp.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { topics } from '#machines/contracts/topics.ts'
import { Draft } from './draft.ts'
import { closeInLedger, EffectRunner } from './effects.ts'
import type { Refusal } from './effects.ts'
import { HostBroken, LaneReset, storeCode, textOf } from './faults.ts'
import { repeatedly } from './log.ts'
import type { EffectEnd, Item, PlainEvent } from './mailbox.ts'
import { Mailbox } from './mailbox.ts'
import type { LaneMemory } from './memory.ts'
import { addressOf, remember } from './memory.ts'
import { CLOCK_LIMIT_MS } from './ownership.ts'
import { Outbox, unpackOutbox } from './outbox.ts'
import type { Emitted } from './outbox.ts'
import type { Batch, BusReader, BusRecord, Clock, Halt, LaneStore, Log, MessageBus, Meter, OrderRow, StoreFence } from './ports.ts'
import { receive } from './receive.ts'
import type { Start } from './recovering.ts'
import type { ServiceDefinition, Tables } from './service.ts'
import { effectBody, timerBody, Turns } from './turns.ts'
import type { Machine, MachineState } from './xstate.ts'

export interface LaneOptions {
  readonly service: string
  readonly definition: ServiceDefinition
  readonly machines: ReadonlyMap<string, Machine>
  readonly codeHash: Uint8Array
  readonly release: string
  readonly store: LaneStore
  readonly bus: MessageBus
  readonly reader: BusReader
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
  readonly tables: Tables
  readonly partitionOf: (laneKey: string) => number
  /** by the monotonic clock: the last successful renewal was issued less than the lease minus its margin ago */
  readonly leaseIsFresh: () => boolean
  /** fixed actors whose state stays in memory */
  readonly watch: readonly Address[]
  readonly cacheBytes: number
  readonly timerWindow: number
  readonly fence?: StoreFence
  /** why the store is not trusted; nothing `ask first` leaves, and nothing is armed, until a person has reconciled */
  readonly disagreement: string | null
  /** The lane is no longer ours, or never will work here; it has already stopped. */
  readonly onLost: (lane: number, why: string) => void
  readonly onWentBack: (at: { lane: number; incarnation: string }, why: string) => void
  readonly onBroken: (error: HostBroken) => void
  readonly onCommitted: (lane: number, orderIds: readonly number[]) => void
  /** committed records, about to be published */
  readonly onEmitted?: (records: readonly Emitted[]) => void
  /** An arm order later than what shut the gate has been committed. */
  readonly onGateOpened: () => void
}

/** What shut the send gate of a process: a disarm order, and when by our clock; without an id its row could not be written. */
export interface GateShut {
  readonly orderId: number | null
  readonly atMs: number
}

/** What kept a batch from being committed. */
type Committed = 'done' | 'lost' | 'refused'

export const LIFECYCLE: Address = { kind: 'lifecycle', key: 'lane' }
const ARM_KEY = 'arm'
const OUTBOX_LIMIT_BYTES = 8 * 1024 * 1024
const IDLE_POSITION_MS = 1_000
const RETRY_MS = 50
/** With this much waiting the next batch is computed while one commits; below it, waiting gathers larger batches. */
const COMPUTE_AHEAD_EVENTS = 256

/**
 * A lane while it is owned: gather, turn, commit, release, and again.
 *
 * L1. At most one batch is in commit and one in computation; nothing of either leaves before its own commit.
 * L2. Numbers are dense: a batch number is used again only after a definite refusal.
 * L3. A refused batch throws the memory away; its events return in their order.
 * L4. Whoever finds a newer epoch drops the lane and touches nothing any more.
 */
export class Lane {
  readonly lane: number
  readonly epoch: number
  readonly #options: LaneOptions
  readonly #mailbox = new Mailbox()
  readonly #outbox: Outbox
  readonly #effects: EffectRunner
  readonly #counters = new Map<string, number>()
  /** What is said to others is committed: fixed actors by address, and the next offset by topic. */
  readonly #shown = new Map<string, { state: unknown; context: unknown }>()
  readonly #storedNext = new Map<string, number>()
  /** topic → where its partition ended when it was last read */
  readonly #ends = new Map<string, number>()
  readonly #workTopics: readonly TopicName[]
  /** always in memory: the life cycle, and what `/state` shows */
  readonly #fixed: ReadonlySet<string>
  #memory: LaneMemory
  #turns: Turns
  #entered: Start['entered']
  #state: 'running' | 'draining' | 'closed' = 'running'
  #wake: () => void = () => {}
  #woken = false
  #cancelTimer: () => void = () => {}
  #cancelIdle: () => void = () => {}
  #storedPublished: number
  #limit = Number.POSITIVE_INFINITY
  #suspects = 0
  #poison: { item: Item; why: string } | null = null
  #armed = false
  #gateShut: GateShut | null = null
  #disagreement: { detail: string; since_ms: number } | null
  #heldForWater = false
  #loop: Promise<void> = Promise.resolve()
  lastCommitMs = 0
  committedTurn: number

  constructor(start: Start, options: LaneOptions) {
    const { recovered } = start
    this.#options = options
    this.lane = recovered.lane.lane
    this.epoch = recovered.lane.epoch
    this.committedTurn = recovered.lane.turn
    this.#storedPublished = recovered.lane.published
    this.#entered = start.entered
    this.#disagreement = options.disagreement === null ? null : { detail: options.disagreement, since_ms: options.clock.wallMs() }
    this.#workTopics = (Object.keys(options.definition.inputs) as TopicName[]).filter((topic) => topics[topic].work)
    this.#fixed = new Set([LIFECYCLE, ...options.watch].map(addressOf))
    this.#memory = { ...remember(recovered, options.cacheBytes, this.#fixed), halted: start.halted }
    this.#unstoredHalt = start.halted !== recovered.lane.halted
    this.#turns = this.#newTurns()
    this.#outbox = new Outbox({
      source: `${options.service}/${this.lane}`,
      published: recovered.lane.published,
      bus: options.bus,
      clock: options.clock,
      log: options.log,
      meter: options.meter,
      onPublished: () => {
        this.#positionMoved()
        // What waited because too much was waiting for Kafka may go on.
        if (this.#mailbox.length > 0) this.#wakeUp()
      },
    })
    this.#effects = new EffectRunner({
      definition: options.definition,
      lane: this.lane,
      clock: options.clock,
      log: options.log,
      meter: options.meter,
      refusal: (notAfterMs) => this.#refusal(notAfterMs),
      ended: (end) => this.#add({ from: 'effect', end }),
    })
    for (const row of recovered.outbox) this.#outbox.add(row.batch, row.incarnation, unpackOutbox(row.blob))
  }

  // --- life ---

  /** Starts delivery and the loop; what an earlier owner left open is taken up first. */
  async start(first: readonly { to: Address; event: PlainEvent }[]): Promise<void> {
    await this.#turns.prefetch([LIFECYCLE, ...this.#options.watch])
    if (!this.#isOpen()) return
    this.#showStored()
    for (const row of [...this.#memory.effects.values()]) this.#effects.takeOver(row)
    for (const { to, event } of first) this.#add({ from: 'tell', to, event, cause: null })
    const { reader } = this.#options
    reader.take(this.lane, Object.fromEntries([...this.#memory.inputs.values()].map(({ topic, next }) => [topic, next])))
    for (const topic of this.#memory.inputs.keys()) if (this.#isHeld(topic)) reader.hold(this.lane, topic)
    this.#loop = this.#run()
  }

  /** Ends by itself: nothing new, what is under way finishes, the lane is given back. */
  async drain(waitMs: number): Promise<void> {
    if (this.#state !== 'running') return this.#loop
    const { reader, clock, store, service, log } = this.#options
    this.#state = 'draining'
    reader.leave(this.lane)
    for (const topic of this.#memory.inputs.keys()) this.#mailbox.dropRecords(topic)
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => (cancel = clock.after(waitMs, resolve)))
    const inOrder = async (): Promise<void> => {
      // The last turns may send once more, and what that brings is taken too.
      for (let round = 0; round < 2; round++) {
        await this.#idle()
        await this.#effects.settled()
      }
      await this.#idle()
      await this.#outbox.drained()
      await this.#idle()
    }
    await Promise.race([inOrder(), late])
    cancel()
    if (!this.#isOpen()) return
    this.#close()
    await this.#loop
    await store.release(service, this.lane, this.epoch).catch((error: unknown) => {
      log.warn({ event: 'lane.release_failed', lane: this.lane }, textOf(error))
    })
  }

  /** Stops at once and touches nothing any more (L4). */
  drop(why: string): void {
    if (!this.#isOpen()) return
    this.#options.log.warn(
      { event: 'lane.dropped', lane: this.lane, epoch: this.epoch },
      `lane ${this.#options.service}/${this.lane}: ${why}`,
    )
    this.#close()
    this.#options.onLost(this.lane, why)
  }

  #close(): void {
    this.#state = 'closed'
    this.#options.reader.leave(this.lane)
    this.#turns.discard()
    this.#effects.close()
    this.#outbox.close()
    this.#cancelTimer()
    this.#cancelIdle()
    this.#notifyIdle()
    this.#wakeUp()
  }

  #isOpen(): boolean {
    return this.#state !== 'closed'
  }

  // --- what arrives ---

  /** @param end one above the partition's last record */
  records(topic: string, records: readonly BusRecord[], end: number): void {
    this.#ends.set(topic, end)
    for (const record of records) this.#mailbox.add({ from: 'record', record })
    if (this.#mailbox.full && !this.#heldForWater) {
      this.#heldForWater = true
      for (const input of this.#memory.inputs.keys()) this.#options.reader.hold(this.lane, input)
    }
    this.#count(`fetched.${topic}`, records.length)
    this.#wakeUp()
  }

  gap(topic: string, expected: number, found: number): void {
    const since_ms = this.#options.clock.wallMs()
    this.#halt({
      topic,
      code: found < expected ? 'TOPIC_RECREATED' : 'OFFSET_LOST',
      detail: `${topic}: expected offset ${expected}, found ${found}`,
      since_ms,
    })
  }

  tell(to: Address, event: PlainEvent): void {
    this.#add({ from: 'tell', to, event, cause: null })
  }

  order(order: OrderRow): void {
    this.#add({ from: 'order', order })
  }

  hurry(effect: string): boolean {
    this.#effects.hurry(effect)
    return this.#effects.has(effect)
  }

  /** The lease was renewed: what it held back may go. */
  renewed(): void {
    this.#effects.renewed()
  }

  /** Nothing `ask first` leaves from now on, until an arm order later than this is committed. */
  shutGate(shut: GateShut): void {
    this.#gateShut = shut
  }

  #add(item: Item): void {
    if (!this.#isOpen()) return
    this.#mailbox.add(item)
    this.#wakeUp()
  }

  #wakeUp(): void {
    this.#woken = true
    this.#wake()
  }

  // --- the loop ---

  async #run(): Promise<void> {
    let inCommit: { draft: Draft; done: Promise<Committed> } | null = null
    while (this.#isOpen()) {
      // Only between two batches: while one is in commit, the store knows other timers than the memory does.
      if (!inCommit && this.#memory.timers.wantsMore) await this.#fillTimers()
      const draft: Draft | 'refused' | null = await this.#compute()
      if (inCommit) {
        const outcome: Committed = await inCommit.done
        const refused: Draft = inCommit.draft
        inCommit = null
        if (outcome === 'lost') return
        if (outcome === 'refused') {
          await this.#startAgain([refused, draft])
          continue
        }
      }
      if (draft === 'refused') await this.#startAgain([])
      else if (draft) {
        inCommit = { draft, done: this.#commit(draft) }
        if (this.#mailbox.length < COMPUTE_AHEAD_EVENTS || this.#memory.timers.wantsMore) {
          const outcome: Committed = await inCommit.done
          inCommit = null
          if (outcome === 'lost') return
          if (outcome === 'refused') await this.#startAgain([draft])
        }
      } else if (this.#isOpen()) await this.#sleep()
    }
  }

  async #sleep(): Promise<void> {
    if (this.#woken) {
      this.#woken = false
      return
    }
    this.#notifyIdle()
    this.#armTimer()
    await new Promise<void>((resolve) => (this.#wake = resolve))
    this.#wake = () => {}
    this.#woken = false
  }

  #idleWaiters: (() => void)[] = []
  #idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve)
      this.#wakeUp()
    })
  }

  #notifyIdle(): void {
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }

  #armTimer(): void {
    this.#cancelTimer()
    const { timers } = this.#memory
    const due = timers.nextDueMs()
    if (due === null || this.#state !== 'running') return
    // A window that could not be read is not asked for again at once.
    const atLeastMs = timers.wantsMore ? RETRY_MS * 4 : 0
    this.#cancelTimer = this.#options.clock.after(Math.max(atLeastMs, due - this.#options.clock.wallMs()), () => this.#wakeUp())
  }

  // --- gather and turn ---

  async #compute(): Promise<Draft | 'refused' | null> {
    for (;;) {
      const items = this.#gather()
      if (items.length === 0 && this.#entered.length === 0 && !this.#unstoredHalt && !this.#positionDue) return null
      this.#memory.nowMs = Math.max(this.#memory.nowMs, this.#options.clock.wallMs())
      const draft = new Draft(this.#memory.batch + 1, this.#memory.nowMs)
      draft.items.push(...items)
      for (const { topic } of this.#entered) draft.inputs.set(topic, this.#memory.inputs.get(topic)!)
      if (this.#unstoredHalt) draft.halted = this.#memory.halted
      try {
        await this.#take(draft, items)
      } catch (error) {
        return this.#notComputed(draft, error)
      }
      if (draft.empty && !this.#positionDue) continue
      this.#memory.batch = draft.batch
      this.#positionDue = false
      return draft
    }
  }

  #notComputed(draft: Draft, error: unknown): 'refused' | null {
    if (!this.#isOpen()) return null
    const code = storeCode(error)
    if (code === 'broken_contract') {
      this.#broken(`batch ${draft.batch}`, error)
      return null
    }
    if (!(error instanceof LaneReset) && !code) this.#refusedFor(draft, textOf(error))
    this.#mailbox.putBack(draft.items)
    return 'refused'
  }

  #gather(): Item[] {
    const { clock, reader } = this.#options
    const { timers } = this.#memory
    if (this.#state === 'running') for (const timer of timers.due(clock.wallMs(), 512)) this.#mailbox.add({ from: 'timer', timer })
    const items = this.#mailbox.take(this.#limit, this.#outbox.waitingBytes > OUTBOX_LIMIT_BYTES ? 'orders' : undefined)
    if (this.#heldForWater && this.#mailbox.low && this.#state === 'running') {
      this.#heldForWater = false
      for (const topic of this.#memory.inputs.keys()) if (!this.#isHeld(topic)) reader.resume(this.lane, topic)
    }
    return items
  }

  async #fillTimers(): Promise<void> {
    const { store, service, timerWindow, log } = this.#options
    const { timers } = this.#memory
    if (!timers.horizon) return
    try {
      const rows = await store.timers(service, this.lane, timers.horizon, timerWindow)
      timers.fill(rows, rows.length === timerWindow)
    } catch (error) {
      log.warn({ event: 'lane.timers_not_read', lane: this.lane }, textOf(error))
    }
  }

  async #take(draft: Draft, items: readonly Item[]): Promise<void> {
    const steps = items.map((item) => this.#read(draft, item)).filter((step) => step !== null)
    await this.#turns.prefetch(steps.flatMap(({ to }) => (to ? [to] : []))).catch((error: unknown) => {
      // One snapshot that cannot be loaded is its own actor's trouble: each turn loads for itself and parks.
      const code = storeCode(error)
      if (error instanceof LaneReset || (code && code !== 'bad_data')) throw error
    })
    for (const { run } of steps) await run()
  }

  #read(draft: Draft, item: Item): { to: Address | null; run: () => Promise<void> } | null {
    switch (item.from) {
      case 'record':
        return this.#readRecord(draft, item.record, item)
      case 'order':
        return { to: LIFECYCLE, run: () => this.#takeOrder(draft, item, item.order) }
      case 'tell':
        return { to: item.to, run: () => this.#deliver(draft, item, item.to, item.event, item.cause, 'tell from this process') }
      case 'timer': {
        const { timer } = item
        return { to: timer, run: () => this.#takeTimer(draft, item, timer) }
      }
      case 'effect':
        return { to: item.end.row, run: () => this.#takeEffectEnd(draft, item, item.end) }
    }
  }

  #readRecord(draft: Draft, record: BusRecord, item: Item): { to: Address | null; run: () => Promise<void> } | null {
    const input = this.#memory.inputs.get(record.topic)
    if (!input || record.offset < input.next || this.#isHeld(record.topic)) return null
    const { received, stamped } = receive(record, this.#memory, this.#options.definition, this.#options.partitionOf)
    if (received.is === 'gap') {
      this.#halt({ topic: record.topic, code: 'POSITION_LOST', detail: received.detail, since_ms: draft.nowMs })
      draft.halted = this.#memory.halted
      return null
    }
    const moved = { ...input, next: record.offset + 1 }
    this.#memory.inputs.set(record.topic, moved)
    draft.inputs.set(record.topic, moved)
    if (stamped) {
      const { source, incarnation, position } = stamped
      draft.marks.set(
        `${record.topic}\n${source}\n${incarnation}`,
        this.#memory.marks.take(record.topic, source, incarnation, position, record.offset),
      )
    }
    const origin = `record ${record.topic}/${record.partition}@${record.offset}`
    switch (received.is) {
      case 'repeat':
        this.#count(`repeated.${record.topic}`)
        return null
      case 'unwanted':
        return null
      case 'unreadable':
        return { to: null, run: async () => this.#turns.parkWithoutActor(draft, origin, record.value ?? new Uint8Array(0), received.why) }
      case 'event': {
        const { to, event, history } = received.routed
        if (history) draft.history.push(history)
        return { to, run: () => this.#deliver(draft, item, to, event, received.cause, origin, record.timestampMs) }
      }
    }
  }

  #deliver(
    draft: Draft,
    item: Item,
    to: Address,
    event: PlainEvent,
    cause: Cause | null,
    origin: string,
    publishedMs: number | null = null,
  ): Promise<void> {
    if (this.#poison?.item !== item) return this.#turns.deliver(draft, to, event, cause, origin, publishedMs)
    draft.history.length = 0
    this.#turns.parkPoisoned(draft, to, origin, event, `storage refused it: ${this.#poison.why}`)
    return Promise.resolve()
  }

  async #takeTimer(draft: Draft, item: Item, timer: Extract<Item, { from: 'timer' }>['timer']): Promise<void> {
    if (!this.#memory.timers.isCurrent(timer)) return this.#count('timers.stale')
    this.#memory.timers.cancel(timer)
    draft.cancelTimer(timer)
    this.#options.meter.observe('unrip_timer_late_seconds', (draft.nowMs - timer.dueMs) / 1_000)
    const { event, cause } = timerBody(timer)
    await this.#deliver(draft, item, timer, event, cause, `timer ${timer.timer}`)
  }

  async #takeEffectEnd(draft: Draft, item: Item, end: EffectEnd): Promise<void> {
    if (!closeInLedger(draft, this.#memory.effects, end)) return this.#count('effects.stale_end')
    this.#count(`effect.${end.event.type}`)
    await this.#deliver(draft, item, end.row, end.event, effectBody(end.row).cause, `effect ${end.row.effect}`)
  }

  // --- orders ---

  async #takeOrder(draft: Draft, item: Item, order: OrderRow): Promise<void> {
    const poison = this.#poison?.item === item ? this.#poison.why : null
    const answer = poison ? { outcome: 'refused', detail: poison } : await this.#carryOut(draft, order)
    draft.orders.push({ id: order.id, answer })
    const cause = { event_id: `order:${order.id}`, correlation_id: null }
    const { by, reason, body } = order
    const payload = {
      order_id: String(order.id),
      service: this.#options.service,
      order: body.order,
      by,
      reason,
      lane: this.lane,
      outcome: answer.outcome,
    }
    this.#turns.announce(draft, 'ctl.operator_command', `order-${order.id}`, { payload, venue: 'unrip' }, cause)
    draft.released.push(() => this.#orderCommitted(order))
  }

  async #carryOut(draft: Draft, order: OrderRow): Promise<{ outcome: string; detail?: string; state?: unknown }> {
    if (order.expiresAtMs !== null && order.expiresAtMs < draft.nowMs) return { outcome: 'expired' }
    const { order: name, ...rest } = order.body
    if (name === 'accept-loss') return this.#acceptLoss(draft)
    if (name === 'reconcile') return this.#reconcile()
    if (name === 'arm' && this.#disagreement) return { outcome: 'refused', detail: this.#disagreement.detail }
    const own = name === 'pause' || name === 'resume'
    const kind = own ? { to: LIFECYCLE, type: `order.${name}` } : this.#options.definition.orders[name]
    if (!kind) return { outcome: 'refused', detail: `${this.#options.service} knows no order ${name}` }
    const turn = this.#memory.turn + 1
    const event = { ...rest, type: kind.type, by: order.by, reason: order.reason, order_id: String(order.id) }
    await this.#turns.deliver(draft, kind.to, event, { event_id: `order:${order.id}`, correlation_id: null }, `order ${order.id}`)
    if (own) this.#followLifecycle()
    // Only the order's own turn: whom its actor told may be parked, and that refuses nothing.
    const refused = draft.parked.find((parked) => parked.turn === turn)
    if (refused) return { outcome: 'refused', detail: refused.cause }
    const state = this.#memory.cache.get(addressOf(kind.to))?.state.value ?? null
    const expected = own ? undefined : this.#options.definition.orders[name]?.expects
    if (expected !== undefined && state !== expected) return { outcome: 'refused', detail: `it is ${String(state)} and not ${expected}` }
    return { outcome: 'taken', state }
  }

  #orderCommitted(order: OrderRow): void {
    const shut = this.#gateShut
    // Without a number only the clocks can tell, and they may differ by so much.
    const isLater = shut && (shut.orderId === null ? order.atMs > shut.atMs + CLOCK_LIMIT_MS : order.id > shut.orderId)
    if (order.body.order !== 'arm' || !isLater) return
    this.#gateShut = null
    this.#options.onGateOpened()
  }

  get #paused(): boolean {
    return this.#memory.cache.get(addressOf(LIFECYCLE))?.state.value === 'paused'
  }

  #followLifecycle(): void {
    for (const topic of this.#workTopics) {
      if (this.#paused) {
        this.#options.reader.hold(this.lane, topic)
        this.#mailbox.dropRecords(topic)
      } else if (!this.#isHeld(topic)) this.#options.reader.resume(this.lane, topic, this.#memory.inputs.get(topic)?.next)
    }
  }

  #isHeld(topic: string): boolean {
    const work = (this.#workTopics as readonly string[]).includes(topic)
    const { halted } = this.#memory
    return (work && this.#paused) || (halted !== null && (halted.topic === topic || work))
  }

  // --- halt ---

  #unstoredHalt = false
  #positionDue = false

  #halt(halt: Halt): void {
    if (this.#memory.halted) return
    this.#memory.halted = halt
    this.#unstoredHalt = true
    this.#options.log.error({ event: 'lane.halted', lane: this.lane, code: halt.code, topic: halt.topic }, halt.detail)
    this.#holdForHalt(halt)
    this.#wakeUp()
  }

  #holdForHalt({ topic }: Halt): void {
    for (const input of this.#memory.inputs.keys()) {
      if (input !== topic && !(this.#workTopics as readonly string[]).includes(input)) continue
      this.#options.reader.hold(this.lane, input)
      this.#mailbox.dropRecords(input)
    }
  }

  /** An operator says that what is lost is lost: the offset is set to what the log has, each mark may jump once. */
  async #acceptLoss(draft: Draft): Promise<{ outcome: string; detail?: string }> {
    const { halted } = this.#memory
    if (!halted?.topic) return { outcome: 'taken', detail: 'not halted by an input' }
    const end = (await this.#options.reader.ends(this.lane)).find(({ topic }) => topic === halted.topic)
    const input = this.#memory.inputs.get(halted.topic)
    if (!end || !input) return { outcome: 'refused', detail: `${halted.topic} is not there` }
    const isAnother = halted.code === 'TOPIC_RECREATED' || input.next < end.low || input.next > end.high
    const next = isAnother ? end.low : input.next
    // As if the lane had entered here: a source whose first record is among what is lost may begin anywhere, too.
    const moved = { ...input, next, entered: Math.max(1, next), enteredAtMs: draft.nowMs }
    this.#memory.inputs.set(halted.topic, moved)
    draft.inputs.set(halted.topic, moved)
    for (const row of this.#memory.marks.letJump(halted.topic)) draft.marks.set(`${row.topic}\n${row.source}\n${row.incarnation}`, row)
    this.#memory.halted = null
    draft.halted = null
    // All of them: a second input may have met its own gap while the lane was halted for the first, and will meet it again.
    for (const [topic, { next: from }] of this.#memory.inputs) {
      if (!this.#isHeld(topic)) this.#options.reader.resume(this.lane, topic, from)
    }
    return { outcome: 'taken', detail: `${halted.topic} goes on at ${next}` }
  }

  /** An operator takes the store as it is. Remembered before it is committed: the lane's own epoch fences what could come between. */
  #reconcile(): { outcome: string; detail?: string } {
    if (!this.#disagreement) return { outcome: 'taken', detail: 'nothing disagrees' }
    const { fence } = this.#options
    try {
      const { lane, epoch, incarnation, turn } = this.#memory
      fence?.accept({ lane, epoch, incarnation, turn })
    } catch (error) {
      return { outcome: 'refused', detail: textOf(error) }
    }
    this.#disagreement = null
    return { outcome: 'taken' }
  }

  // --- commit and release ---

  async #commit(draft: Draft): Promise<Committed> {
    let batch: Batch
    try {
      batch = this.#seal(draft)
    } catch (error) {
      return this.#refusedFor(draft, textOf(error))
    }
    const { store, service, clock, log, meter } = this.#options
    const begun = clock.monotonicMs()
    for (let tries = 1; this.#isOpen(); tries++) {
      try {
        await store.commit(service, batch)
        if (!this.#isOpen()) return 'lost'
        meter.observe('unrip_commit_duration_seconds', (clock.monotonicMs() - begun) / 1_000)
        this.#released(draft, batch)
        return 'done'
      } catch (error) {
        switch (storeCode(error)) {
          case 'unknown':
          case 'unavailable':
            meter.count('unrip_batches_total', 1, { result: 'repeated' })
            repeatedly(log, tries)({ event: 'lane.commit_repeat', lane: this.lane, batch: batch.batch, tries }, textOf(error))
            await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
            break
          case 'bad_data':
            return this.#refusedFor(draft, textOf(error))
          case 'went_back':
            this.drop(textOf(error))
            this.#options.onWentBack({ lane: this.lane, incarnation: this.#memory.incarnation }, textOf(error))
            return 'lost'
          case 'stale_epoch':
            this.drop(textOf(error))
            return 'lost'
          default:
            this.#broken(`batch ${batch.batch}`, error)
            return 'lost'
        }
      }
    }
    return 'lost'
  }

  #broken(what: string, error: unknown): void {
    const { service, onBroken } = this.#options
    onBroken(new HostBroken(`lane ${service}/${this.lane}, ${what}: ${textOf(error)}`, { cause: error }))
    this.drop('the store refused what it must take')
  }

  /** Before the next batch's first turn: the memory's turn is this draft's last. */
  #seal(draft: Draft): Batch {
    assert.equal(draft.batch, this.#memory.batch)
    const { release, codeHash } = this.#options
    return draft.seal({ lane: this.lane, epoch: this.epoch, turn: this.#memory.turn, published: this.#outbox.published, release, codeHash })
  }

  /** Halves what is tried until the one event is found that storage will not take; that one is parked. */
  #refusedFor(draft: Draft, why: string): Committed {
    const events = draft.items.length
    this.#options.meter.count('unrip_batches_total', 1, { result: 'refused' })
    this.#options.log.error({ event: 'lane.batch_refused', lane: this.lane, batch: draft.batch, events }, why)
    if (events <= 1) this.#poison = draft.items[0] ? { item: draft.items[0], why } : null
    this.#limit = Math.max(1, Math.ceil(events / 2))
    this.#suspects = events
    return 'refused'
  }

  async #startAgain(drafts: readonly (Draft | 'refused' | null)[]): Promise<void> {
    const { store, service, clock, log, timerWindow, cacheBytes } = this.#options
    this.#mailbox.putBack(drafts.flatMap((draft) => (draft instanceof Draft ? draft.items : [])))
    this.#turns.discard()
    for (let tries = 1; this.#isOpen(); tries++) {
      try {
        const recovered = await store.recover(service, this.lane, this.epoch, timerWindow)
        if (!this.#isOpen()) return
        // A halt that is not stored yet stays one; an accepted loss that was refused with its batch is a halt again.
        const halted = this.#memory.halted ?? recovered.lane.halted
        this.#memory = { ...remember(recovered, cacheBytes, this.#fixed), halted }
        this.#unstoredHalt = halted !== recovered.lane.halted
        for (const input of this.#entered) this.#memory.inputs.set(input.topic, input)
        this.#turns = this.#newTurns()
        await this.#turns.prefetch([LIFECYCLE, ...this.#options.watch])
        return this.#showStored()
      } catch (error) {
        if (storeCode(error) === 'stale_epoch') return this.drop(textOf(error))
        if (storeCode(error) === 'broken_contract') return this.#broken('its recovery', error)
        repeatedly(log, tries)({ event: 'lane.recover_failed', lane: this.lane, tries }, textOf(error))
        await new Promise<void>((resolve) => clock.after(RETRY_MS * 4, resolve))
      }
    }
  }

  #released(draft: Draft, batch: Batch): void {
    const { meter, reader, onCommitted, onEmitted, clock, log } = this.#options
    this.lastCommitMs = clock.wallMs()
    this.committedTurn = batch.turn
    this.#storedPublished = batch.published
    this.#suspects = Math.max(0, this.#suspects - draft.items.length)
    if (this.#suspects === 0) this.#limit = Number.POSITIVE_INFINITY
    this.#poison = null
    this.#memory.cache.settle(new Map([...draft.touched].map(([address, { actor }]) => [address, actor])))
    for (const [address, { actor }] of draft.touched) if (this.#fixed.has(address)) this.#show(address, actor.state)
    for (const { topic, next } of draft.inputs.values()) this.#storedNext.set(topic, next)
    const gate = this.#options.definition.gate
    const arm = gate && draft.touched.get(addressOf({ kind: gate.kind, key: ARM_KEY }))
    if (arm) this.#armed = arm.actor.state.value === 'armed'
    if (draft.emitted.length > 0) {
      this.#outbox.add(draft.batch, this.#memory.incarnation, draft.emitted)
      onEmitted?.(draft.emitted)
    }
    for (const { kind, key, cause, origin } of draft.parked)
      log.warn({ event: 'event.parked', lane: this.lane, actor: `${kind}/${key}`, origin }, cause)
    for (const row of draft.effects.values()) {
      if (row.state === 'void') this.#effects.stop(row.effect)
      else if (this.#effects.has(row.effect)) continue
      else if (row.state === 'pending') this.#effects.start(row)
      else if (row.state === 'uncertain') this.#effects.takeOver({ ...row, state: 'pending' })
    }
    for (const release of draft.released) release()
    this.#entered = this.#entered.filter(({ topic }) => !draft.inputs.has(topic))
    if (draft.halted !== undefined && draft.halted === this.#memory.halted) this.#unstoredHalt = false
    if (draft.inputs.size > 0)
      reader.commit(this.lane, Object.fromEntries([...draft.inputs.values()].map(({ topic, next }) => [topic, next])))
    for (const { outcome } of batch.journal) meter.count('unrip_turns_total', 1, { outcome: OUTCOMES[outcome] })
    meter.count('unrip_batches_total', 1, { result: 'committed' })
    meter.observe('unrip_batch_turns', batch.journal.length)
    onCommitted(
      this.lane,
      batch.orders.map(({ id }) => id),
    )
    this.#positionMoved()
  }

  /** An idle lane writes how far it has published in an empty batch, so that a successor repeats little. */
  #positionMoved(): void {
    this.#cancelIdle()
    if (!this.#isOpen() || this.#outbox.published <= this.#storedPublished) return
    this.#cancelIdle = this.#options.clock.after(this.#state === 'draining' ? 0 : IDLE_POSITION_MS, () => {
      this.#positionDue = this.#outbox.published > this.#storedPublished
      this.#wakeUp()
    })
  }

  // --- what others ask ---

  #refusal(notAfterMs: number | null): Refusal {
    if (!this.#isOpen() || !this.#options.leaseIsFresh()) return 'lease'
    if (this.#options.definition.gate && (!this.#armed || this.#gateShut || this.#disagreement)) return 'disarmed'
    if (notAfterMs !== null && this.#options.clock.wallMs() > notAfterMs) return 'too late'
    return null
  }

  /** The committed state of a fixed actor; null: it has none yet. */
  peek(address: Address): { state: unknown; context: unknown } | null {
    return this.#shown.get(addressOf(address)) ?? null
  }

  #show(address: string, { value, context }: MachineState): void {
    this.#shown.set(address, { state: value, context })
  }

  /** Right after a recovery: what is in memory is what is stored. */
  #showStored(): void {
    for (const address of this.#fixed) {
      const found = this.#memory.cache.get(address)
      if (found) this.#show(address, found.state)
    }
    for (const { topic, next } of this.#memory.inputs.values()) this.#storedNext.set(topic, next)
  }

  describe(): LaneView {
    const { halted, effects, timers, parkedActors, cache } = this.#memory
    return {
      lane: this.lane,
      epoch: this.epoch,
      incarnation: this.#memory.incarnation,
      turn: this.committedTurn,
      batch: this.#memory.batch,
      paused: this.#paused,
      halted,
      disagreement: this.#disagreement,
      mailbox: this.#mailbox.length,
      timers: timers.size,
      effects: [...effects.values()].map(({ name, state }) => ({ name, state })),
      parked_actors: parkedActors.size,
      outbox_bytes: this.#outbox.waitingBytes,
      inputs: Object.fromEntries(this.#storedNext),
      lag: Object.fromEntries([...this.#storedNext].map(([topic, next]) => [topic, Math.max(0, (this.#ends.get(topic) ?? next) - next)])),
      cache: { bytes: cache.bytes, hits: cache.hits, misses: cache.misses },
      gate: this.#options.definition.gate ? { armed: this.#armed, shut: this.#gateShut !== null } : null,
      counters: Object.fromEntries(this.#counters),
      last_commit_ms: this.lastCommitMs,
    }
  }

  #newTurns(): Turns {
    const { service, definition, machines, tables, partitionOf, store } = this.#options
    return new Turns(this.#memory, {
      service,
      definition,
      machines,
      tables,
      partitionOf,
      load: (addresses) => store.load(service, this.lane, addresses),
      count: (name, n) => this.#count(name, n),
    })
  }

  #count(name: string, n = 1): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + n)
  }
}

export interface LaneView {
  readonly lane: number
  readonly epoch: number
  readonly incarnation: string
  readonly turn: number
  readonly batch: number
  readonly paused: boolean
  readonly halted: Halt | null
  /** the store is not what this service remembers beside it */
  readonly disagreement: { readonly detail: string; readonly since_ms: number } | null
  readonly mailbox: number
  readonly timers: number
  readonly effects: readonly { name: string; state: string }[]
  readonly parked_actors: number
  readonly outbox_bytes: number
  /** topic → the next offset to take, as committed */
  readonly inputs: Readonly<Record<string, number>>
  /** topic → records between that and the end of the partition, as last read */
  readonly lag: Readonly<Record<string, number>>
  readonly cache: { bytes: number; hits: number; misses: number }
  readonly gate: { armed: boolean; shut: boolean } | null
  readonly counters: Readonly<Record<string, number>>
  readonly last_commit_ms: number
}

const OUTCOMES = { t: 'taken', i: 'ignored', p: 'parked', q: 'queued', d: 'dropped' } as const
