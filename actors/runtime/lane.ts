import assert from 'node:assert/strict'
import type { Address } from '#machines/contracts/stamp.ts'
import { Draft } from './draft.ts'
import { EffectRunner } from './effects.ts'
import { HostBroken, LaneReset, storeCode, textOf } from './faults.ts'
import type { GateShut } from './gate.ts'
import { Gate } from './gate.ts'
import { Inputs } from './inputs.ts'
import type { LaneNow, LaneOptions, LaneView } from './lane-options.ts'
import { repeatedly } from './log.ts'
import { news, overdueOf, stateRecord } from './lane-state.ts'
import type { Item, PlainEvent } from './mailbox.ts'
import { Mailbox } from './mailbox.ts'
import type { LaneMemory } from './memory.ts'
import { addressOf, LIFECYCLE, remember } from './memory.ts'
import { Outbox, unpackOutbox } from './outbox.ts'
import type { BusRecord } from './bus-port.ts'
import type { Batch, EffectRow, OrderRow } from './rows.ts'
import type { Start } from './recovering.ts'
import { writeUpgrades } from './snapshots-up.ts'
import { Steering } from './steering.ts'
import { Taking } from './taking.ts'
import { Turns } from './turns.ts'
import type { MachineState } from './xstate.ts'

/** What kept a batch from being committed. */
type Committed = 'done' | 'lost' | 'refused'

const ARM_KEY = 'arm'
const OUTBOX_LIMIT_BYTES = 8 * 1024 * 1024
const IDLE_POSITION_MS = 1_000
const RETRY_MS = 50
const RECALLED_AT_ONCE = 1_000
/** Parked events a batch, and what else may come in with them: so they end, however much of it comes. */
const LETTERS = 512
const BESIDE_LETTERS = 256

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
  /** always in memory: the life cycle, and what `/state` shows */
  readonly #fixed: ReadonlySet<string>
  readonly #now: LaneNow
  readonly #inputs: Inputs
  readonly #gate: Gate
  readonly #taking: Taking
  #entered: Start['entered']
  #state: 'running' | 'draining' | 'closed' = 'running'
  #wake: () => void = () => {}
  #woken = false
  #cancelTimer: () => void = () => {}
  #cancelIdle: () => void = () => {}
  #storedPublished: number
  #limit = Number.POSITIVE_INFINITY
  #suspects = 0
  #positionDue = false
  /** effects whose outcome should be known, as of the last renewal */
  #overdue: readonly EffectRow[] = []
  /** parked events whose turn it is, read for the next batch */
  #letters: Item[] = []
  #loop: Promise<void> = Promise.resolve()
  lastCommitMs = 0
  committedTurn: number
  #committedBatch: number

  constructor(start: Start, options: LaneOptions) {
    const { recovered } = start
    this.#options = options
    this.lane = recovered.lane.lane
    this.epoch = recovered.lane.epoch
    this.committedTurn = recovered.lane.turn
    this.#committedBatch = recovered.lane.batch
    this.#storedPublished = recovered.lane.published
    this.#entered = start.entered
    this.#fixed = new Set([LIFECYCLE, ...options.watch].map(addressOf))
    const memory = { ...remember(recovered, options, this.#fixed), halted: start.halted }
    this.#now = { memory, turns: this.#newTurns(memory), poison: null }
    const unstoredHalt = start.halted !== recovered.lane.halted
    const [{ lane }, now] = [this, this.#now]
    this.#inputs = new Inputs({ lane, options, now, mailbox: this.#mailbox, unstoredHalt, wakeUp: () => this.#wakeUp() })
    this.#gate = new Gate(options, now)
    const steering = new Steering({ lane, options, now, inputs: this.#inputs, gate: this.#gate })
    this.#taking = new Taking({ options, now, inputs: this.#inputs, steering, count: (name) => this.#count(name) })
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
      refusal: (notAfterMs) => (this.#isOpen() ? this.#gate.refusal(notAfterMs) : 'lease'),
      ended: (end) => this.#add({ from: 'effect', end }),
    })
    for (const row of recovered.outbox) this.#outbox.add(row.batch, row.incarnation, unpackOutbox(row.blob))
  }

  // --- life ---

  /** Starts delivery and the loop; what an earlier owner left open is taken up first. */
  async start(first: readonly { to: Address; event: PlainEvent }[]): Promise<void> {
    await this.#recall()
    if (!this.#isOpen()) return
    this.#showStored()
    for (const row of [...this.#now.memory.effects.values()]) this.#effects.takeOver(row)
    for (const { to, event } of first) this.#add({ from: 'tell', to, event, cause: null })
    this.#inputs.begin()
    this.#loop = this.#run()
  }

  /** Brings what is always in memory, and whoever has an open effect that an older version of its machine may have asked for. */
  async #recall(): Promise<void> {
    const { watch, machines } = this.#options
    const { memory, turns } = this.#now
    await turns.prefetch([LIFECYCLE, ...watch])
    const askers = [...memory.effects.values()].filter(({ kind }) => machines.get(kind)?.lineage.hasOlder)
    for (let from = 0; from < askers.length; from += RECALLED_AT_ONCE) {
      await turns.prefetch(askers.slice(from, from + RECALLED_AT_ONCE)).catch((error: unknown) => {
        if (error instanceof LaneReset || storeCode(error)) throw error
        // One that cannot be brought up is its own actor's trouble: its effect stays as it is, and its next event parks.
        this.#options.log.error({ event: 'actor.not_upgraded', lane: this.lane }, textOf(error))
      })
    }
  }

  /** Ends by itself: nothing new, what is under way finishes, the lane is given back. */
  async drain(waitMs: number): Promise<void> {
    if (this.#state !== 'running') return this.#loop
    const { reader, clock, store, service, log } = this.#options
    this.#state = 'draining'
    reader.leave(this.lane)
    for (const topic of this.#now.memory.inputs.keys()) this.#mailbox.dropRecords(topic)
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
      // Else its successor would publish again what Kafka has.
      this.#positionDue = this.#outbox.published > this.#storedPublished
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
    this.#now.turns.discard()
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
    this.#inputs.rose()
    this.#count(`fetched.${topic}`, records.length)
    this.#wakeUp()
  }

  /**
   * Marks that no record can come for any more go, from the store and from memory: those of topics that are read to their end.
   * What is not read yet may hold a later record of a source that is gone.
   */
  async sweepMarks(): Promise<void> {
    const { store, service, reader } = this.#options
    const ends = await reader.ends(this.lane)
    if (!this.#isOpen()) return
    const read = ends.filter(({ topic, high }) => (this.#storedNext.get(topic) ?? 0) >= high)
    const low = Object.fromEntries(read.map(({ topic, low: start }) => [topic, start]))
    for (const mark of await store.sweepMarks(service, this.lane, low)) this.#now.memory.marks.forget(mark)
  }

  gap(topic: string, expected: number, found: number): void {
    const since_ms = this.#options.clock.wallMs()
    this.#inputs.halt({
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
    this.#overdue = overdueOf(this.#now.memory, this.#options.clock.wallMs())
    if (this.#news().length > 0) this.#wakeUp()
  }

  /** Nothing `ask first` leaves from now on, until an arm order later than this is committed. */
  shutGate(shut: GateShut): void {
    this.#gate.shut(shut)
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

  #committing: Promise<unknown> = Promise.resolve()

  /** Resolves when what is in commit now has ended: what the lane says of itself then includes it. */
  async committed(): Promise<void> {
    await this.#committing
  }

  async #run(): Promise<void> {
    let inCommit: { draft: Draft; done: Promise<Committed> } | null = null
    while (this.#isOpen()) {
      this.#readTimers()
      if (!inCommit && this.#now.memory.parked.anyUnderWay) await this.#readLetters()
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
        this.#committing = inCommit.done
        if (this.#mailbox.length < this.#options.computeAheadEvents || this.#now.memory.parked.anyUnderWay) {
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
    const { timers } = this.#now.memory
    const due = timers.nextDueMs()
    if (due === null || this.#state !== 'running') return
    this.#cancelTimer = this.#options.clock.after(Math.max(0, due - this.#options.clock.wallMs()), () => this.#wakeUp())
  }

  // --- gather and turn ---

  async #compute(): Promise<Draft | 'refused' | null> {
    for (;;) {
      const items = this.#gather()
      const { upgrades } = this.#now.memory
      const isDue = this.#inputs.unstoredHalt || this.#positionDue
      if (items.length + this.#entered.length + upgrades.length === 0 && !isDue && this.#news().length === 0) return null
      this.#now.memory.nowMs = Math.max(this.#now.memory.nowMs, this.#options.clock.wallMs())
      const draft = new Draft(this.#now.memory.batch + 1, this.#now.memory.nowMs)
      draft.items.push(...items)
      writeUpgrades(this.#now.memory, draft)
      for (const { topic } of this.#entered) draft.inputs.set(topic, this.#now.memory.inputs.get(topic)!)
      if (this.#inputs.unstoredHalt) draft.halted = this.#now.memory.halted
      try {
        await this.#take(draft, items)
        this.#tellNews(draft)
      } catch (error) {
        return this.#notComputed(draft, error)
      }
      if (draft.empty && !this.#positionDue) continue
      this.#now.memory.batch = draft.batch
      this.#positionDue = false
      return draft
    }
  }

  #news(): ReturnType<typeof news> {
    return news(this.#now.memory, this.#overdue)
  }

  /** Whoever watches over the services learns it with the batch that brought it. */
  #tellNews(draft: Draft): void {
    for (const { condition, found } of this.#news()) {
      const payload = stateRecord({ service: this.#options.service, lane: this.lane }, condition, found)
      this.#now.turns.announce(draft, 'ops.lane_state', `batch-${draft.batch}-${condition}`, { payload, venue: 'unrip' }, null)
      this.#now.memory.told.set(condition, found?.key ?? '')
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
    const { clock } = this.#options
    const { timers } = this.#now.memory
    if (this.#state === 'running') for (const timer of timers.due(clock.wallMs(), 512)) this.#mailbox.add({ from: 'timer', timer })
    const items = this.#takeNext()
    if (this.#state === 'running') this.#inputs.fell()
    return items
  }

  /** Orders ahead of all; then parked events whose turn it is, ahead of what came later. */
  #takeNext(): Item[] {
    const letters = this.#letters.splice(0)
    const onlyOrders = this.#outbox.waitingBytes > OUTBOX_LIMIT_BYTES
    if (onlyOrders || letters.length === 0) return this.#mailbox.take(this.#limit, onlyOrders ? 'orders' : undefined)
    const orders = this.#mailbox.take(this.#limit, 'orders')
    const first = [...orders, ...letters.slice(0, Math.max(0, this.#limit - orders.length))]
    return [...first, ...this.#mailbox.take(Math.min(BESIDE_LETTERS, this.#limit - first.length))]
  }

  /** The rows are the queue: read while nothing is in commit they are all there is, and exactly what memory knows of. */
  async #readLetters(): Promise<void> {
    const { store, service, clock, log } = this.#options
    const { parked } = this.#now.memory
    if (this.#state !== 'running') return
    const of = parked.underWay()
    try {
      const letters = await store.letters(service, this.lane, of, LETTERS)
      const poison = this.#now.poison?.item
      this.#letters = letters.map((letter): Item => {
        return poison?.from === 'letter' && poison.letter.turn === letter.turn ? poison : { from: 'letter', letter }
      })
      if (letters.length > 0) return
      for (const { kind, key, turn } of of) {
        log.error({ event: 'letters.none', lane: this.lane, actor: `${kind}/${key}`, turn }, 'no row of what should be under way')
        parked.forget({ kind, key }, turn)
      }
    } catch (error) {
      log.warn({ event: 'letters.not_read', lane: this.lane }, textOf(error))
      clock.after(RETRY_MS * 4, () => this.#wakeUp())
    }
  }

  /**
   * Reads the next window beside the loop, once one is needed. What was computed until now must be stored before it is read
   * (what comes later the timers keep apart): a timer that is neither in memory nor stored yet would be lost.
   */
  #readTimers(): void {
    const { store, service, timerWindow, log, clock } = this.#options
    const { timers, upgrades } = this.#now.memory
    // What was brought up is stored under its older names until it is in a batch.
    const after = upgrades.length === 0 ? timers.read() : null
    if (!after) return
    const read = async (): Promise<void> => {
      try {
        await this.#committing
        const rows = this.#isOpen() ? await store.timers(service, this.lane, after, timerWindow) : []
        timers.bring(rows, rows.length === timerWindow)
      } catch (error) {
        if (!this.#isOpen()) return
        log.warn({ event: 'lane.timers_not_read', lane: this.lane }, textOf(error))
        await new Promise<void>((resolve) => clock.after(RETRY_MS * 4, resolve))
        timers.unread()
      }
      this.#wakeUp()
    }
    void read()
  }

  async #take(draft: Draft, items: readonly Item[]): Promise<void> {
    const steps = items.map((item) => this.#taking.read(draft, item)).filter((step) => step !== null)
    await this.#now.turns
      .prefetch(
        steps.flatMap(({ to }) => (to ? [to] : [])),
        draft,
      )
      .catch((error: unknown) => {
        // One snapshot that cannot be loaded is its own actor's trouble: each turn loads for itself and parks.
        const code = storeCode(error)
        if (error instanceof LaneReset || (code && code !== 'bad_data')) throw error
      })
    for (const { run } of steps) {
      const waits = run()
      if (waits) await waits
    }
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
            this.#wentBack(textOf(error))
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

  #wentBack(why: string): void {
    this.drop(why)
    this.#options.onWentBack({ lane: this.lane, incarnation: this.#now.memory.incarnation }, why)
  }

  #broken(what: string, error: unknown): void {
    const { service, onBroken } = this.#options
    onBroken(new HostBroken(`lane ${service}/${this.lane}, ${what}: ${textOf(error)}`, { cause: error }))
    this.drop('the store refused what it must take')
  }

  /** Before the next batch's first turn: the memory's turn is this draft's last. */
  #seal(draft: Draft): Batch {
    assert.equal(draft.batch, this.#now.memory.batch)
    const { release, codeHash } = this.#options
    return draft.seal({
      lane: this.lane,
      epoch: this.epoch,
      turn: this.#now.memory.turn,
      published: this.#outbox.published,
      release,
      codeHash,
    })
  }

  /** Halves what is tried until the one event is found that storage will not take; that one is parked. */
  #refusedFor(draft: Draft, why: string): Committed {
    const events = draft.items.length
    this.#options.meter.count('unrip_batches_total', 1, { result: 'refused' })
    this.#options.log.error({ event: 'lane.batch_refused', lane: this.lane, batch: draft.batch, events }, why)
    if (events <= 1) this.#now.poison = draft.items[0] ? { item: draft.items[0], why } : null
    this.#limit = Math.max(1, Math.ceil(events / 2))
    this.#suspects = events
    return 'refused'
  }

  async #startAgain(drafts: readonly (Draft | 'refused' | null)[]): Promise<void> {
    const { store, service, clock, log, timerWindow } = this.#options
    this.#mailbox.putBack(drafts.flatMap((draft) => (draft instanceof Draft ? draft.items : [])))
    this.#now.turns.discard()
    this.#letters = []
    for (let tries = 1; this.#isOpen(); tries++) {
      try {
        const recovered = await store.recover(service, this.lane, this.epoch, timerWindow)
        if (!this.#isOpen()) return
        const { batch } = recovered.lane
        if (batch < this.#committedBatch) return this.#wentBack(`batch ${this.#committedBatch} was committed, and the last is ${batch}`)
        // A halt that is not stored yet stays one; an accepted loss that was refused with its batch is a halt again.
        const halted = this.#now.memory.halted ?? recovered.lane.halted
        this.#now.memory = { ...remember(recovered, this.#options, this.#fixed), halted }
        this.#inputs.unstoredHalt = halted !== recovered.lane.halted
        for (const input of this.#entered) this.#now.memory.inputs.set(input.topic, input)
        this.#now.turns = this.#newTurns(this.#now.memory)
        await this.#recall()
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
    this.#committedBatch = batch.batch
    this.#storedPublished = batch.published
    this.#suspects = Math.max(0, this.#suspects - draft.items.length)
    if (this.#suspects === 0) this.#limit = Number.POSITIVE_INFINITY
    this.#now.poison = null
    this.#now.memory.cache.settle(new Map([...draft.touched].map(([address, { actor }]) => [address, actor])))
    for (const [address, { actor }] of draft.touched) if (this.#fixed.has(address)) this.#show(address, actor.state)
    for (const { topic, next } of draft.inputs.values()) this.#storedNext.set(topic, next)
    const gate = this.#options.definition.gate
    const arm = gate && draft.touched.get(addressOf({ kind: gate.kind, key: ARM_KEY }))
    if (arm) this.#gate.armed = arm.actor.state.value === 'armed'
    if (draft.emitted.length > 0) {
      this.#outbox.add(draft.batch, this.#now.memory.incarnation, draft.emitted)
      onEmitted?.(draft.emitted)
    }
    for (const { kind, key, cause, origin } of draft.parked)
      log.warn({ event: 'event.parked', lane: this.lane, actor: `${kind}/${key}`, origin }, cause)
    for (const { turn, cause, done } of draft.letters.values())
      if (done !== '' || cause !== '')
        log.info({ event: done === '' ? 'letter.parked_again' : 'letter.done', lane: this.lane, turn }, done || cause)
    for (const row of draft.effects.values()) {
      if (row.state === 'void') this.#effects.stop(row.effect)
      else if (this.#effects.has(row.effect)) continue
      else if (row.state === 'pending') this.#effects.start(row)
      else if (row.state === 'uncertain') this.#effects.takeOver({ ...row, state: 'pending' })
    }
    for (const release of draft.released) release()
    this.#entered = this.#entered.filter(({ topic }) => !draft.inputs.has(topic))
    if (draft.halted !== undefined && draft.halted === this.#now.memory.halted) this.#inputs.unstoredHalt = false
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
    this.#cancelIdle = this.#options.clock.after(IDLE_POSITION_MS, () => {
      this.#positionDue = this.#outbox.published > this.#storedPublished
      this.#wakeUp()
    })
  }

  // --- what others ask ---

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
      const found = this.#now.memory.cache.peek(address)
      if (found) this.#show(address, found.state)
    }
    for (const { topic, next } of this.#now.memory.inputs.values()) this.#storedNext.set(topic, next)
  }

  describe(): LaneView {
    const { halted, effects, timers, parked, cache, marks } = this.#now.memory
    return {
      lane: this.lane,
      epoch: this.epoch,
      incarnation: this.#now.memory.incarnation,
      turn: this.committedTurn,
      batch: this.#now.memory.batch,
      paused: this.#inputs.paused,
      halted,
      disagreement: this.#gate.disagreement,
      mailbox: this.#mailbox.length,
      timers: timers.size,
      effects: [...effects.values()].map(({ name, state, sinceMs }) => ({ name, state, since_ms: sinceMs })),
      marks: marks.describe(),
      parked_actors: parked.size,
      parked: parked.describe(),
      outbox_bytes: this.#outbox.waitingBytes,
      inputs: Object.fromEntries(this.#storedNext),
      lag: Object.fromEntries([...this.#storedNext].map(([topic, next]) => [topic, Math.max(0, (this.#ends.get(topic) ?? next) - next)])),
      cache: { bytes: cache.bytes, hits: cache.hits, misses: cache.misses },
      gate: this.#gate.describe(),
      counters: Object.fromEntries(this.#counters),
      last_commit_ms: this.lastCommitMs,
    }
  }

  #newTurns(memory: LaneMemory): Turns {
    const { service, definition, machines, tables, partitionOf, store } = this.#options
    return new Turns(memory, {
      service,
      definition,
      machines,
      tables,
      partitionOf,
      load: (addresses) => store.load(service, this.lane, addresses),
      timersOf: (addresses) => store.timersOf(service, this.lane, addresses),
      count: (name, n) => this.#count(name, n),
    })
  }

  #count(name: string, n = 1): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + n)
  }
}

const OUTCOMES = { t: 'taken', i: 'ignored', p: 'parked', q: 'queued', d: 'dropped' } as const
