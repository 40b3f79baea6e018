import type { Draft } from './draft.ts'
import type { LaneNow } from './lane-options.ts'
import { news, overdueOf, stateRecord } from './lane-state.ts'
import type { EffectRow } from '../rows.ts'

/** Tells whoever watches over the services what somebody has to look at, with the batch that brought it. */
export class LaneNews {
  readonly #service: string
  readonly #now: LaneNow
  /** effects whose outcome should be known, as of the last look */
  #overdue: readonly EffectRow[] = []

  constructor(service: string, now: LaneNow) {
    this.#service = service
    this.#now = now
  }

  /** Looks for what comes with time and not with a turn. */
  look(nowMs: number): void {
    this.#overdue = overdueOf(this.#now.memory, nowMs)
  }

  get isAny(): boolean {
    return this.#found().length > 0
  }

  tell(draft: Draft): void {
    const { memory, turns } = this.#now
    for (const { condition, found } of this.#found()) {
      const payload = stateRecord({ service: this.#service, lane: memory.lane }, condition, found)
      turns.announce(draft, 'ops.lane_state', `batch-${draft.batch}-${condition}`, { payload, venue: 'unrip' }, null)
      memory.told.set(condition, found?.key ?? '')
    }
  }

  #found(): ReturnType<typeof news> {
    return news(this.#now.memory, this.#overdue)
  }
}
