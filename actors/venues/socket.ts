import { WebSocket } from 'ws'

/**
 * A websocket that comes back by itself, for feeds.
 *
 * W1. There is at most one socket at any time: a new one is opened only after the old one's `close`.
 * W2. It tries again without limit, until `close()`.
 * W3. A socket that is silent where it must not be is dropped: no sign of life after a ping, or (if the venue promises
 *     traffic) no frame for `silenceMs`.
 * W4. Headers, so credentials, are in no state, log or reason.
 */
export type SocketTimings = {
  connectTimeoutMs: number
  /** a ping is sent this often ... */
  pingEveryMs: number
  /** ... and anything must be heard within this, else the socket is dropped */
  pongWithinMs: number
  /** the longest that a live venue says nothing at all; null where silence is normal */
  silenceMs: number | null
  /** a connection that lived this long forgets earlier failures */
  stableMs: number
  /** wait before the next attempt; failures counts short connections in a row before this one; random is in [0, 1) */
  delayMs: (failures: number, random: number) => number
  /** the same after 401, 403 or 429, which hammering makes worse */
  refusedDelayMs: (random: number) => number
  /** at most so many attempts in a rolling window, where the venue bans who makes more */
  attempts: { max: number; windowMs: number } | null
}

/** Exponential from half of `baseMs` to `capMs`, half of it jitter, so that processes that died together do not return together. */
export const jitteredBackoff =
  (baseMs: number, capMs: number) =>
  (failures: number, random: number): number =>
    Math.min(capMs, baseMs * 2 ** Math.min(failures, 30)) * (0.5 + random / 2)

export type ConnectionState = {
  connected: boolean
  /** why not connected: `unauthorized`, `no pong`, `closed by the venue (1006)` ...; null when connected */
  reason: string | null
  /** ms, our wall clock: when `connected` last changed */
  since: number
}

export interface VenueLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

export type SocketOptions = {
  url: string
  headers?: Record<string, string>
  timings: SocketTimings
  /** a ping as text, for venues that count only their own; else websocket pings */
  pingText?: () => string
  random?: () => number
  log: VenueLog
  onOpen(): void
  onText(text: string, receivedAtMs: number): void
  /** the socket is gone, whatever was asked on it stays unanswered */
  onGone(reason: string): void
  onConnection(state: ConnectionState): void
}

export interface ReconnectingSocket {
  isOpen(): boolean
  /** False: not open, and provably nothing was sent. True: it may have left. */
  send(text: string): boolean
  /** Drops the socket because of what it said or failed to say; the next attempt follows. */
  drop(reason: string): void
  state(): ConnectionState & { attempts: number; opened: number; last_frame_at: number | null }
  /** Ends for good; resolves when the socket is gone. */
  close(): Promise<void>
}

export const reconnectingSocket = (options: SocketOptions): ReconnectingSocket => {
  const { timings, log, random = Math.random } = options
  const recent: number[] = []
  const counts = { attempts: 0, opened: 0, failures: 0 }
  let connection: ConnectionState = { connected: false, reason: 'connecting', since: Date.now() }
  let lastFrameAt: number | null = null
  let socket: WebSocket | null = null
  let dropReason: string | null = null
  let retry: NodeJS.Timeout | null = null
  let closing: PromiseWithResolvers<void> | null = null

  const report = (connected: boolean, reason: string | null): void => {
    if (connection.connected === connected && connection.reason === reason) return
    connection = { connected, reason, since: connection.connected === connected ? connection.since : Date.now() }
    const event = connected ? (counts.opened > 1 ? 'source.restored' : 'source.connected') : 'source.lost'
    const text = connected ? 'connected' : `not connected: ${reason}`
    log[connected ? 'info' : 'warn']({ event, reason, attempts: counts.attempts }, text)
    options.onConnection({ ...connection })
  }

  const connect = (): void => {
    retry = null
    counts.attempts += 1
    rememberAttempt()
    const current = new WebSocket(options.url, {
      headers: options.headers ?? {},
      handshakeTimeout: timings.connectTimeoutMs,
      perMessageDeflate: false,
      maxPayload: MAX_FRAME_BYTES,
    })
    socket = current
    dropReason = null
    const life = signsOfLife(timings, () => ping(current), drop)
    let openedAt: number | null = null
    current.on('open', () => {
      openedAt = performance.now()
      counts.opened += 1
      life.start()
      report(true, null)
      options.onOpen()
    })
    current.on('message', (data, isBinary) => {
      life.frame()
      lastFrameAt = Date.now()
      options.onText(isBinary ? `(binary frame of ${byteLength(data)} bytes)` : textOf(data), lastFrameAt)
    })
    current.on('pong', life.heard)
    current.on('ping', life.heard)
    current.on('unexpected-response', (_request, response) => drop(refusal(response.statusCode)))
    current.on('error', (error) => (dropReason ??= error.message || String('code' in error ? error.code : error.name)))
    current.once('close', (code) => {
      life.stop()
      socket = null
      if (openedAt !== null && performance.now() - openedAt >= timings.stableMs) counts.failures = 0
      gone(dropReason ?? `closed by the venue (${code})`, openedAt !== null)
    })
  }

  const gone = (reason: string, wasOpen: boolean): void => {
    report(false, closing === null ? reason : 'closed')
    if (wasOpen) options.onGone(reason)
    if (closing !== null) return closing.resolve()
    retry = setTimeout(connect, nextDelayMs(reason))
    counts.failures += 1
  }

  const nextDelayMs = (reason: string): number => {
    const wanted = REFUSALS.has(reason) ? timings.refusedDelayMs(random()) : timings.delayMs(counts.failures, random())
    const oldest = recent[0]
    if (timings.attempts === null || oldest === undefined || recent.length < timings.attempts.max) return wanted
    return Math.max(wanted, oldest + timings.attempts.windowMs - performance.now())
  }

  const rememberAttempt = (): void => {
    if (timings.attempts === null) return
    recent.push(performance.now())
    if (recent.length > timings.attempts.max) recent.shift()
  }

  const drop = (reason: string): void => {
    dropReason ??= reason
    socket?.terminate()
  }

  const ping = (current: WebSocket): void => {
    if (options.pingText === undefined) current.ping()
    else current.send(options.pingText())
  }

  connect()

  return {
    isOpen: () => socket?.readyState === WebSocket.OPEN,
    send: (text) => {
      if (socket?.readyState !== WebSocket.OPEN) return false
      socket.send(text)
      return true
    },
    drop,
    state: () => ({ ...connection, attempts: counts.attempts, opened: counts.opened, last_frame_at: lastFrameAt }),
    close: async () => {
      if (closing !== null) return closing.promise
      closing = Promise.withResolvers<void>()
      if (retry !== null) clearTimeout(retry)
      if (socket === null) gone('closed', false)
      else closeSoon(socket)
      return closing.promise
    },
  }
}

const MAX_FRAME_BYTES = 1_048_576
const CLOSE_WITHIN_MS = 1_000
const REFUSALS: ReadonlySet<string> = new Set(['unauthorized', 'rate limited'])

const refusal = (status = 0): string => {
  if (status === 401 || status === 403) return 'unauthorized'
  return status === 429 ? 'rate limited' : `handshake refused with HTTP ${status}`
}

/** The timers behind W3. */
const signsOfLife = (timings: SocketTimings, ping: () => void, drop: (reason: string) => void) => {
  let pings: NodeJS.Timeout | undefined
  let silence: NodeJS.Timeout | undefined
  let pong: NodeJS.Timeout | undefined
  const heard = (): void => {
    clearTimeout(pong)
    pong = undefined
  }
  const askForLife = (): void => {
    ping()
    pong ??= setTimeout(drop, timings.pongWithinMs, 'no pong')
  }
  return {
    heard,
    frame: () => {
      heard()
      silence?.refresh()
    },
    start: () => {
      pings = setInterval(askForLife, timings.pingEveryMs)
      if (timings.silenceMs !== null) silence = setTimeout(drop, timings.silenceMs, 'silent')
    },
    stop: () => {
      heard()
      clearInterval(pings)
      clearTimeout(silence)
    },
  }
}

/** Politely, then by force: a peer that is gone never answers a close frame. */
const closeSoon = (socket: WebSocket): void => {
  const force = setTimeout(() => socket.terminate(), CLOSE_WITHIN_MS)
  socket.once('close', () => clearTimeout(force))
  socket.close(1000)
}

const byteLength = (data: Buffer | ArrayBuffer | Buffer[]): number =>
  Array.isArray(data) ? data.reduce((sum, part) => sum + part.length, 0) : data.byteLength

const textOf = (data: Buffer | ArrayBuffer | Buffer[]): string =>
  (Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(data)).toString('utf8')
