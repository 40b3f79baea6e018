import assert from 'node:assert/strict'
import type { Draft } from './draft.ts'
import { storeCode, textOf } from '../faults.ts'
import type { LaneLife } from './lane-life.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'
import { repeatedly } from '../log.ts'
import type { Outbox } from '../outbox.ts'
import type { Batch } from '../rows.ts'

/** What became of a batch: it is in; the lane is no longer ours; or storage will not take what is in it. */
export type Committed = 'done' | 'lost' | 'refused'

const RETRY_MS = 50

/**
 * Brings drafts into the store: the identical batch again while it is in doubt or the store is away, and where the store will not take
 * what is in one, ever smaller batches until the one event is found; that one is parked (L2).
 */
export class Committing {
  readonly #options: LaneOptions
  readonly #now: LaneNow
  readonly #life: LaneLife
  readonly #outbox: Outbox
  readonly #onDone: (draft: Draft, batch: Batch) => void
  /** the last one that is in */
  batch: number
  /** how many events the next batch may have */
  limit = Number.POSITIVE_INFINITY
  /** events among which the one is that storage will not take */
  #suspects = 0

  constructor(of: {
    options: LaneOptions
    now: LaneNow
    life: LaneLife
    outbox: Outbox
    /** called at once, before anything else is computed */
    onDone: (draft: Draft, batch: Batch) => void
  }) {
    this.#options = of.options
    this.#now = of.now
    this.#life = of.life
    this.#outbox = of.outbox
    this.#onDone = of.onDone
    this.batch = of.now.memory.batch
  }

  async commit(draft: Draft): Promise<Committed> {
    let batch: Batch
    try {
      batch = this.#seal(draft)
    } catch (error) {
      return this.refused(draft, textOf(error))
    }
    const { store, service, clock, log, meter } = this.#options
    const begun = clock.monotonicMs()
    for (let tries = 1; this.#life.isOpen; tries++) {
      try {
        await store.commit(service, batch)
        if (!this.#life.isOpen) return 'lost'
        meter.observe('unrip_commit_duration_seconds', (clock.monotonicMs() - begun) / 1_000)
        this.#settle(draft)
        this.#onDone(draft, batch)
        return 'done'
      } catch (error) {
        switch (storeCode(error)) {
          case 'unknown':
          case 'unavailable':
            meter.count('unrip_batches_total', 1, { result: 'repeated' })
            repeatedly(log, tries)({ event: 'lane.commit_repeat', lane: batch.lane, batch: batch.batch, tries }, textOf(error))
            await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
            break
          case 'bad_data':
            return this.refused(draft, textOf(error))
          case 'went_back':
            this.#life.wentBack(textOf(error))
            return 'lost'
          case 'stale_epoch':
            this.#life.drop(textOf(error))
            return 'lost'
          default:
            this.#life.broken(`batch ${batch.batch}`, error)
            return 'lost'
        }
      }
    }
    return 'lost'
  }

  /** Before the next batch's first turn: the memory's turn is this draft's last. */
  #seal(draft: Draft): Batch {
    const { lane, epoch, batch, turn } = this.#now.memory
    assert.equal(draft.batch, batch)
    const { release, codeHash } = this.#options
    return draft.seal({ lane, epoch, turn, published: this.#outbox.published, release, codeHash })
  }

  #settle(draft: Draft): void {
    this.batch = draft.batch
    this.#suspects = Math.max(0, this.#suspects - draft.items.length)
    if (this.#suspects === 0) this.limit = Number.POSITIVE_INFINITY
    this.#now.poison = null
  }

  /** Halves what is tried until the one event is found that storage will not take; that one is parked. */
  refused(draft: Draft, why: string): 'refused' {
    const { lane } = this.#now.memory
    const events = draft.items.length
    this.#options.meter.count('unrip_batches_total', 1, { result: 'refused' })
    this.#options.log.error({ event: 'lane.batch_refused', lane, batch: draft.batch, events }, why)
    if (events <= 1) this.#now.poison = draft.items[0] ? { item: draft.items[0], why } : null
    this.limit = Math.max(1, Math.ceil(events / 2))
    this.#suspects = events
    return 'refused'
  }
}
