import type { Timers } from './timers.ts'

const REDELIVER_MS = 30_000

/**
 * Guaranteed delivery of quote_status: numbered, kept until acknowledged, sent again after 30 s and to whoever subscribes anew.
 * Two subscribers of one queue split what comes. A queue starts when somebody first subscribes.
 */
export class StatusQueue {
  #seq = 0
  #used = false
  #turn = 0
  readonly #unacknowledged = new Map<number, unknown>()
  readonly #subscribers = new Map<string, (seq: number, data: unknown) => void>()
  readonly #timers: Timers

  constructor(timers: Timers) {
    this.#timers = timers
  }

  join(subscription: string, send: (seq: number, data: unknown) => void): void {
    this.#used = true
    this.#subscribers.set(subscription, send)
    for (const [seq, data] of this.#unacknowledged) send(seq, data)
  }

  leave(subscription: string): void {
    this.#subscribers.delete(subscription)
  }

  acknowledge(seq: number): void {
    this.#unacknowledged.delete(seq)
  }

  push(data: unknown): void {
    if (!this.#used) return
    this.#seq += 1
    this.#unacknowledged.set(this.#seq, data)
    this.#send(this.#seq)
  }

  #send(seq: number): void {
    const data = this.#unacknowledged.get(seq)
    if (data === undefined) return
    const subscribers = [...this.#subscribers.values()]
    this.#turn += 1
    subscribers[this.#turn % Math.max(1, subscribers.length)]?.(seq, data)
    this.#timers.after(REDELIVER_MS, () => this.#send(seq))
  }
}
