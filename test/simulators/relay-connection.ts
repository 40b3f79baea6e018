import type { WebSocket } from 'ws'
import { numberOf } from './faults.ts'
import type { Faults } from './faults.ts'
import type { QuoteRequest } from './inspection.ts'
import type { StatusQueue } from './status-queue.ts'
import type { Timers } from './timers.ts'

/** `real` is what running clients parse; `docs` is what the documentation prints: flat, and called `subscribe`. */
export type Envelope = 'real' | 'docs'

export interface Subscription {
  readonly id: string
  readonly stream: string
  readonly filters: { readonly tokens_in?: string[] | undefined; readonly tokens_out?: string[] | undefined }
  readonly guaranteed: boolean
}

interface Wiring {
  readonly id: number
  readonly socket: WebSocket
  readonly partner: string
  readonly instanceId: string | undefined
  /** Of the partner and its instance. */
  readonly queue: StatusQueue
  readonly faults: Faults
  readonly timers: Timers
  readonly onText: (text: string) => void
  readonly onClose: () => void
}

/** One websocket of a solver: its subscriptions, and every frame out through the faults. */
export class RelayConnection {
  readonly id: number
  readonly partner: string
  readonly instanceId: string | undefined
  /** Swallows everything both ways and answers no ping; the socket stays open. */
  halfOpen = false
  readonly #wiring: Wiring
  readonly #subscriptions = new Map<string, Subscription>()
  #held: string | undefined

  constructor(wiring: Wiring) {
    this.#wiring = wiring
    this.id = wiring.id
    this.partner = wiring.partner
    this.instanceId = wiring.instanceId
    const { socket, faults } = wiring
    socket.on('message', (data: Buffer) => {
      if (!this.halfOpen) wiring.onText(data.toString())
    })
    socket.on('close', () => {
      for (const { id } of this.#subscriptions.values()) wiring.queue.leave(id)
      wiring.onClose()
    })
    socket.on('error', () => socket.terminate())
    // ws answers pings by itself; a connection that must not is made to by taking its pong away.
    const pong = socket.pong.bind(socket)
    socket.pong = (...args: Parameters<WebSocket['pong']>) => {
      if (!this.halfOpen && !faults.hit('relay.no_pong')) pong(...args)
    }
  }

  get streams(): readonly string[] {
    return [...this.#subscriptions.values()].map(({ stream }) => stream)
  }

  ping(): void {
    if (!this.halfOpen && this.#wiring.socket.readyState === this.#wiring.socket.OPEN) this.#wiring.socket.ping()
  }

  terminate(): void {
    this.#wiring.socket.terminate()
  }

  /** One quote subscription a connection: a second replaces the first and its filters. */
  subscribe(requestId: number | undefined, subscription: Subscription): void {
    for (const [id, { stream }] of this.#subscriptions)
      if (stream === 'quote' && subscription.stream === 'quote') this.#subscriptions.delete(id)
    this.#subscriptions.set(subscription.id, subscription)
    this.result(requestId, subscription.id)
    if (!subscription.guaranteed) return
    const { id } = subscription
    this.#wiring.queue.join(id, (seq, data) => this.#send({ jsonrpc: '2.0', method: 'event', params: { subscription: id, seq, data } }))
  }

  unsubscribe(id: string): void {
    this.#subscriptions.delete(id)
    this.#wiring.queue.leave(id)
  }

  acknowledge(id: string, seq: number): void {
    if (this.#subscriptions.get(id)?.guaranteed) this.#wiring.queue.acknowledge(seq)
  }

  /** Ids of the quote subscriptions whose filters let this request through; an absent or empty list restricts nothing. */
  quoteSubscriptions({ tokenIn, tokenOut }: QuoteRequest): readonly string[] {
    return [...this.#subscriptions.values()]
      .filter(({ stream, filters }) => stream === 'quote' && lets(filters.tokens_in, tokenIn) && lets(filters.tokens_out, tokenOut))
      .map(({ id }) => id)
  }

  toStream(stream: string, envelope: Envelope, data: object): void {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.stream === stream && !subscription.guaranteed) this.event(envelope, subscription.id, data)
    }
  }

  event(envelope: Envelope, subscription: string, data: object, metadata?: object): void {
    const params = envelope === 'docs' ? { subscription, ...data } : { subscription, data, ...(metadata && { metadata }) }
    this.#send({ jsonrpc: '2.0', method: envelope === 'docs' ? 'subscribe' : 'event', params })
  }

  result(id: number | undefined, result: unknown): void {
    this.#send({ jsonrpc: '2.0', id: id ?? null, result })
  }
  error(id: number | undefined, code: number, message: string): void {
    this.#send({ jsonrpc: '2.0', id: id ?? null, error: { code, message } })
  }
  unknownNotification(): void {
    this.#send({ jsonrpc: '2.0', method: 'maintenance_notice', params: { starts_in_ms: 60_000 } })
  }

  /** Text as it is, valid or not. */
  raw(text: string): void {
    if (!this.halfOpen && this.#wiring.socket.readyState === this.#wiring.socket.OPEN) this.#wiring.socket.send(text)
  }

  #send(frame: unknown): void {
    const { faults, timers } = this.#wiring
    const text = JSON.stringify(frame)
    const delay = faults.hit('relay.delay_frames')
    if (delay) {
      timers.after(numberOf(delay.value, 100), () => this.raw(text))
      return
    }
    if (this.#held === undefined && faults.hit('relay.reorder_frames')) {
      this.#held = text
      timers.after(500, () => this.#releaseHeld())
      return
    }
    this.raw(text)
    if (faults.hit('relay.duplicate_frames')) this.raw(text)
    this.#releaseHeld()
  }

  #releaseHeld(): void {
    if (this.#held === undefined) return
    this.raw(this.#held)
    this.#held = undefined
  }
}

const lets = (tokens: readonly string[] | undefined, token: string): boolean => !tokens || tokens.length === 0 || tokens.includes(token)
