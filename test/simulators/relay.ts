import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { z } from 'zod'
import { WebSocketServer } from 'ws'
import type { Auction, Auctions } from './auctions.ts'
import { numberOf } from './faults.ts'
import type { Faults } from './faults.ts'
import { guarded, parseJson } from './http.ts'
import { QuoteResponse } from './inspection.ts'
import { RelayConnection } from './relay-connection.ts'
import type { Envelope } from './relay-connection.ts'
import { relayRpc } from './relay-rpc.ts'
import type { Ledger } from './ledger.ts'
import type { Settlement, Status } from './settlement.ts'
import { StatusQueue } from './status-queue.ts'
import type { Timers } from './timers.ts'
import { toBase58 } from './crypto.ts'

const Request = z.looseObject({ id: z.number().optional(), method: z.string(), params: z.array(z.unknown()).default([]) })
const Filters = z.looseObject({ tokens_in: z.array(z.string()).optional(), tokens_out: z.array(z.string()).optional() }).nullish()
const STREAMS: ReadonlySet<unknown> = new Set(['quote', 'quote_status', 'quote_status_extended', 'shield_status'])

/**
 * The solver bus: the websocket at /ws and, on the same port, the JSON-RPC at /rpc. Shapes of relay-messages.json.
 * Responses are taken from any authenticated connection, subscribed to quotes or not; statuses go to every connection of the partner.
 */
export class Relay {
  readonly server: Server
  readonly counts = { connections: 0, refused: 0, frames_in: 0, broadcasts: 0, unsubscribed_broadcasts: 0 }
  /** Frames that were not valid requests, newest last. */
  readonly badFrames: string[] = []
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: 1_048_576 })
  readonly #open = new Map<number, RelayConnection>()
  /** By partner and instance id. They outlive connections. */
  readonly #queues = new Map<string, StatusQueue>()
  readonly #parts: RelayParts

  constructor(parts: RelayParts) {
    this.#parts = parts
    this.server = createServer(guarded(relayRpc(parts)))
    this.server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    parts.auctions.onOpen((auction) => this.#broadcast(auction))
    parts.settlement.onStatus((status) => this.#status(status))
    parts.faults.onSet((name, value) => this.#faultNow(name, value))
    parts.timers.every(30_000, () => this.#open.forEach((connection) => connection.ping()))
  }

  get connections(): readonly RelayConnection[] {
    return [...this.#open.values()]
  }

  terminateAll(): void {
    for (const connection of this.#open.values()) connection.terminate()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { faults, jwts } = this.#parts
    const url = new URL(request.url ?? '/', 'http://relay')
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const refusal = faults.hit('relay.refuse')
    const status = refusal ? numberOf(refusal.value, 502) : url.pathname !== '/ws' ? 404 : jwts.includes(token) ? 101 : 403
    if (status !== 101) {
      this.counts.refused += 1
      socket.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.counts.connections += 1
      const instanceId = url.searchParams.get('instance_id') ?? undefined
      const queue = this.#queue(token, instanceId)
      const connection = new RelayConnection({
        id: this.counts.connections,
        socket: webSocket,
        partner: token,
        instanceId,
        queue,
        faults,
        timers: this.#parts.timers,
        onText: (text) => this.#frame(connection, text),
        onClose: () => void this.#open.delete(connection.id),
      })
      this.#open.set(connection.id, connection)
    })
  }

  #queue(partner: string, instanceId: string | undefined): StatusQueue {
    const id = `QS_${partner}_${instanceId ?? ''}`
    const queue = this.#queues.get(id) ?? new StatusQueue(this.#parts.timers)
    this.#queues.set(id, queue)
    return queue
  }

  #frame(connection: RelayConnection, text: string): void {
    const perf = performance.now()
    this.counts.frames_in += 1
    const json = parseJson(text)
    if (json === undefined) return this.#bad(connection, text, undefined, -32_700, 'Parse error')
    const request = Request.safeParse(json)
    if (!request.success) return this.#bad(connection, text, undefined, -32_600, 'Invalid Request')
    const { id, method, params } = request.data
    switch (method) {
      case 'subscribe':
        return this.#subscribe(connection, text, id, params)
      case 'unsubscribe':
        connection.unsubscribe(String(params[0]))
        return connection.result(id, 'OK')
      case 'acknowledge':
        connection.acknowledge(String(params[0]), Number(params[1]))
        return connection.result(id, 'OK')
      case 'quote_response':
        return this.#quoteResponse(connection, text, id, params, perf)
      default:
        return this.#bad(connection, text, id, -32_601, 'Method not found')
    }
  }

  #bad(connection: RelayConnection, text: string, id: number | undefined, code: number, message: string): void {
    this.badFrames.push(text.slice(0, 500))
    if (this.badFrames.length > 100) this.badFrames.shift()
    connection.error(id, code, message)
  }

  #subscribe(connection: RelayConnection, text: string, id: number | undefined, params: readonly unknown[]): void {
    const [stream, rawFilters, guaranteed] = params
    const filters = Filters.safeParse(rawFilters)
    if (typeof stream !== 'string' || !STREAMS.has(stream) || !filters.success)
      return this.#bad(connection, text, id, -32_602, 'Invalid params')
    if (guaranteed === true) {
      if (stream !== 'quote_status' && stream !== 'shield_status')
        return connection.error(id, -32_000, 'guaranteed delivery is only available on quote_status and shield_status')
      if (connection.instanceId === undefined || Object.keys(filters.data ?? {}).length > 0)
        return connection.error(id, -32_000, 'guaranteed delivery needs an instance_id and empty filters')
    }
    connection.subscribe(id, { id: randomUUID(), stream, filters: filters.data ?? {}, guaranteed: guaranteed === true })
  }

  #quoteResponse(connection: RelayConnection, text: string, id: number | undefined, params: readonly unknown[], perf: number): void {
    const { faults, auctions } = this.#parts
    const point = faults.hit('relay.drop_on_response')
    if (point) return connection.terminate()
    const response = QuoteResponse.safeParse(params[0])
    if (!response.success || params.length !== 1) return this.#bad(connection, text, id, -32_602, 'Invalid params')
    const answer = auctions.respond(response.data, { connection: connection.id, text: JSON.stringify(params[0]) }, perf)
    if (faults.hit('relay.drop_before_answer')) return connection.terminate()
    if (answer === undefined) return
    if ('error' in answer) connection.error(id, -32_000, answer.error)
    else connection.result(id, 'OK')
  }

  #broadcast(auction: Auction): void {
    const { request, order } = auction
    const data = {
      quote_id: request.quoteId,
      defuse_asset_identifier_in: request.tokenIn,
      defuse_asset_identifier_out: request.tokenOut,
      ...(request.side === 'in' ? { exact_amount_in: request.amount.toString() } : { exact_amount_out: request.amount.toString() }),
      min_deadline_ms: order.min_deadline_ms,
      min_wait_ms: order.min_wait_ms,
      max_wait_ms: order.max_wait_ms,
      protocol_fee_included: order.protocol_fee_included,
      ...order.data_overrides,
    }
    const metadata = {
      traceparent: `00-${request.quoteId.replaceAll('-', '').padEnd(32, '0').slice(0, 32)}-00f067aa0ba902b7-01`,
      partner_id: order.partner_id,
    }
    const listening = this.connections.flatMap((connection) =>
      connection.quoteSubscriptions(request).map((subscription) => ({ connection, subscription })),
    )
    if (listening.length === 0) this.counts.unsubscribed_broadcasts += 1
    else this.counts.broadcasts += 1
    for (const { connection, subscription } of listening) {
      auction.broadcastPerf ??= performance.now()
      connection.event(this.#envelope(), subscription, data, metadata)
    }
  }

  #envelope(): Envelope {
    return this.#parts.faults.hit('relay.docs_envelope') ? 'docs' : 'real'
  }

  #status(status: Status): void {
    const { faults } = this.#parts
    if (faults.hit('relay.suppress_status')) return
    const { event_type, ...basic } = status
    const foreign = faults.hit('relay.foreign_status') && { ...basic, quote_hash: toBase58(crypto.getRandomValues(new Uint8Array(32))) }
    if (event_type === 'quote_settle_successful') for (const queue of this.#queues.values()) queue.push(basic)
    for (const connection of this.#open.values()) {
      for (const data of foreign ? [foreign, basic] : [basic])
        if (event_type === 'quote_settle_successful') connection.toStream('quote_status', this.#envelope(), data)
      connection.toStream('quote_status_extended', this.#envelope(), status)
    }
  }

  #faultNow(name: string, value: string | number | undefined): void {
    const { faults } = this.#parts
    if (name === 'relay.drop' && faults.hit('relay.drop')) {
      this.terminateAll()
      faults.order({ name: 'relay.drop', on: false })
    }
    if (name === 'relay.half_open' && faults.hit('relay.half_open')) {
      for (const connection of this.#open.values()) connection.halfOpen = true
      faults.order({ name: 'relay.half_open', on: false })
    }
    if (name === 'relay.unknown_notification') for (const connection of this.#open.values()) connection.unknownNotification()
    if (name === 'relay.invalid_json')
      for (const connection of this.#open.values()) connection.raw(String(value ?? '{"jsonrpc":"2.0","method":"event","params":{'))
    if (name === 'relay.unknown_notification' || name === 'relay.invalid_json') faults.order({ name, on: false })
  }
}

export interface RelayParts {
  readonly auctions: Auctions
  readonly settlement: Settlement
  readonly ledger: Ledger
  readonly faults: Faults
  readonly timers: Timers
  readonly jwts: readonly string[]
}
