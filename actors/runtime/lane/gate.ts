import { textOf } from '../faults.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'
import { CLOCK_LIMIT_MS } from '../ownership.ts'
import type { OrderRow } from '../rows.ts'

/** Why nothing may be sent right now; null: it may. `lease` passes by itself or takes the lane away. */
export type Refusal = 'lease' | 'disarmed' | 'too late' | null

/** What shut the send gate of a process: a disarm order, and when by our clock; without an id its row could not be written. */
export interface GateShut {
  readonly orderId: number | null
  readonly atMs: number
}

/** Whether `ask first` effects may leave: a fresh lease, a committed arm, no disarm seen, no quarrel with the store, and in time. */
export class Gate {
  readonly #options: LaneOptions
  readonly #now: LaneNow
  #shut: GateShut | null = null
  /** as committed */
  armed = false
  disagreement: { readonly detail: string; readonly since_ms: number } | null

  constructor(options: LaneOptions, now: LaneNow) {
    this.#options = options
    this.#now = now
    this.disagreement = options.disagreement === null ? null : { detail: options.disagreement, since_ms: options.clock.wallMs() }
  }

  refusal(notAfterMs: number | null): Refusal {
    if (!this.#options.leaseIsFresh()) return 'lease'
    if (this.#options.definition.gate && (!this.armed || this.#shut || this.disagreement)) return 'disarmed'
    if (notAfterMs !== null && this.#options.clock.wallMs() > notAfterMs) return 'too late'
    return null
  }

  /** Nothing leaves from now on, until an arm order later than this is committed. */
  shut(by: GateShut): void {
    this.#shut = by
  }

  describe(): { armed: boolean; shut: boolean } | null {
    return this.#options.definition.gate ? { armed: this.armed, shut: this.#shut !== null } : null
  }

  orderCommitted(order: OrderRow): void {
    const shut = this.#shut
    // Without a number only the clocks can tell, and they may differ by so much.
    const isLater = shut && (shut.orderId === null ? order.atMs > shut.atMs + CLOCK_LIMIT_MS : order.id > shut.orderId)
    if (order.body.order !== 'arm' || !isLater) return
    this.#shut = null
    this.#options.onGateOpened()
  }

  /** An operator takes the store as it is. Remembered before it is committed: the lane's own epoch fences what could come between. */
  reconcile(): { outcome: string; detail?: string } {
    if (!this.disagreement) return { outcome: 'taken', detail: 'nothing disagrees' }
    const { fence } = this.#options
    try {
      const { lane, epoch, incarnation, turn } = this.#now.memory
      fence?.accept({ lane, epoch, incarnation, turn })
    } catch (error) {
      return { outcome: 'refused', detail: textOf(error) }
    }
    this.disagreement = null
    return { outcome: 'taken' }
  }
}
