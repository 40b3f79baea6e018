import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { z } from 'zod'
import { numberOf } from './faults.ts'
import type { Faults } from './faults.ts'
import { parseJson } from './http.ts'
import { tenthsText } from './market.ts'
import type { Market } from './market.ts'
import type { Random } from './random.ts'
import type { Timers } from './timers.ts'

const SYMBOL = 'BTC/EUR'
const Request = z.looseObject({ method: z.string(), req_id: z.int().optional(), params: z.looseObject({}).optional() })
const Subscribe = z.looseObject({
  channel: z.string(),
  symbol: z.array(z.string()).optional(),
  event_trigger: z.enum(['trades', 'bbo']).default('trades'),
  snapshot: z.boolean().default(true),
})

interface Client {
  readonly socket: WebSocket
  /** How the ticker is subscribed, if it is. */
  ticker?: 'trades' | 'bbo'
  subscribed: boolean
  lastSentAt: number
}

/** Kraken's public websocket v2: status, ticker of BTC/EUR, instrument, heartbeat, ping. Numbers are written at engine precision. */
export class Kraken {
  readonly server: Server
  readonly counts = { connections: 0, ticker_updates: 0, bad_requests: 0 }
  readonly #clients = new Set<Client>()
  readonly #faults: Faults
  readonly #market: Market
  readonly #random: Random
  readonly #now: () => number
  #system = 'online'

  constructor(parts: {
    readonly market: Market
    readonly faults: Faults
    readonly random: Random
    readonly timers: Timers
    readonly now: () => number
  }) {
    this.#faults = parts.faults
    this.#market = parts.market
    this.#random = parts.random
    this.#now = parts.now
    const sockets = new WebSocketServer({ noServer: true, maxPayload: 1_048_576 })
    this.server = createServer((_, response) => response.writeHead(426).end())
    this.server.on('upgrade', (request, socket, head) => {
      const refusal = this.#faults.hit('kraken.refuse')
      const status = refusal ? numberOf(refusal.value, 503) : new URL(request.url ?? '/', 'http://kraken').pathname === '/v2' ? 101 : 404
      if (status === 101) sockets.handleUpgrade(request, socket, head, (webSocket) => this.#connected(webSocket))
      else socket.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
    })
    this.#market.onQuote(() => this.#quoted())
    parts.timers.every(250, () => {
      if (!this.#faults.hit('kraken.freeze')) this.#market.step()
    })
    parts.timers.every(1_000, () => this.#heartbeats())
    this.#faults.onSet((name, value) => this.#faultNow(name, value))
  }

  terminateAll(): void {
    for (const { socket } of this.#clients) socket.terminate()
  }

  #connected(socket: WebSocket): void {
    this.counts.connections += 1
    const client: Client = { socket, subscribed: false, lastSentAt: this.#now() }
    this.#clients.add(client)
    socket.on('close', () => this.#clients.delete(client))
    socket.on('error', () => socket.terminate())
    socket.on('message', (data: Buffer) => this.#request(client, data.toString()))
    this.#send(client, this.#statusFrame())
  }

  #request(client: Client, text: string): void {
    const timeIn = this.#time()
    const request = Request.safeParse(parseJson(text))
    if (!request.success) {
      this.counts.bad_requests += 1
      return this.#send(client, '{"error":"Malformed request"}')
    }
    const { method, req_id, params } = request.data
    const answer = (fields: object): void =>
      this.#send(
        client,
        JSON.stringify({ method, ...(req_id !== undefined && { req_id }), ...fields, time_in: timeIn, time_out: this.#time() }),
      )
    if (method === 'ping') return answer({ method: 'pong' })
    if (method !== 'subscribe' && method !== 'unsubscribe') {
      this.counts.bad_requests += 1
      return answer({ success: false, error: `Unsupported method ${method}` })
    }
    const wanted = Subscribe.safeParse(params)
    if (!wanted.success) return answer({ success: false, error: 'Malformed request: channel is missing' })
    this.#subscription(client, method, wanted.data, answer)
  }

  #subscription(
    client: Client,
    method: 'subscribe' | 'unsubscribe',
    wanted: z.infer<typeof Subscribe>,
    answer: (fields: object) => void,
  ): void {
    const { channel, symbol, event_trigger, snapshot } = wanted
    if (channel === 'instrument') {
      answer({ success: true, result: { channel, snapshot } })
      client.subscribed = true
      if (method === 'subscribe' && snapshot) this.#send(client, INSTRUMENTS)
      return
    }
    if (channel !== 'ticker') return answer({ success: false, error: `Channel ${channel} not supported` })
    for (const one of symbol ?? []) {
      if (one !== SYMBOL) {
        answer({ success: false, error: `Currency pair not supported ${one}`, symbol: one })
        continue
      }
      if (method === 'subscribe' && client.ticker) {
        answer({ success: false, error: 'Already subscribed', symbol: one })
        continue
      }
      if (method === 'unsubscribe') delete client.ticker
      else {
        client.ticker = event_trigger
        client.subscribed = true
      }
      answer({ success: true, result: { channel, event_trigger, snapshot, symbol: one } })
      if (method === 'subscribe' && snapshot) this.#send(client, this.#ticker('snapshot'))
    }
  }

  #quoted(): void {
    const isTrade = this.#random.chance(0.2)
    const frame = this.#ticker('update')
    for (const client of this.#clients) if (client.ticker === 'bbo' || (client.ticker && isTrade)) this.#send(client, frame)
    this.counts.ticker_updates += 1
  }

  #heartbeats(): void {
    for (const client of this.#clients)
      if (client.subscribed && this.#now() - client.lastSentAt >= 900) this.#send(client, '{"channel":"heartbeat"}')
  }

  #send(client: Client, text: string): void {
    if (client.socket.readyState !== client.socket.OPEN || this.#faults.hit('kraken.silence')) return
    client.lastSentAt = this.#now()
    client.socket.send(text)
  }

  #faultNow(name: string, value: string | number | undefined): void {
    if (name === 'kraken.drop' && this.#faults.hit('kraken.drop')) {
      this.terminateAll()
      this.#faults.order({ name: 'kraken.drop', on: false })
    }
    if (name === 'kraken.status' && this.#faults.hit('kraken.status')) {
      this.#system = String(value ?? 'maintenance')
      for (const client of this.#clients) this.#send(client, this.#statusFrame())
      this.#faults.order({ name: 'kraken.status', on: false })
    }
  }

  /** The connection id is above 2^53, as the real one. */
  #statusFrame(): string {
    const id = 13_834_774_380_200_000_000n + BigInt(this.counts.connections)
    return `{"channel":"status","type":"update","data":[{"version":"2.0.0","system":${JSON.stringify(this.#system)},"api_version":"v2","connection_id":${id}}]}`
  }

  #ticker(type: 'snapshot' | 'update'): string {
    const { bidTenths, askTenths } = this.#market.quote
    const [bid, ask] = [tenthsText(bidTenths), tenthsText(askTenths)]
    const last = this.#random.chance(0.5) ? bid : ask
    const quantity = (): string => `0.${this.#random.integer(1_000_000, 99_999_999).toString().padStart(8, '0')}`
    return (
      `{"channel":"ticker","type":"${type}","data":[{"symbol":"${SYMBOL}","bid":${bid},"bid_qty":${quantity()},"ask":${ask},"ask_qty":${quantity()},` +
      `"last":${last},"volume":512.${this.#random.integer(10_000_000, 99_999_999)},"vwap":${bid},"low":${tenthsText(bidTenths - 9_000n)},` +
      `"high":${tenthsText(askTenths + 9_000n)},"change":120.0,"change_pct":0.20,"timestamp":"${this.#time()}"}]}`
    )
  }

  /** RFC 3339 with microseconds. */
  #time(): string {
    return new Date(this.#now()).toISOString().replace('Z', '000Z')
  }
}

const INSTRUMENTS =
  '{"channel":"instrument","type":"snapshot","data":{"assets":[{"id":"BTC","status":"enabled","precision":10,"precision_display":8,"borrowable":false,"collateral_value":1.00,"margin_rate":0.01},' +
  '{"id":"EUR","status":"enabled","precision":4,"precision_display":2,"borrowable":false,"collateral_value":1.00,"margin_rate":0.01}],' +
  '"pairs":[{"symbol":"BTC/EUR","base":"BTC","quote":"EUR","status":"online","qty_precision":8,"qty_increment":0.00000001,"price_precision":1,"cost_precision":5,' +
  '"marginable":false,"has_index":true,"cost_min":0.5,"tick_size":0.1,"price_increment":0.1,"qty_min":0.00005}]}}'
