import type { Address } from '#machines/contracts/stamp.ts'
import type { Draft } from '../lane/draft.ts'
import { EMPTY_BYTES } from '../json.ts'
import type { PlainEvent } from '../lane/mailbox.ts'
import type { LaneMemory } from '../lane/memory.ts'
import { storableKey, withoutNul } from '../lane/parked.ts'
import type { CachedActor } from '../lane/snapshot-cache.ts'
import type { TurnJournal } from './turn-journal.ts'
import type { Delivery, TurnsOptions } from './turns-options.ts'
import { deliveryOf } from './turns-options.ts'

/** Why something was parked, as it is counted. */
export type ParkedBy = 'threw' | 'refused' | 'storage' | 'unreadable' | 'waiting'

export const NOBODY: Address = { kind: '', key: '' }

/** Turns whose event is not taken: it is parked with its actor, or waits there behind one that is (T3, T5). */
export class Parking {
  readonly #memory: LaneMemory
  readonly #options: TurnsOptions
  readonly #journal: TurnJournal

  constructor(memory: LaneMemory, options: TurnsOptions, journal: TurnJournal) {
    this.#memory = memory
    this.#options = options
    this.#journal = journal
  }

  /** Untried: an earlier event of its actor is parked. */
  behind(draft: Draft, delivery: Delivery, stamped: PlainEvent): Delivery[] {
    this.#memory.parked.wait(delivery.to)
    const event = this.#letterOf(draft, delivery, stamped)
    this.row(draft, delivery.to, delivery.origin, event, 'waiting behind a parked event', 'waiting')
    draft.letter(this.#memory.turn, { waits: true })
    this.#journal.entry(draft, delivery.to, 0, event, null, 'q', EMPTY_BYTES)
    return this.#tellAsker(delivery)
  }

  /** Tried, or not even that: its actor is held from here on, unless an order asked. */
  refuse(
    draft: Draft,
    delivery: Delivery,
    stamped: PlainEvent,
    before: CachedActor | null | undefined,
    why: string,
    by: ParkedBy = 'refused',
  ): Delivery[] {
    const event = this.#letterOf(draft, delivery, stamped)
    const { to, origin, letter } = delivery
    const { turn } = this.#memory
    if (delivery.isOrder) {
      // An order that is refused is answered, and parks nobody: its row names its actor in the origin only.
      this.row(draft, NOBODY, `${origin} for ${to.kind}/${to.key}`, event, why, by)
      draft.letter(turn, { done: 'the order was answered with it' })
    } else {
      this.#memory.parked.hold(to, letter ?? turn, why, draft.nowMs)
      if (letter === null) this.row(draft, to, origin, event, why, by)
      else {
        this.#options.count('letters.parked_again')
        draft.letter(letter, { cause: withoutNul(`again, as turn ${turn}: ${why}`) })
      }
    }
    this.#journal.entry(draft, delivery.to, before?.sequence ?? 0, event, null, 'p', EMPTY_BYTES)
    return this.#tellAsker(delivery)
  }

  /** Who asked a parked actor gets to know at once, if its machine wants to. */
  #tellAsker({ asker, to, cause, depth }: Delivery): Delivery[] {
    if (!asker || !this.#options.machines.get(asker.kind)?.knows('actor.parked')) return []
    const told = { to: asker, event: { type: 'actor.parked', parked: to }, cause, origin: `parked ${to.kind}/${to.key}` }
    return [deliveryOf(told, { depth: depth + 1 })]
  }

  /** The event as its parked row keeps it: what is needed to take it again. */
  #letterOf(draft: Draft, { publishedMs }: Delivery, stamped: PlainEvent): Uint8Array {
    return this.#journal.eventOf(draft, publishedMs === null ? stamped : { ...stamped, published_ms: publishedMs })
  }

  /** The parked row of the turn at hand. */
  row(draft: Draft, { kind, key }: Address, origin: string, event: Uint8Array, cause: string, by: ParkedBy): void {
    this.#options.count(`parked.${kind || 'record'}`)
    this.#options.count(`parked_by.${by}`)
    draft.parked.push({
      turn: this.#memory.turn,
      kind: withoutNul(kind),
      key: storableKey(key),
      cause: withoutNul(cause),
      origin: withoutNul(origin),
      event,
    })
  }
}
