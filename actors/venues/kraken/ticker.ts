import { z } from 'zod'
import { parseExact, plainDecimal } from '../json.ts'
import { jitteredBackoff, reconnectingSocket } from '../socket.ts'
import type { ConnectionState, SocketTimings, VenueLog } from '../socket.ts'

/**
 * Kraken's public websocket v2: best bid and ask of one symbol, at engine precision.
 * A live connection with a subscription is never silent (a heartbeat a second when nothing else flows), so silence means a
 * dead socket and not a quiet market.
 * @see docs.kraken.com websocket-v2 ticker, heartbeat, status (2026-07)
 */
export type Ticker = {
  symbol: string
  type: 'snapshot' | 'update'
  /** decimal strings, digits as sent */
  bid: string
  ask: string
  /** null when the venue gives none: only sure if something traded within 24 h */
  last: string | null
  /** RFC 3339, the venue's time; null when it gives none */
  at: string | null
  receivedAtMs: number
  /** the frame's text as it came */
  raw: string
}

export type SystemStatus = 'online' | 'maintenance' | 'cancel_only' | 'post_only'

export type KrakenOptions = {
  url: string
  /** `BTC/EUR` unless told */
  symbol?: string
  onTicker(ticker: Ticker): void
  /** the venue is there and its last ticker still holds */
  onHeartbeat?(atMs: number): void
  /** another word than SystemStatus is handed on as it is */
  onStatus?(system: SystemStatus | (string & {})): void
  onConnection?(state: ConnectionState): void
  onUnknown?(text: string, reason: string): void
  log: VenueLog
  random?: () => number
  timings?: Partial<SocketTimings>
}

export interface KrakenFeed {
  state(): ConnectionState & {
    attempts: number
    opened: number
    last_frame_at: number | null
    subscribed: boolean
    system: string | null
    unknown_frames: number
  }
  close(): Promise<void>
}

const INSTANT_MS = [0, 100, 500, 1_000, 2_000]
const slowly = jitteredBackoff(10_000, 30_000)

/**
 * A handful of quick attempts after a drop, then at most one in 5 s, as the venue asks. It bans an address for 10 minutes after
 * 150 attempts in 10; other processes share our address, so we stay at a third.
 */
export const KRAKEN_TIMINGS: SocketTimings = {
  connectTimeoutMs: 10_000,
  pingEveryMs: 25_000,
  pongWithinMs: 10_000,
  silenceMs: 8_000,
  stableMs: 10_000,
  delayMs: (failures, random) => INSTANT_MS[failures] ?? slowly(failures - INSTANT_MS.length, random),
  refusedDelayMs: (random) => 60_000 + 60_000 * random,
  attempts: { max: 50, windowMs: 600_000 },
}

/**
 * Connects at once and stays connected until `close()`.
 * @throws {SyntaxError} when the URL is not a websocket URL
 */
export const connectKraken = (options: KrakenOptions): KrakenFeed => {
  const { symbol = 'BTC/EUR' } = options
  let requestId = 0
  let subscribed = false
  let system: string | null = null
  let unknownFrames = 0

  const unknown = (text: string, reason: string): void => {
    unknownFrames += 1
    options.onUnknown?.(text.slice(0, 2_000), reason)
  }

  const onText = (raw: string, receivedAtMs: number): void => {
    const frame = readKraken(raw)
    switch (frame.kind) {
      case 'ticker':
        if (frame.ticker.symbol !== symbol) return unknown(raw, `a ticker of ${frame.ticker.symbol}`)
        return options.onTicker({ ...frame.ticker, receivedAtMs, raw })
      case 'heartbeat':
        return options.onHeartbeat?.(receivedAtMs)
      case 'status':
        system = frame.system
        if (system !== 'online') options.log.warn({ event: 'source.status', system }, 'kraken is not online')
        return options.onStatus?.(frame.system)
      case 'subscribed':
        subscribed = true
        return undefined
      case 'refused':
        unknown(raw, frame.reason)
        // Without a subscription no heartbeat comes: rather a new attempt, with backoff, than silence.
        return socket.drop(frame.reason)
      case 'pong':
        return undefined
      case 'unknown':
        return unknown(raw, frame.reason)
    }
  }

  const socket = reconnectingSocket({
    url: options.url,
    timings: { ...KRAKEN_TIMINGS, ...options.timings },
    pingText: () => JSON.stringify({ method: 'ping', req_id: (requestId += 1) }),
    random: options.random ?? Math.random,
    log: options.log,
    onOpen: () => {
      // The default trigger fires on trades only.
      const params = { channel: 'ticker', symbol: [symbol], event_trigger: 'bbo', snapshot: true }
      socket.send(JSON.stringify({ method: 'subscribe', params, req_id: (requestId += 1) }))
    },
    onText,
    onGone: () => {
      subscribed = false
      system = null
    },
    onConnection: (state) => options.onConnection?.(state),
  })

  return {
    state: () => ({ ...socket.state(), subscribed, system, unknown_frames: unknownFrames }),
    close: () => socket.close(),
  }
}

type KrakenFrame =
  | { kind: 'ticker'; ticker: Omit<Ticker, 'receivedAtMs' | 'raw'> }
  | { kind: 'status'; system: string }
  | { kind: 'refused' | 'unknown'; reason: string }
  | { kind: 'heartbeat' | 'subscribed' | 'pong' }

/** Never throws. Numbers are read from their source text; `connection_id` (beyond 2^53) is not used at all. */
const readKraken = (raw: string): KrakenFrame => {
  const frame = Envelope.safeParse(parseExact(raw))
  if (!frame.success) return { kind: 'unknown', reason: 'not a JSON object' }
  const { channel, method, type, data, success, error } = frame.data
  if (channel === 'heartbeat') return { kind: 'heartbeat' }
  if (channel === 'ticker') return readTicker(type, data)
  if (channel === 'status') return readStatus(data)
  if (method === 'pong') return { kind: 'pong' }
  if (method === 'subscribe' && success === true) return { kind: 'subscribed' }
  if (method === 'subscribe') return { kind: 'refused', reason: `subscribe refused: ${String(error).slice(0, 200)}` }
  return { kind: 'unknown', reason: 'a frame of no known kind' }
}

const readTicker = (type: unknown, data: unknown): KrakenFrame => {
  const parsed = TickerFrame.safeParse({ type, data })
  if (!parsed.success) return { kind: 'unknown', reason: `ticker: ${z.prettifyError(parsed.error).slice(0, 200)}` }
  const [{ symbol, bid, ask, last, timestamp }] = parsed.data.data
  return { kind: 'ticker', ticker: { symbol, type: parsed.data.type, bid, ask, last: last ?? null, at: timestamp ?? null } }
}

const readStatus = (data: unknown): KrakenFrame => {
  const parsed = z.tuple([z.object({ system: z.string().min(1).max(40) })]).safeParse(data)
  return parsed.success ? { kind: 'status', system: parsed.data[0].system } : { kind: 'unknown', reason: 'a status without a system' }
}

const Envelope = z.object({
  channel: z.unknown().optional(),
  method: z.unknown().optional(),
  type: z.unknown().optional(),
  data: z.unknown().optional(),
  success: z.unknown().optional(),
  error: z.unknown().optional(),
})

const Price = z.string().transform((source, context) => {
  const price = plainDecimal(source)
  if (price !== null && !price.startsWith('-') && /[1-9]/.test(price)) return price
  context.addIssue('not a price above zero')
  return z.NEVER
})

const TickerFrame = z.object({
  type: z.enum(['snapshot', 'update']),
  data: z.tuple([
    z.object({
      symbol: z.string(),
      bid: Price,
      ask: Price,
      last: Price.nullish().catch(null),
      timestamp: z.iso.datetime().nullish().catch(null),
    }),
  ]),
})
