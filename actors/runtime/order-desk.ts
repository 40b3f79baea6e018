import { textOf } from './faults.ts'
import type { GateShut } from './lane/gate.ts'
import type { HeldLanes } from './held-lanes.ts'
import type { Lane } from './lane/lane.ts'
import type { Clock, Log } from './ports.ts'
import type { LaneStore } from './store-port.ts'
import type { OrderKind, ServiceDefinition } from './service.ts'

/** What became of an order that was given here. */
export type Submitted =
  | { readonly outcome: 'done'; readonly id: string; readonly answers: readonly { lane: number; answer: object }[] }
  | { readonly outcome: 'pending'; readonly id: string }
  | { readonly outcome: 'refused'; readonly code: string; readonly message: string }
  | { readonly outcome: 'unavailable'; readonly message: string }
  | { readonly outcome: 'draining' }

export interface Order {
  readonly order: string
  readonly by: string
  readonly reason: string
  readonly arguments: Readonly<Record<string, unknown>>
}

const ORDER_EXPIRY_MS = 10_000
const ORDER_POLL_MS = 250

/**
 * Where operators' orders come in: written as rows, brought to the lanes of this process, and answered once every addressed lane
 * has committed them, whoever owns it. What shuts the send gate does so here, at once.
 */
export class OrderDesk {
  readonly #definition: ServiceDefinition
  readonly #release: string
  readonly #store: LaneStore
  readonly #clock: Clock
  readonly #log: Log
  readonly #lanes: HeldLanes
  /** how many the service has; 0 while that is not known */
  readonly #laneCount: () => number
  /** Orders that the runtime takes by itself, for every service. */
  readonly ownOrders: readonly string[]
  readonly #waiters = new Set<() => void>()
  /** The gate is the process's: a lane that is taken anew finds it as it was. */
  #gateShut: GateShut | null = null
  #isClosed = false

  constructor(of: {
    definition: ServiceDefinition
    release: string
    store: LaneStore
    clock: Clock
    log: Log
    lanes: HeldLanes
    laneCount: () => number
    isFenced: boolean
  }) {
    this.#definition = of.definition
    this.#release = of.release
    this.#store = of.store
    this.#clock = of.clock
    this.#log = of.log
    this.#lanes = of.lanes
    this.#laneCount = of.laneCount
    this.ownOrders = ['pause', 'resume', 'accept-loss', 'replay-dead-letters', 'drop-dead-letters', ...(of.isFenced ? ['reconcile'] : [])]
  }

  /** Takes no more orders: they are the successors'. A gate is shut all the same. */
  close(): void {
    this.#isClosed = true
  }

  // --- rows to lanes ---

  /** An order for one of our lanes was inserted or committed. */
  moved(): void {
    for (const lane of this.#lanes) void this.bring(lane)
    this.wake()
  }

  /** Brings a lane the orders that are open for it. */
  async bring(lane: Lane): Promise<void> {
    try {
      for (const order of await this.#store.orders(this.#definition.name, lane.lane)) lane.order(order)
    } catch (error) {
      // They are looked for again at the next renewal.
      this.#log.warn({ event: 'orders.not_read', lane: lane.lane }, textOf(error))
    }
  }

  /** A lane has committed orders: whoever waits for one looks again. */
  wake(): void {
    for (const wake of [...this.#waiters]) wake()
  }

  // --- what is given here ---

  /** Writes the order, and answers once every addressed lane has committed it, or after `waitMs`. */
  async submit(order: Order, waitMs: number): Promise<Submitted> {
    const { name: service } = this.#definition
    const kind: OrderKind | undefined = this.#definition.orders[order.order]
    if (this.#isClosed) {
      // Its last sends may still be under way: they stop, though the order itself is the successor's.
      if (kind?.shutsGate) this.#shutGate(null)
      return { outcome: 'draining' }
    }
    if (!kind && !this.ownOrders.includes(order.order)) {
      return { outcome: 'refused', code: 'unknown_order', message: `${service} takes no order ${order.order}` }
    }
    const distrusted = order.order === 'arm' ? this.#lanes.describe().find(({ disagreement }) => disagreement !== null) : undefined
    if (distrusted?.disagreement) {
      const { lane, disagreement } = distrusted
      return { outcome: 'refused', code: 'STATE_DISAGREES', message: `lane ${lane}: ${disagreement.detail}; only after an order reconcile` }
    }
    const { lane: only } = order.arguments
    const count = this.#laneCount()
    if (typeof only === 'number' && only >= count)
      return { outcome: 'refused', code: 'NO_SUCH_LANE', message: `${service} has no lane ${only}; it has ${count}` }
    // In memory and at once, before the row: a disarm must hold even where it cannot be written.
    if (kind?.shutsGate) this.#shutGate(null)
    let id: number
    try {
      const body = { ...(kind?.namesRelease ? { release: this.#release } : {}), ...order.arguments, order: order.order }
      const expiresInMs = kind?.expiresInMs ?? (order.order === 'arm' ? ORDER_EXPIRY_MS : null)
      const lane = typeof only === 'number' ? { lane: only } : {}
      ;({ id } = await this.#store.insertOrder(service, { by: order.by, reason: order.reason, body, expiresInMs, ...lane }))
    } catch (error) {
      this.#log.error({ event: 'order.not_written', order: order.order }, textOf(error))
      return {
        outcome: 'unavailable',
        message: `the order could not be written${kind?.shutsGate ? '; the gate of this process is shut all the same' : ''}`,
      }
    }
    if (kind?.shutsGate) this.#shutGate(id)
    this.#log.info({ event: 'order.written', order: order.order, by: order.by, order_id: id }, order.reason)
    for (const lane of this.#lanes) void this.bring(lane)
    return this.#answered(id, waitMs)
  }

  async #answered(id: number, waitMs: number): Promise<Submitted> {
    const until = this.#clock.monotonicMs() + waitMs
    for (;;) {
      const answers = await this.#store
        .orderAnswers(this.#definition.name, id)
        .catch((error: unknown): { lane: number; answer: object | null }[] => {
          this.#log.warn({ event: 'order.answers_not_read', order_id: id }, textOf(error))
          return []
        })
      const done = answers.flatMap(({ lane, answer }) =>
        answer ? [{ lane, answer: answer as { outcome?: string; detail?: string } }] : [],
      )
      if (answers.length > 0 && done.length === answers.length) {
        const refused = done.find(({ answer }) => answer.outcome === 'refused' || answer.outcome === 'expired')
        if (!refused) {
          // The store's answer can be faster than our own commit's: the state that goes with it must show the order.
          await Promise.race([this.#lanes.committed(), new Promise<void>((resolve) => this.#clock.after(ORDER_POLL_MS, resolve))])
          return { outcome: 'done', id: String(id), answers: done }
        }
        const { outcome, detail } = refused.answer
        return {
          outcome: 'refused',
          code: `order_${outcome ?? 'refused'}`,
          message: `order ${id}, lane ${refused.lane}: ${detail ?? outcome}`,
        }
      }
      const left = until - this.#clock.monotonicMs()
      if (left <= 0) return { outcome: 'pending', id: String(id) }
      await this.#nextMove(Math.min(left, ORDER_POLL_MS))
    }
  }

  #nextMove(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake)
        cancel()
        resolve()
      }
      const cancel = this.#clock.after(atMostMs, wake)
      this.#waiters.add(wake)
    })
  }

  // --- the gate ---

  #shutGate(orderId: number | null): void {
    this.#gateShut = { orderId, atMs: this.#clock.wallMs() }
    for (const lane of this.#lanes) lane.shutGate(this.#gateShut)
  }

  /** Shuts the gate of a lane that has just been taken, where this process's is. */
  shutWithOthers(lane: Lane): void {
    if (this.#gateShut) lane.shutGate(this.#gateShut)
  }

  /** A later arm order has been committed. */
  gateOpened(): void {
    this.#gateShut = null
  }
}
