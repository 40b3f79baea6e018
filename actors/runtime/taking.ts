import type { Address, Cause } from '#machines/contracts/stamp.ts'
import type { Draft } from './draft.ts'
import { closeInLedger } from './effects.ts'
import type { Inputs } from './inputs.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'
import { EMPTY_BYTES } from './json.ts'
import type { EffectEnd, Item, PlainEvent } from './mailbox.ts'
import { LIFECYCLE } from './memory.ts'
import type { BusRecord } from './ports.ts'
import { receive } from './receive.ts'
import type { Steering } from './steering.ts'
import { effectBody, timerBody } from './bodies.ts'

/** Makes turns of what has arrived: records, due timers, finished effects, events of this process; orders go to `Steering`. */
export class Taking {
  readonly #options: LaneOptions
  readonly #now: LaneNow
  readonly #inputs: Inputs
  readonly #steering: Steering
  readonly #count: (name: string) => void

  constructor(of: { options: LaneOptions; now: LaneNow; inputs: Inputs; steering: Steering; count: (name: string) => void }) {
    this.#options = of.options
    this.#now = of.now
    this.#inputs = of.inputs
    this.#steering = of.steering
    this.#count = of.count
  }

  /** Reads an item: whom it is for, and what to run once that actor is in memory. Null: nothing. */
  read(draft: Draft, item: Item): { to: Address | null; run: () => Promise<void> } | null {
    switch (item.from) {
      case 'record':
        return this.#readRecord(draft, item.record, item)
      case 'order':
        return { to: LIFECYCLE, run: () => this.#steering.take(draft, item, item.order) }
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
    const input = this.#now.memory.inputs.get(record.topic)
    if (!input || record.offset < input.next || this.#inputs.isHeld(record.topic)) return null
    const { received, stamped } = receive(record, this.#now.memory, this.#options.definition, this.#options.partitionOf)
    if (received.is === 'gap') {
      this.#inputs.halt({ topic: record.topic, code: 'POSITION_LOST', detail: received.detail, since_ms: draft.nowMs })
      draft.halted = this.#now.memory.halted
      return null
    }
    const moved = { ...input, next: record.offset + 1 }
    this.#now.memory.inputs.set(record.topic, moved)
    draft.inputs.set(record.topic, moved)
    if (stamped) {
      const { source, incarnation, position } = stamped
      draft.marks.set(
        `${record.topic}\n${source}\n${incarnation}`,
        this.#now.memory.marks.take(record.topic, source, incarnation, position, record.offset, draft.nowMs),
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
        return {
          to: null,
          run: async () => this.#now.turns.parkWithoutActor(draft, origin, record.value ?? EMPTY_BYTES, received.why),
        }
      case 'event': {
        const { to, event, history } = received.routed
        const poison = this.#now.poison?.item === item ? this.#now.poison.why : null
        if (history && poison) {
          // It is the row that storage will not take: no fault of the actor's, whose later rows go on.
          const why = `storage refused it: ${poison}`
          return { to: null, run: async () => this.#now.turns.parkWithoutActor(draft, origin, record.value ?? EMPTY_BYTES, why) }
        }
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
    if (this.#now.poison?.item !== item) return this.#now.turns.deliver(draft, to, event, cause, origin, publishedMs)
    this.#now.turns.parkPoisoned(draft, to, origin, event, `storage refused it: ${this.#now.poison.why}`)
    return Promise.resolve()
  }

  async #takeTimer(draft: Draft, item: Item, timer: Extract<Item, { from: 'timer' }>['timer']): Promise<void> {
    if (!this.#now.memory.timers.isCurrent(timer)) return this.#count('timers.stale')
    this.#now.memory.timers.cancel(timer)
    draft.cancelTimer(timer)
    this.#options.meter.observe('unrip_timer_late_seconds', (draft.nowMs - timer.dueMs) / 1_000)
    const { event, cause } = timerBody(timer)
    await this.#deliver(draft, item, timer, event, cause, `timer ${timer.timer}`)
  }

  async #takeEffectEnd(draft: Draft, item: Item, end: EffectEnd): Promise<void> {
    if (!closeInLedger(draft, this.#now.memory.effects, end)) return this.#count('effects.stale_end')
    this.#count(`effect.${end.event.type}`)
    await this.#deliver(draft, item, end.row, end.event, effectBody(end.row).cause, `effect ${end.row.effect}`)
  }
}
