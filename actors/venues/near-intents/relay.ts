import { jitteredBackoff, reconnectingSocket } from '../socket.ts'
import type { ConnectionState, SocketTimings, VenueLog } from '../socket.ts'
import { readFrame } from './frames.ts'
import type { Metadata, QuoteRequest, QuoteStatus } from './frames.ts'
import { redact } from './redact.ts'
import type { SignedData } from './signer.ts'

/**
 * The solver bus: JSON-RPC 2.0 over a websocket that comes back by itself, with numeric ids.
 *
 * RL1. An offer is sent at most once. "Not connected" is said only when provably nothing was sent; after the send, whatever is
 *      not the venue's own yes or no is silence, and silence is not "no".
 * RL2. Subscriptions are made again on every open; a connection on which one fails is dropped.
 * RL3. No signature and no credential is in a log, a state, a text of an outcome or of an unknown frame.
 * RL4. Nothing that the relay sends can throw here; what is not understood is reported.
 */
export type Subscription = {
  stream: 'quote' | 'quote_status' | 'quote_status_extended'
  filters?: { tokens_in?: readonly string[]; tokens_out?: readonly string[] }
}

export type QuoteFrame = {
  data: QuoteRequest
  metadata: Metadata | null
  /** the frame's text as it came */ raw: string
  receivedAtMs: number
}

export type RelayOptions = {
  url: string
  /** Partner JWT; without one the real relay answers 403 */
  jwt?: string | undefined
  subscriptions: readonly Subscription[]
  onFrame?(kind: 'quote', frame: QuoteFrame): void
  onStatus?(data: QuoteStatus): void
  onConnection?(state: ConnectionState): void
  /** a frame that is not understood, redacted, and why */
  onUnknown?(text: string, reason: string): void
  log: VenueLog
  random?: () => number
  timings?: Partial<SocketTimings> & { requestTimeoutMs?: number }
}

/** `amount_out` when the request fixed `exact_amount_in`, and the reverse; equal to the signed diff's absolute value. */
export type QuoteResponse = {
  quote_id: string
  quote_output: { amount_out: string } | { amount_in: string }
  signed_data: SignedData
}

export type RelayAnswer =
  | { kind: 'ok' }
  /** the relay said no; what was signed could still settle until its deadline */
  | { kind: 'error'; code: number | null; text: string }
  | { kind: 'silence'; reason: string }
  /** nothing was sent */
  | { kind: 'not_connected'; reason: string }

export interface Relay {
  /** @param options.timeoutMs how long an answer is waited for; 5,000 unless told */
  quoteResponse(body: QuoteResponse, options?: { signal?: AbortSignal; timeoutMs?: number }): Promise<RelayAnswer>
  state(): RelayState
  close(): Promise<void>
}

export type RelayState = ConnectionState & {
  attempts: number
  opened: number
  last_frame_at: number | null
  /** stream to subscription id, null while it is asked for */
  subscriptions: Record<string, string | null>
  waiting: number
  unknown_frames: number
}

/** The timings of the real relay: no application ping is documented, silence on a filtered feed is normal (2026-11). */
export const RELAY_TIMINGS: SocketTimings = {
  connectTimeoutMs: 10_000,
  pingEveryMs: 15_000,
  pongWithinMs: 10_000,
  silenceMs: null,
  stableMs: 5_000,
  delayMs: jitteredBackoff(500, 30_000),
  refusedDelayMs: (random) => 30_000 + 30_000 * random,
  attempts: null,
}

/**
 * Connects at once and stays connected until `close()`.
 * @throws {SyntaxError} when the URL is not a websocket URL
 */
export const connectRelay = (options: RelayOptions): Relay => {
  const { requestTimeoutMs = 10_000, ...timings } = options.timings ?? {}
  const waiting = new Map<number, (outcome: Outcome) => void>()
  const subscriptions = new Map<string, string | null>()
  let lastId = 0
  let unknownFrames = 0

  const unknown = (text: string, reason: string): void => {
    unknownFrames += 1
    options.onUnknown?.(redact(text), redact(reason))
  }

  const onText = (text: string, receivedAtMs: number): void => {
    const frame = readFrame(text)
    switch (frame.kind) {
      case 'quote':
        return options.onFrame?.('quote', { data: frame.data, metadata: frame.metadata, raw: text, receivedAtMs })
      case 'status':
        return options.onStatus?.(frame.data)
      case 'answer': {
        const settle = waiting.get(frame.id)
        return settle === undefined ? unknown(text, `answer to ${frame.id}, for which nobody waits`) : settle(frame)
      }
      case 'unknown':
        return unknown(text, frame.problem)
    }
  }

  /** Sends one request; its outcome comes once, and never later than the timeout. */
  const request = (method: string, params: unknown[], limits: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<Outcome> =>
    new Promise((resolve) => {
      const id = (lastId += 1)
      if (limits.signal?.aborted) return resolve({ kind: 'unsent', reason: 'aborted before it was sent' })
      const settle = (outcome: Outcome): void => {
        clearTimeout(timer)
        limits.signal?.removeEventListener('abort', abort)
        waiting.delete(id)
        resolve(outcome)
      }
      const abort = (): void => settle({ kind: 'lost', why: 'aborted', reason: 'aborted after it was sent' })
      const timer = setTimeout(settle, limits.timeoutMs, {
        kind: 'lost',
        why: 'timeout',
        reason: `no answer within ${limits.timeoutMs} ms`,
      })
      limits.signal?.addEventListener('abort', abort, { once: true })
      waiting.set(id, settle)
      if (!socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))) settle({ kind: 'unsent', reason: 'not connected' })
    })

  const subscribe = async ({ stream, filters }: Subscription): Promise<void> => {
    const outcome = await request('subscribe', filters === undefined ? [stream] : [stream, filters], { timeoutMs: requestTimeoutMs })
    if (outcome.kind === 'answer' && typeof outcome.result === 'string') subscriptions.set(stream, outcome.result)
    else if (outcome.kind === 'answer') socket.drop(`subscribe ${stream} refused: ${errorOf(outcome.error).text}`)
    // One that was lost with its connection must not drop the next.
    else if (outcome.kind === 'lost' && outcome.why === 'timeout') socket.drop(`subscribe ${stream}: ${outcome.reason}`)
  }

  const socket = reconnectingSocket({
    url: options.url,
    headers: options.jwt === undefined ? {} : { authorization: `Bearer ${options.jwt}` },
    timings: { ...RELAY_TIMINGS, ...timings },
    random: options.random ?? Math.random,
    log: options.log,
    onOpen: () => {
      for (const subscription of options.subscriptions) {
        subscriptions.set(subscription.stream, null)
        void subscribe(subscription)
      }
    },
    onText,
    onGone: (reason) => {
      subscriptions.clear()
      for (const settle of waiting.values()) settle({ kind: 'lost', why: 'gone', reason: `connection lost: ${reason}` })
    },
    onConnection: (state) => options.onConnection?.(state),
  })

  return {
    quoteResponse: async (body, { signal, timeoutMs = 5_000 } = {}) =>
      toAnswer(await request('quote_response', [body], { timeoutMs, signal })),
    state: () => ({
      ...socket.state(),
      subscriptions: Object.fromEntries(subscriptions),
      waiting: waiting.size,
      unknown_frames: unknownFrames,
    }),
    close: () => socket.close(),
  }
}

type Outcome =
  | { kind: 'answer'; result: unknown; error: unknown }
  | { kind: 'lost'; why: 'timeout' | 'gone' | 'aborted'; reason: string }
  | { kind: 'unsent'; reason: string }

const toAnswer = (outcome: Outcome): RelayAnswer => {
  if (outcome.kind === 'unsent') return { kind: 'not_connected', reason: outcome.reason }
  if (outcome.kind === 'lost') return { kind: 'silence', reason: redact(outcome.reason) }
  if (outcome.error !== undefined) return { kind: 'error', ...errorOf(outcome.error) }
  if (outcome.result === 'OK') return { kind: 'ok' }
  return { kind: 'silence', reason: `unexpected result ${redact(JSON.stringify(outcome.result) ?? 'undefined').slice(0, 200)}` }
}

/** Objects with code and message over the websocket; the HTTP side also uses bare strings, so both are read. */
const errorOf = (error: unknown): { code: number | null; text: string } => {
  if (typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string')
    return { code: 'code' in error && typeof error.code === 'number' ? error.code : null, text: redact(error.message) }
  return { code: null, text: redact(typeof error === 'string' ? error : (JSON.stringify(error) ?? 'no reason given')) }
}
