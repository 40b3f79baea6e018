import type { Address } from '#machines/contracts/stamp.ts'
import type { BusRecord } from '../bus-port.ts'
import type { Committed } from './committing.ts'
import { Committing } from './committing.ts'
import { Draft } from './draft.ts'
import { EffectRunner } from './effects.ts'
import { LaneReset, storeCode, textOf } from '../faults.ts'
import type { GateShut } from './gate.ts'
import { Gate } from './gate.ts'
import { Gathering } from './gathering.ts'
import { Inputs } from './inputs.ts'
import { LaneLife } from './lane-life.ts'
import type { LaneNow, LaneOptions, LaneView } from './lane-options.ts'
import { LaneReport } from './lane-report.ts'
import { LaneNews } from './lane-news.ts'
import { repeatedly } from '../log.ts'
import type { Item, PlainEvent } from './mailbox.ts'
import { Mailbox } from './mailbox.ts'
import { Outbox, unpackOutbox } from '../outbox.ts'
import { Recalling } from './recalling.ts'
import type { Start } from './recovering.ts'
import { Releasing } from './releasing.ts'
import type { Batch, OrderRow } from '../rows.ts'
import { writeUpgrades } from './snapshots-up.ts'
import { Steering } from './steering.ts'
import { Taking } from './taking.ts'

const IDLE_POSITION_MS = 1_000
const RECOVER_AGAIN_MS = 200

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
  readonly #recalling: Recalling
  readonly #now: LaneNow
  readonly #life: LaneLife
  readonly #inputs: Inputs
  readonly #gate: Gate
  readonly #outbox: Outbox
  readonly #effects: EffectRunner
  readonly #gathering: Gathering
  readonly #taking: Taking
  readonly #committing: Committing
  readonly #releasing: Releasing
  readonly #report: LaneReport
  readonly #news: LaneNews
  #wake: () => void = () => {}
  #woken = false
  #idleWaiters: (() => void)[] = []
  #cancelTimer: () => void = () => {}
  #cancelIdle: () => void = () => {}
  /** the last batch that is published, as far as that is stored */
  #storedPublished: number
  #positionDue = false
  #loop: Promise<void> = Promise.resolve()
  #inCommit: Promise<unknown> = Promise.resolve()

  constructor(start: Start, options: LaneOptions) {
    const { recovered } = start
    const { lane, epoch, published } = recovered.lane
    this.#options = options
    this.lane = lane
    this.epoch = epoch
    this.#storedPublished = published
    const [mailbox, wakeUp] = [this.#mailbox, () => this.#wakeUp()]
    const count = (name: string, n?: number): void => this.#report.count(name, n)
    this.#recalling = new Recalling(start, options, count)
    const { now, fixed } = this.#recalling
    this.#now = now
    const life = (this.#life = new LaneLife({ options, now, onClosed: () => this.#closed() }))
    const inputs = (this.#inputs = new Inputs({ start, options, now, mailbox, wakeUp }))
    const gate = (this.#gate = new Gate(options, now))
    const outbox = (this.#outbox = new Outbox({
      source: `${options.service}/${lane}`,
      published,
      bus: options.bus,
      clock: options.clock,
      log: options.log,
      meter: options.meter,
      onPublished: () => {
        this.#positionMoved()
        // What waited because too much was waiting for Kafka may go on.
        if (mailbox.length > 0) wakeUp()
      },
    }))
    const effects = (this.#effects = new EffectRunner({
      definition: options.definition,
      lane,
      clock: options.clock,
      log: options.log,
      meter: options.meter,
      refusal: (notAfterMs) => (life.isOpen ? gate.refusal(notAfterMs) : 'lease'),
      ended: (end) => this.#add({ from: 'effect', end }),
    }))
    const steering = new Steering({ lane, options, now, inputs, gate })
    this.#report = new LaneReport({ now, fixed, inputs, gate, mailbox, outbox })
    this.#news = new LaneNews(options.service, now)
    this.#gathering = new Gathering({ options, now, life, mailbox, inputs, outbox, wakeUp })
    this.#taking = new Taking({ options, now, inputs, steering, count })
    this.#releasing = new Releasing({ options, now, inputs, gate, outbox, effects })
    this.#committing = new Committing({ options, now, life, outbox, onDone: (draft, batch) => this.#committed(draft, batch) })
    for (const row of recovered.outbox) outbox.add(row.batch, row.incarnation, unpackOutbox(row.blob), row.blob)
  }

  // --- life ---

  /** Starts delivery and the loop; what an earlier owner left open is taken up first. */
  async start(first: readonly { to: Address; event: PlainEvent }[]): Promise<void> {
    await this.#recalling.actors()
    if (!this.#life.isOpen) return
    this.#report.recovered()
    for (const row of [...this.#now.memory.effects.values()]) this.#effects.takeOver(row)
    for (const { to, event } of first) this.#add({ from: 'tell', to, event, cause: null })
    this.#inputs.begin()
    this.#loop = this.#run()
  }

  /** Ends by itself: nothing new, what is under way finishes, the lane is given back. */
  async drain(waitMs: number): Promise<void> {
    if (!this.#life.isRunning) return this.#loop
    const { clock, store, service, log } = this.#options
    this.#life.drain()
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
    if (!this.#life.isOpen) return
    this.#life.close()
    await this.#loop
    await store.release(service, this.lane, this.epoch).catch((error: unknown) => {
      log.warn({ event: 'lane.release_failed', lane: this.lane }, textOf(error))
    })
  }

  /** Stops at once and touches nothing any more (L4). */
  drop(why: string): void {
    this.#life.drop(why)
  }

  #closed(): void {
    this.#now.turns.discard()
    this.#effects.close()
    this.#outbox.close()
    this.#cancelTimer()
    this.#cancelIdle()
    this.#notifyIdle()
    this.#wakeUp()
  }

  // --- what arrives ---

  /** @param end one above the partition's last record */
  records(topic: string, records: readonly BusRecord[], end: number): void {
    for (const record of records) this.#mailbox.add({ from: 'record', record })
    this.#inputs.rose()
    this.#report.fetched(topic, records.length, end)
    this.#wakeUp()
  }

  /**
   * Marks that no record can come for any more go, from the store and from memory: those of topics that are read to their end.
   * What is not read yet may hold a later record of a source that is gone.
   */
  async sweepMarks(): Promise<void> {
    const { store, service, reader } = this.#options
    const ends = await reader.ends(this.lane)
    if (!this.#life.isOpen) return
    const read = ends.filter(({ topic, high }) => this.#report.nextOffset(topic) >= high)
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
    this.#news.look(this.#options.clock.wallMs())
    if (this.#news.isAny) this.#wakeUp()
  }

  /** Nothing `ask first` leaves from now on, until an arm order later than this is committed. */
  shutGate(shut: GateShut): void {
    this.#gate.shut(shut)
  }

  #add(item: Item): void {
    if (!this.#life.isOpen) return
    this.#mailbox.add(item)
    this.#wakeUp()
  }

  #wakeUp(): void {
    this.#woken = true
    this.#wake()
  }

  // --- the loop ---

  /** Resolves when what is in commit now has ended: what the lane says of itself then includes it. */
  async committed(): Promise<void> {
    await this.#inCommit
  }

  async #run(): Promise<void> {
    let inCommit: { draft: Draft; done: Promise<Committed> } | null = null
    while (this.#life.isOpen) {
      this.#gathering.readTimers(this.#inCommit)
      if (!inCommit && this.#now.memory.parked.anyUnderWay) await this.#gathering.readLetters()
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
        inCommit = { draft, done: this.#committing.commit(draft) }
        this.#inCommit = inCommit.done
        if (this.#gathering.waiting < this.#options.computeAheadEvents || this.#now.memory.parked.anyUnderWay) {
          const outcome: Committed = await inCommit.done
          inCommit = null
          if (outcome === 'lost') return
          if (outcome === 'refused') await this.#startAgain([draft])
        }
      } else if (this.#life.isOpen) await this.#sleep()
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
    if (due === null || !this.#life.isRunning) return
    this.#cancelTimer = this.#options.clock.after(Math.max(0, due - this.#options.clock.wallMs()), () => this.#wakeUp())
  }

  // --- gather and turn ---

  async #compute(): Promise<Draft | 'refused' | null> {
    for (;;) {
      const items = this.#gathering.next(this.#committing.limit)
      const { upgrades } = this.#now.memory
      const isDue = this.#inputs.isUnstored || this.#positionDue
      if (items.length + upgrades.length === 0 && !isDue && !this.#news.isAny) return null
      this.#now.memory.nowMs = Math.max(this.#now.memory.nowMs, this.#options.clock.wallMs())
      const draft = new Draft(this.#now.memory.batch + 1, this.#now.memory.nowMs)
      draft.items.push(...items)
      writeUpgrades(this.#now.memory, draft)
      this.#inputs.store(draft)
      try {
        await this.#take(draft, items)
        this.#news.tell(draft)
      } catch (error) {
        return this.#notComputed(draft, error)
      }
      if (draft.empty && !this.#positionDue) continue
      this.#now.memory.batch = draft.batch
      this.#positionDue = false
      return draft
    }
  }

  #notComputed(draft: Draft, error: unknown): 'refused' | null {
    if (!this.#life.isOpen) return null
    const code = storeCode(error)
    if (code === 'broken_contract') {
      this.#life.broken(`batch ${draft.batch}`, error)
      return null
    }
    if (!(error instanceof LaneReset) && !code) this.#committing.refused(draft, textOf(error))
    this.#mailbox.putBack(draft.items)
    return 'refused'
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

  /** A batch was refused: from its first event on all is computed again (L3). */
  async #startAgain(drafts: readonly (Draft | 'refused' | null)[]): Promise<void> {
    const { store, service, clock, log, timerWindow } = this.#options
    this.#gathering.putBack(drafts.flatMap((draft) => (draft instanceof Draft ? draft.items : [])))
    this.#now.turns.discard()
    for (let tries = 1; this.#life.isOpen; tries++) {
      try {
        const recovered = await store.recover(service, this.lane, this.epoch, timerWindow)
        if (!this.#life.isOpen) return
        const { lane } = recovered
        const { batch } = this.#committing
        if (lane.batch < batch) return this.#life.wentBack(`batch ${batch} was committed, and the last is ${lane.batch}`)
        this.#recalling.again(recovered)
        this.#inputs.recalled(lane.halted)
        await this.#recalling.actors()
        return this.#report.recovered()
      } catch (error) {
        if (storeCode(error) === 'stale_epoch') return this.drop(textOf(error))
        if (storeCode(error) === 'broken_contract') return this.#life.broken('its recovery', error)
        repeatedly(log, tries)({ event: 'lane.recover_failed', lane: this.lane, tries }, textOf(error))
        await new Promise<void>((resolve) => clock.after(RECOVER_AGAIN_MS, resolve))
      }
    }
  }

  #committed(draft: Draft, batch: Batch): void {
    this.#storedPublished = batch.published
    this.#report.committed(draft, batch, this.#options.clock.wallMs())
    this.#releasing.release(draft, batch)
    this.#positionMoved()
  }

  /** An idle lane writes how far it has published in an empty batch, so that a successor repeats little. */
  #positionMoved(): void {
    this.#cancelIdle()
    if (!this.#life.isOpen || this.#outbox.published <= this.#storedPublished) return
    this.#cancelIdle = this.#options.clock.after(IDLE_POSITION_MS, () => {
      this.#positionDue = this.#outbox.published > this.#storedPublished
      this.#wakeUp()
    })
  }

  // --- what others ask ---

  /** The committed state of a fixed actor; null: it has none yet. */
  peek(address: Address): { state: unknown; context: unknown } | null {
    return this.#report.peek(address)
  }

  describe(): LaneView {
    return this.#report.describe()
  }

  get lastCommitMs(): number {
    return this.#report.lastCommitMs
  }
}
