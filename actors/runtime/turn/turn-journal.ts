import type { Address } from '#machines/contracts/stamp.ts'
import type { Draft } from '../lane/draft.ts'
import type { PlainEvent } from '../lane/mailbox.ts'
import { storableKey, withoutNul } from '../lane/parked.ts'
import type { JournalRow } from '../rows.ts'
import type { CachedActor } from '../lane/snapshot-cache.ts'
import type { TurnsOptions } from './turns-options.ts'
import type { Machine } from '../machine/xstate.ts'

/** What the journal keeps of each turn, so that it can be taken once more with the same outcome. */
export class TurnJournal {
  readonly #options: TurnsOptions

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  /** The turn's row (T2). */
  entry(
    draft: Draft,
    to: Address,
    sequence: number,
    event: Uint8Array,
    before: CachedActor | null,
    outcome: JournalRow['outcome'],
    outputHash: Uint8Array,
    machine?: Machine,
  ): void {
    const needsBase = before !== null && machine && before.baseDay !== draft.day
    draft.journal.push({
      kind: withoutNul(to.kind),
      key: storableKey(to.key),
      sequence,
      nowMs: draft.nowMs,
      event,
      base: needsBase ? machine.store(before.state, before.sequence) : null,
      outcome,
      outputHash,
    })
  }

  /** Values of followed tables, once a batch and type of event; the journal refers to them by index. */
  attach(draft: Draft, event: PlainEvent): PlainEvent {
    const attach = this.#options.definition.attach?.[event.type]
    if (!attach) return event
    let at = draft.attachedAt.get(event.type)
    if (at === undefined) {
      at = draft.attached.push(attach(this.#options.tables)) - 1
      draft.attachedAt.set(event.type, at)
    }
    return { ...event, attached: draft.attached[at] }
  }

  /**
   * The event as the journal keeps it: `attached` is stored once a batch and named by its index, and `$ago` says how many ms before
   * it the actor's turn before was taken, which is how its turns are found again.
   */
  eventOf(draft: Draft, stamped: PlainEvent, before?: CachedActor): Uint8Array {
    const at = draft.attachedAt.get(stamped.type)
    const text = JSON.stringify(
      at === undefined || stamped['attached'] === undefined ? stamped : { ...stamped, attached: { $attached: at } },
    )
    return Buffer.from(before ? `${text.slice(0, -1)},"$ago":${draft.nowMs - before.atMs}}` : text)
  }
}
