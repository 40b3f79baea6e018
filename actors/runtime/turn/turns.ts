import type { Outgoing } from '#machines/contracts/actions.ts'
import type { Address, Cause } from '#machines/contracts/stamp.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import type { Draft } from '../lane/draft.ts'
import { EventRefused, LaneReset, storeCode, textOf } from '../faults.ts'
import { EMPTY_BYTES, fromBytes } from '../json.ts'
import { Loading } from './loading.ts'
import type { PlainEvent } from '../lane/mailbox.ts'
import { isFromBefore } from '../lane/marks.ts'
import type { LaneMemory } from '../lane/memory.ts'
import { addressOf } from '../lane/memory.ts'
import { hashOfPlanned, Outputs } from './outputs.ts'
import { MANGLED, withoutNul } from '../lane/parked.ts'
import type { ParkedBy } from './parking.ts'
import { NOBODY, Parking } from './parking.ts'
import type { Letter, TimerRow } from '../rows.ts'
import type { CachedActor } from '../lane/snapshot-cache.ts'
import { TurnJournal } from './turn-journal.ts'
import type { Delivery, TurnsOptions } from './turns-options.ts'
import { deliveryOf } from './turns-options.ts'
import type { Output } from '../machine/xstate-names.ts'

/**
 * Turns, one event each, in order, into a draft.
 *
 * T1. A turn knows its event (with `now` and what was attached) and its snapshot: the same input gives the same bytes.
 * T2. Every turn has a dense number and a journal row, parked and same-batch ones too.
 * T3. A turn that throws changes nothing but its journal row and the parked row.
 * T4. Messages to actors of this lane run in the same batch, at most 64 deep.
 * T5. Nothing but an order reaches an actor ahead of its parked events; each of those ends in one turn, or is parked again.
 */
export class Turns {
  readonly #memory: LaneMemory
  readonly #options: TurnsOptions
  readonly #loading: Loading
  readonly #journal: TurnJournal
  readonly #outputs: Outputs
  readonly #parking: Parking

  constructor(memory: LaneMemory, options: TurnsOptions) {
    this.#memory = memory
    this.#options = options
    this.#loading = new Loading(memory, options)
    this.#journal = new TurnJournal(options)
    this.#outputs = new Outputs(memory, options, this.#journal)
    this.#parking = new Parking(memory, options, this.#journal)
  }

  /** The memory was thrown away: whatever is being computed on it ends with `LaneReset`. */
  discard(): void {
    this.#loading.discard()
  }

  /** Brings these actors into memory, as `Loading` says. */
  prefetch(addresses: readonly Address[], draft?: Draft): Promise<void> {
    return this.#loading.prefetch(addresses, draft)
  }

  /** One event for one actor, and all that follows from it within the lane. Undefined where nothing had to be waited for. */
  deliver(
    draft: Draft,
    to: Address,
    event: PlainEvent,
    cause: Cause | null,
    origin: string,
    publishedMs: number | null = null,
  ): Promise<void> | undefined {
    const told = { to, event: this.#journal.attach(draft, event), cause, origin }
    return this.#follow(draft, [deliveryOf(told, { isOrder: origin.startsWith('order '), publishedMs })])
  }

  /**
   * A parked event once more, as a new turn: its content and cause, what is attached as of now. It is resolved with that turn, or parked
   * again in its place.
   * @param why  storage would not take what it led to: it is parked again, untried
   */
  async redeliver(draft: Draft, { turn, kind, key, origin, ordered, event: bytes }: Letter, why: string | null): Promise<void> {
    const { now: _now, id: _id, attached: _attached, cause, published_ms, ...stored } = fromBytes(bytes) as ParkedEvent
    const { event, unreadable } = this.#broughtUp({ kind, key }, stored)
    const told = { to: { kind, key }, event: this.#journal.attach(draft, event), cause, origin }
    const delivery = deliveryOf(told, { publishedMs: published_ms ?? null, letter: turn })
    this.#memory.parked.resolved(delivery.to, turn)
    this.#options.count('letters.taken')
    const at = `as turn ${this.#memory.turn + 1} at ${draft.nowIso}`
    draft.letter(turn, { done: ordered === '' ? `taken in its order ${at}` : `replayed ${at}: ${ordered}` })
    const refusal = why ?? unreadable ?? (key.includes(MANGLED) ? 'no actor can have its key' : null)
    if (refusal === null) return this.#follow(draft, [delivery])
    this.#memory.turn++
    await this.#follow(draft, this.#parking.refuse(draft, delivery, this.#stamped(draft, delivery), null, refusal))
  }

  /** As the machine at hand reads it, by whatever version of it the event was written. */
  #broughtUp(of: Address, event: PlainEvent): { event: PlainEvent; unreadable: string | null } {
    const actor = this.#memory.cache.peek(addressOf(of))
    try {
      return { event: this.#options.machines.get(of.kind)?.lineage.event(event, actor?.state ?? null) ?? event, unreadable: null }
    } catch (error) {
      return { event, unreadable: textOf(error) }
    }
  }

  /** Nearly every actor is in memory by now, and a promise a turn was a tenth of the host's time. */
  #follow(draft: Draft, deliveries: readonly Delivery[]): Promise<void> | undefined {
    const waiting = [...deliveries]
    for (let at = 0; at < waiting.length; at++) {
      const next = waiting[at]!
      const address = addressOf(next.to)
      if (this.#isMissing(next, address)) return this.#followLoaded(draft, waiting.slice(at), address)
      const led = this.#turn(draft, next, address)
      if (led.length > 0) waiting.push(...led)
    }
    return undefined
  }

  async #followLoaded(draft: Draft, [next, ...others]: readonly Delivery[], address: string): Promise<void> {
    let failed: unknown = null
    try {
      await this.prefetch([next!.to], draft)
    } catch (error) {
      failed = error
    }
    await this.#follow(draft, [...others, ...this.#turn(draft, next!, address, failed)])
  }

  #isMissing(delivery: Delivery, address: string): boolean {
    return !this.#loading.isKnown(address) && this.#options.machines.has(delivery.to.kind) && !this.#waitsBehind(delivery)
  }

  #waitsBehind({ to, isOrder, letter }: Delivery): boolean {
    return !isOrder && letter === null && this.#memory.parked.isParked(to)
  }

  /** Whether a timer is armed, also one that only the store has. What is in neither draft nor memory is stored: nothing is in commit. */
  async isArmed(draft: Draft, timer: Pick<TimerRow, 'kind' | 'key' | 'timer'>): Promise<boolean> {
    const known = draft.armed(timer) ?? this.#memory.timers.isArmed(timer)
    if (known !== null) return known
    return (await this.#loading.timersOf([timer])).some((row) => row.timer === timer.timer)
  }

  /** A record of the runtime's own, beside what machines say. It may need no turn, so its name makes its id unique. */
  announce(draft: Draft, topic: TopicName, name: string, params: Outgoing<object>, cause: Cause | null): void {
    this.#outputs.announce(draft, topic, name, params, cause)
  }

  /** A dead letter that no actor was found for. */
  parkWithoutActor(draft: Draft, origin: string, event: Uint8Array, why: string, by: ParkedBy): void {
    this.#memory.turn++
    this.#parking.row(draft, NOBODY, origin, event, why, by)
    this.#memory.parked.hold(NOBODY, this.#memory.turn, why, draft.nowMs)
    this.#journal.entry(draft, NOBODY, 0, event, null, 'p', EMPTY_BYTES)
  }

  /** One that was let go and still cannot be read: it stays where it is. */
  parkAgain(draft: Draft, { turn, event }: Letter, why: string): void {
    this.#memory.turn++
    this.#memory.parked.resolved(NOBODY, turn)
    this.#memory.parked.hold(NOBODY, turn, why, draft.nowMs)
    draft.letter(turn, { cause: withoutNul(why) })
    this.#options.count('letters.parked_again')
    this.#journal.entry(draft, NOBODY, 0, event, null, 'p', EMPTY_BYTES)
  }

  /** An event that storage would not take: parked with its actor, untried. */
  parkPoisoned(
    draft: Draft,
    { to, event, cause, origin, publishedMs, why }: Pick<Delivery, 'to' | 'event' | 'cause' | 'origin' | 'publishedMs'> & { why: string },
  ): void {
    this.#memory.turn++
    const delivery = deliveryOf({ to, event, cause, origin }, { publishedMs })
    this.#parking.refuse(draft, delivery, this.#stamped(draft, delivery), null, why, 'storage')
  }

  /** The event as the turn at hand is given it. */
  #stamped({ nowMs }: Draft, { event, cause }: Delivery): PlainEvent {
    return { ...event, now: nowMs, id: `${this.#memory.incarnation}:${this.#memory.turn}`, cause }
  }

  /** @param failed  what came of loading its actor, if anything */
  #turn(draft: Draft, delivery: Delivery, address: string, failed: unknown = null): Delivery[] {
    const { to, event } = delivery
    this.#memory.turn++
    const stamped = this.#stamped(draft, delivery)
    if (isFromBefore(delivery.publishedMs, this.#memory.incarnation)) Object.assign(stamped, { maybe_taken_before: true })
    const kind = this.#options.definition.kinds[to.kind]
    const machine = this.#options.machines.get(to.kind)
    if (!kind || !machine) return this.#parking.refuse(draft, delivery, stamped, null, `${this.#options.service} hosts no ${to.kind}`)
    if (this.#waitsBehind(delivery)) return this.#parking.behind(draft, delivery, stamped)
    let before: CachedActor | undefined
    try {
      if (failed !== null) throw failed
      before = this.#memory.cache.get(address)
      if (before?.state.status === 'done') return this.#afterEnd(draft, delivery, stamped, before)
      if (!machine.knows(event.type)) throw new EventRefused(`${to.kind} knows no event ${event.type}`)
      const outputs: Output[] = []
      let state = before?.state
      if (!state) {
        const begun = machine.begin(kind.input(to.key))
        state = begun.state
        outputs.push(...begun.outputs)
      }
      const turned = machine.turn(state, stamped)
      outputs.push(...turned.outputs)
      const planned = this.#outputs.plan(draft, delivery, outputs)
      this.#loading.changed(draft, to, address, machine, turned.state, before)
      this.#journal.entry(
        draft,
        to,
        (before?.sequence ?? 0) + 1,
        this.#journal.eventOf(draft, stamped, before),
        before ?? null,
        turned.changed || !before ? 't' : 'i',
        hashOfPlanned(planned),
        machine,
      )
      if (!turned.changed && before) this.#options.count(`ignored.${to.kind}.${event.type}`)
      return this.#outputs.apply(draft, to, planned)
    } catch (error) {
      // A store that does not answer is nobody's fault here; an address that it cannot hold is the event's.
      const code = storeCode(error)
      if (error instanceof LaneReset || (code && code !== 'bad_data')) throw error
      return this.#parking.refuse(draft, delivery, stamped, before, textOf(error), error instanceof EventRefused ? 'refused' : 'threw')
    }
  }

  /** An event for an actor that has ended: dropped, unless somebody is to hear of it. */
  #afterEnd(draft: Draft, delivery: Delivery, stamped: PlainEvent, before: CachedActor): Delivery[] {
    const { to, event } = delivery
    const told = this.#options.definition.kinds[to.kind]?.afterEnd?.(event, before.state.context) ?? null
    if (!told) this.#options.count(`dropped.${to.kind}.${event.type}`)
    const next = told ? [this.#outputs.told(draft, delivery, { does: 'tell', ...told })] : []
    this.#journal.entry(draft, to, before.sequence, this.#journal.eventOf(draft, stamped), null, 'd', EMPTY_BYTES)
    return next
  }
}

type ParkedEvent = PlainEvent & { readonly cause: Cause | null; readonly published_ms?: number }
