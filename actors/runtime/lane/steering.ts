import type { Draft } from './draft.ts'
import type { Gate } from './gate.ts'
import type { Inputs } from './inputs.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'
import type { Item } from './mailbox.ts'
import { resolveLetters } from './letters.ts'
import { addressOf, LIFECYCLE } from './memory.ts'
import type { OrderRow } from '../rows.ts'

/** What a lane answers to an order. */
type Carried = { readonly outcome: string; readonly detail?: string; readonly state?: unknown } & Readonly<Record<string, unknown>>

/** Carries out what operators order. Every order is answered in its row and told on a topic, whatever became of it. */
export class Steering {
  readonly #lane: number
  readonly #options: LaneOptions
  readonly #now: LaneNow
  readonly #inputs: Inputs
  readonly #gate: Gate

  constructor(of: { lane: number; options: LaneOptions; now: LaneNow; inputs: Inputs; gate: Gate }) {
    this.#lane = of.lane
    this.#options = of.options
    this.#now = of.now
    this.#inputs = of.inputs
    this.#gate = of.gate
  }

  async take(draft: Draft, item: Item, order: OrderRow): Promise<void> {
    const poison = this.#now.poison?.item === item ? this.#now.poison.why : null
    const answer = poison ? { outcome: 'refused', detail: poison } : await this.#carryOut(draft, order)
    draft.orders.push({ id: order.id, answer })
    const cause = { event_id: `order:${order.id}`, correlation_id: null }
    const { by, reason, body } = order
    const payload = {
      order_id: String(order.id),
      service: this.#options.service,
      order: body.order,
      by,
      reason,
      lane: this.#lane,
      outcome: answer.outcome,
    }
    this.#now.turns.announce(draft, 'ctl.operator_command', `order-${order.id}`, { payload, venue: 'unrip' }, cause)
    draft.released.push(() => this.#gate.orderCommitted(order))
  }

  async #carryOut(draft: Draft, order: OrderRow): Promise<Carried> {
    if (order.expiresAtMs !== null && order.expiresAtMs < draft.nowMs) return { outcome: 'expired' }
    const { order: name, ...rest } = order.body
    if (name === 'accept-loss') return this.#inputs.acceptLoss(draft)
    if (name === 'reconcile') return this.#gate.reconcile()
    if (name === 'replay-dead-letters' || name === 'drop-dead-letters') return resolveLetters(draft, this.#now.memory, order)
    if (name === 'arm' && this.#gate.disagreement) return { outcome: 'refused', detail: this.#gate.disagreement.detail }
    const own = name === 'pause' || name === 'resume'
    const kind = own ? { to: LIFECYCLE, type: `order.${name}` } : this.#options.definition.orders[name]
    if (!kind) return { outcome: 'refused', detail: `${this.#options.service} knows no order ${name}` }
    const turn = this.#now.memory.turn + 1
    const event = { ...rest, type: kind.type, by: order.by, reason: order.reason, order_id: String(order.id) }
    await this.#now.turns.deliver(draft, kind.to, event, { event_id: `order:${order.id}`, correlation_id: null }, `order ${order.id}`)
    if (own) this.#inputs.followLifecycle()
    // Only the order's own turn: whom its actor told may be parked, and that refuses nothing.
    const refused = draft.parked.find((parked) => parked.turn === turn)
    if (refused) return { outcome: 'refused', detail: refused.cause }
    const state = this.#now.memory.cache.peek(addressOf(kind.to))?.state.value ?? null
    const expected = own ? undefined : this.#options.definition.orders[name]?.expects
    if (expected !== undefined && state !== expected) return { outcome: 'refused', detail: `it is ${String(state)} and not ${expected}` }
    return { outcome: 'taken', state }
  }
}
