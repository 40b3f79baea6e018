import { afterEach, describe, expect, it } from 'vitest'
import type { QuoteStatus } from '#actors/venues/near-intents/frames.ts'
import { connectRelay, RELAY_TIMINGS } from '#actors/venues/near-intents/relay.ts'
import type { QuoteFrame, QuoteResponse, RelayOptions } from '#actors/venues/near-intents/relay.ts'
import type { ConnectionState } from '#actors/venues/socket.ts'
import fixture from '#test/fixtures/near-intents/relay-messages.json' with { type: 'json' }
import { inbox, keptLog, socketServer } from '../servers.ts'
import type { Line, Peer } from '../servers.ts'

const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJwYXJ0bmVyIn0.c2lnbmF0dXJlLW9mLXRoZS1qd3Q'
const SIGNATURE = '5Q93utXDtdHwKFH2rqwagjFSbMoAzuXJ3vsqsRCMZ5uxd9jbtKYfsPD8JWtfuwBeDhssAkknPqdBbCTrZjuhDdGw'
const FILTERS = { tokens_in: ['nep141:btc.omft.near'], tokens_out: ['nep141:nbtc.bridge.near'] }

const frameNamed = (name: string): Record<string, unknown> => {
  const message = fixture.messages.find((each) => each.name.startsWith(name))
  if (message === undefined) throw new Error(`no fixture ${name}`)
  return message.frame as Record<string, unknown>
}
const params = frameNamed('quote_response').params as [QuoteResponse]
const BODY = params[0]

const cleanUps: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

/** Acknowledges subscriptions; `onQuote` decides about responses. */
const serve = async (onQuote: (peer: Peer, line: Line) => void = () => {}, options = {}) => {
  const server = await socketServer((peer, line) => {
    if (line.method === 'subscribe') peer.say({ jsonrpc: '2.0', id: line.id, result: `sub-${String(line.params?.[0])}` })
    else onQuote(peer, line)
  }, options)
  cleanUps.push(server.stop)
  return server
}

const connect = (url: string, options: Partial<RelayOptions> = {}) => {
  const [quotes, statuses, states, unknown] = [inbox<QuoteFrame>(), inbox<QuoteStatus>(), inbox<ConnectionState>(), inbox<string>()]
  const { log, lines } = keptLog()
  const relay = connectRelay({
    url,
    jwt: JWT,
    subscriptions: [{ stream: 'quote', filters: FILTERS }, { stream: 'quote_status' }],
    onFrame: (_kind, frame) => quotes.push(frame),
    onStatus: statuses.push,
    onConnection: states.push,
    onUnknown: (text, reason) => unknown.push(`${reason} | ${text}`),
    log,
    ...options,
    timings: { delayMs: () => 5, refusedDelayMs: () => 5, ...options.timings },
  })
  cleanUps.unshift(() => relay.close())
  return { relay, quotes, statuses, states, unknown, lines }
}

/** Connected and subscribed. */
const connected = async (onQuote?: (peer: Peer, line: Line) => void, options: Partial<RelayOptions> = {}) => {
  const server = await serve(onQuote)
  const client = connect(server.url, options)
  const peer = await server.peers.take()
  await peer.lines.take()
  await peer.lines.take()
  peer.say(frameNamed('quote event exact in'))
  await client.quotes.take()
  return { server, peer, ...client }
}

describe('subscriptions', () => {
  it('are made on every open, with the JWT in the handshake and numeric ids that never repeat', async () => {
    const server = await serve()
    const { relay, quotes } = connect(server.url)
    const ids = new Set<unknown>()
    for (let round = 0; round < 3; round += 1) {
      const peer = await server.peers.take()
      expect(peer.headers.authorization).toBe(`Bearer ${JWT}`)
      const lines = [await peer.lines.take(), await peer.lines.take()]
      expect(lines.map((line) => [line.method, line.params])).toEqual([
        ['subscribe', ['quote', FILTERS]],
        ['subscribe', ['quote_status']],
      ])
      for (const { id } of lines) {
        expect(id).toBeTypeOf('number')
        expect(ids.has(id)).toBe(false)
        ids.add(id)
      }
      peer.say(frameNamed('quote event exact in'))
      await quotes.take()
      expect(relay.state().subscriptions).toEqual({ quote: 'sub-quote', quote_status: 'sub-quote_status' })
      if (round < 2) peer.socket.terminate()
    }
    expect(server.mostAtOnce()).toBe(1)
  })

  it('that are refused drop the connection, with the reason', async () => {
    const server = await socketServer((peer, line) => peer.say({ ...frameNamed('error: guaranteed'), id: line.id }))
    cleanUps.push(server.stop)
    const { states } = connect(server.url)
    expect(await states.take()).toMatchObject({ connected: true })
    expect((await states.take()).reason).toContain('refused: guaranteed delivery is only available')
    await server.peers.take()
    await server.peers.take()
  })

  it('that are not answered in time drop the connection', async () => {
    const server = await socketServer()
    cleanUps.push(server.stop)
    const { states } = connect(server.url, { timings: { requestTimeoutMs: 20 } })
    await states.take()
    expect((await states.take()).reason).toContain('no answer within 20 ms')
  })

  it('need the JWT: 403 is reported as unauthorized, and retried', async () => {
    const server = await serve(undefined, { verifyClient: (_info: unknown, done: (ok: boolean, code: number) => void) => done(false, 403) })
    const { states, lines, relay } = connect(server.url)
    expect(await states.take()).toMatchObject({ connected: false, reason: 'unauthorized' })
    expect(await relay.quoteResponse(BODY)).toEqual({ kind: 'not_connected', reason: 'not connected' })
    expect(lines.join()).not.toContain(JWT)
  })
})

describe('frames', () => {
  it.each(['quote event exact in', 'quote event exact out', 'quote event router sub-leg', 'quote event as PRINTED in docs'])(
    'gives the request, and its text as it came: %s',
    async (name) => {
      const { peer, quotes } = await connected()
      const frame = frameNamed(name) as { params: { data?: object; metadata?: object } }
      const raw = `${JSON.stringify(frame)} `
      const before = Date.now()
      peer.say(raw)
      const quote = await quotes.take()
      expect(quote.raw).toBe(raw)
      expect(quote.receivedAtMs).toBeGreaterThanOrEqual(before)
      expect(frame.params.data ?? frame.params).toMatchObject(JSON.parse(JSON.stringify(quote.data)) as object)
      expect(quote.data.quote_id).toBe('33333333-3333-4333-8333-333333333333')
      expect(quote.metadata).toEqual(frame.params.metadata ?? null)
    },
  )

  it.each(['quote_status event', 'quote_status event, guaranteed', 'quote_status_extended event'])('gives the status: %s', async (name) => {
    const { peer, statuses } = await connected()
    const frame = frameNamed(name) as { params: { data: object } }
    peer.say(frame)
    expect(JSON.parse(JSON.stringify(await statuses.take()))).toEqual(frame.params.data)
  })

  it.each([
    ['{"jsonrpc":"2.0","method":"ev', 'not a JSON object'],
    ['', 'not a JSON object'],
    ['[]', 'not a JSON object'],
    ['null', 'not a JSON object'],
    ['{"jsonrpc":"2.0","method":"maintenance","params":{}}', 'unknown method maintenance'],
    ['{"jsonrpc":"2.0","method":"event"}', 'a notification without params'],
    ['{"jsonrpc":"2.0","method":"event","params":{"data":{"shield":1}}}', 'an event of no known stream'],
    ['{"jsonrpc":"2.0","id":"7","result":"OK"}', 'neither a notification nor an answer'],
    ['{"jsonrpc":"2.0","id":99999,"result":"OK"}', 'answer to 99999, for which nobody waits'],
  ])('reports %j, which is not understood, and goes on', async (text, reason) => {
    const { peer, unknown, quotes, relay } = await connected()
    peer.say(text)
    expect(await unknown.take()).toContain(reason)
    peer.say(frameNamed('quote event exact out'))
    expect((await quotes.take()).data.exact_amount_out).toBe('1000000')
    expect(relay.state()).toMatchObject({ connected: true, unknown_frames: 1 })
  })

  it('reports a frame beyond the size limit by dropping the connection, and comes back', async () => {
    const { peer, server, states } = await connected()
    await states.take()
    peer.say(`{"x":"${'x'.repeat(2_000_000)}"}`)
    expect((await states.take()).reason).toContain('Max payload size exceeded')
    await server.peers.take()
  })
})

describe('an answer to a request for quotes', () => {
  const answering = (frame: (id: number | undefined) => unknown) => (peer: Peer, line: Line) => peer.say(frame(line.id))

  it('is sent as the exact body, and OK is ok', async () => {
    const { relay, peer } = await connected(answering((id) => ({ ...frameNamed('quote_response ok'), id })))
    expect(await relay.quoteResponse(BODY)).toEqual({ kind: 'ok' })
    expect(await peer.lines.take()).toMatchObject({ jsonrpc: '2.0', method: 'quote_response', params: [BODY] })
    expect(relay.state().waiting).toBe(0)
  })

  it('that came late is an error in the words of the relay', async () => {
    const { relay } = await connected(answering((id) => ({ ...frameNamed('quote_response rejected: late'), id })))
    expect(await relay.quoteResponse(BODY)).toEqual({ kind: 'error', code: -32000, text: 'quote not found or already finished' })
  })

  it('that is refused with a bare string is an error without a code', async () => {
    const { relay } = await connected(answering((id) => ({ jsonrpc: '2.0', id, error: 'internal' })))
    expect(await relay.quoteResponse(BODY)).toEqual({ kind: 'error', code: null, text: 'internal' })
  })

  it.each([null, 'ok', true, { status: 'OK' }, 7])('with the result %j, which is neither yes nor no, is silence', async (result) => {
    const { relay } = await connected(answering((id) => ({ jsonrpc: '2.0', id, result })))
    expect(await relay.quoteResponse(BODY)).toMatchObject({
      kind: 'silence',
      reason: expect.stringContaining('unexpected result') as string,
    })
  })

  it('that nobody answers is silence after the timeout, and a later answer is reported', async () => {
    const { relay, peer, unknown } = await connected()
    expect(await relay.quoteResponse(BODY, { timeoutMs: 20 })).toEqual({ kind: 'silence', reason: 'no answer within 20 ms' })
    const { id } = await peer.lines.take()
    peer.say({ jsonrpc: '2.0', id, result: 'OK' })
    expect(await unknown.take()).toContain('for which nobody waits')
  })

  it('is silence when the socket closes after the send', async () => {
    const { relay } = await connected((peer) => peer.socket.terminate())
    expect(await relay.quoteResponse(BODY)).toMatchObject({ kind: 'silence', reason: expect.stringContaining('connection lost') as string })
  })

  it('is silence when the caller gives up after the send, and unsent when before it', async () => {
    const giveUp = new AbortController()
    const { relay, peer } = await connected(() => giveUp.abort())
    expect(await relay.quoteResponse(BODY, { signal: giveUp.signal })).toEqual({ kind: 'silence', reason: 'aborted after it was sent' })
    expect(await relay.quoteResponse(BODY, { signal: giveUp.signal })).toEqual({
      kind: 'not_connected',
      reason: 'aborted before it was sent',
    })
    await peer.lines.take()
    expect(peer.lines.all.filter((line) => line.method === 'quote_response')).toHaveLength(1)
  })

  it('is silence when the relay is closed meanwhile, and unsent after that', async () => {
    const { relay } = await connected()
    const answer = relay.quoteResponse(BODY)
    await relay.close()
    expect(await answer).toMatchObject({ kind: 'silence' })
    expect(await relay.quoteResponse(BODY)).toEqual({ kind: 'not_connected', reason: 'not connected' })
  })

  it('belongs to its own request when many are under way and answered in reverse', async () => {
    const held: Array<() => void> = []
    const { relay } = await connected((peer, line) => {
      const quote = (line.params as [QuoteResponse])[0].quote_id
      held.push(() => peer.say({ jsonrpc: '2.0', id: line.id, error: { code: 1, message: `about ${quote}` } }))
      if (held.length === 20) for (const answer of held.toReversed()) answer()
    })
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => relay.quoteResponse({ ...BODY, quote_id: `q${index}` })))
    expect(answers).toEqual(answers.map((_, index) => ({ kind: 'error', code: 1, text: `about q${index}` })))
  })
})

describe('a signature', () => {
  it('is in no log, no text of an outcome and no unknown frame, even if the relay repeats what we sent', async () => {
    const { relay, peer, unknown, lines } = await connected((from, line) => {
      from.say(line)
      from.say(JSON.stringify(line).slice(0, -3))
      from.say({ jsonrpc: '2.0', id: 77_777, result: JSON.stringify(line) })
      from.say({ jsonrpc: '2.0', id: line.id, error: { code: 1, message: `bad request ${JSON.stringify(line)} for ${JWT}` } })
    })
    const refused = await relay.quoteResponse(BODY)
    peer.socket.terminate()
    expect(refused.kind).toBe('error')
    const everything = [JSON.stringify(refused), ...unknown.all, ...lines].join('\n')
    expect(unknown.all).toHaveLength(3)
    for (const secret of [SIGNATURE, SIGNATURE.slice(0, 20), SIGNATURE.slice(-20), JWT]) expect(everything).not.toContain(secret)
    expect(everything).toContain('[redacted]')
  })

  it('is not in the silence about an unexpected result either', async () => {
    const { relay } = await connected((peer, line) => peer.say({ jsonrpc: '2.0', id: line.id, result: line.params }))
    expect(JSON.stringify(await relay.quoteResponse(BODY))).not.toContain(SIGNATURE.slice(0, 20))
  })
})

describe('timings against the real relay', () => {
  it('come back after 250 to 500 ms first and 30 s at most, and slowly when unauthorized', () => {
    expect(RELAY_TIMINGS).toMatchObject({ pingEveryMs: 15_000, pongWithinMs: 10_000, silenceMs: null })
    expect([RELAY_TIMINGS.delayMs(0, 0), RELAY_TIMINGS.delayMs(0, 1), RELAY_TIMINGS.delayMs(50, 1)]).toEqual([250, 500, 30_000])
    expect(RELAY_TIMINGS.refusedDelayMs(0)).toBe(30_000)
  })
})
