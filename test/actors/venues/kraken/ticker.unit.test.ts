import { afterEach, describe, expect, it } from 'vitest'
import { connectKraken, KRAKEN_TIMINGS } from '#actors/venues/kraken/ticker.ts'
import type { KrakenOptions, Ticker } from '#actors/venues/kraken/ticker.ts'
import type { ConnectionState } from '#actors/venues/socket.ts'
import fixture from '#test/fixtures/kraken/ws-v2-messages.json' with { type: 'json' }
import { inbox, keptLog, socketServer } from '../servers.ts'
import type { Line, Peer } from '../servers.ts'

const { frames } = fixture

const cleanUps: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

/** Says what Kraken says: status on connect, one acknowledgement and a snapshot for a subscription, pongs. */
const asKraken = (peer: Peer, line: Line): void => {
  if (line.method === 'ping') return peer.say({ method: 'pong', req_id: line.req_id })
  peer.say(frames.status_online)
  peer.say(frames.subscribed)
  return peer.say(frames.snapshot)
}

const serve = async (...args: Parameters<typeof socketServer>) => {
  const server = await socketServer(...args)
  cleanUps.push(server.stop)
  return server
}

const connect = (url: string, options: Partial<KrakenOptions> = {}) => {
  const [tickers, beats, systems, states, unknown] = [
    inbox<Ticker>(),
    inbox<number>(),
    inbox<string>(),
    inbox<ConnectionState>(),
    inbox<string>(),
  ]
  const { log, lines } = keptLog()
  const feed = connectKraken({
    url,
    onTicker: tickers.push,
    onHeartbeat: beats.push,
    onStatus: systems.push,
    onConnection: states.push,
    onUnknown: (text, reason) => unknown.push(`${reason} | ${text}`),
    log,
    ...options,
    timings: { delayMs: () => 5, ...options.timings },
  })
  cleanUps.unshift(() => feed.close())
  return { feed, tickers, beats, systems, states, unknown, lines }
}

describe('the ticker of Kraken', () => {
  it('is subscribed by best bid and ask, and gives every digit as sent', async () => {
    const server = await serve(asKraken)
    const { feed, tickers, systems } = connect(server.url)
    const peer = await server.peers.take()
    expect(await peer.lines.take()).toEqual({
      method: 'subscribe',
      params: { channel: 'ticker', symbol: ['BTC/EUR'], event_trigger: 'bbo', snapshot: true },
      req_id: 1,
    })
    const before = Date.now()
    expect(await tickers.take()).toEqual({
      symbol: 'BTC/EUR',
      type: 'snapshot',
      bid: '85281.0',
      ask: '85281.1',
      last: '85281.1',
      at: '2026-11-20T10:00:00.123456Z',
      receivedAtMs: expect.closeTo(before, -3) as number,
      raw: frames.snapshot,
    })
    peer.say(frames.update)
    expect(await tickers.take()).toMatchObject({ type: 'update', bid: '85280.9', ask: '85281.10' })
    expect(systems.all).toEqual(['online'])
    expect(feed.state()).toMatchObject({ connected: true, subscribed: true, system: 'online', unknown_frames: 0 })
  })

  it('is confirmed by heartbeats', async () => {
    const server = await serve(asKraken)
    const { beats } = connect(server.url)
    const peer = await server.peers.take()
    const before = Date.now()
    peer.say(frames.heartbeat)
    expect(await beats.take()).toBeGreaterThanOrEqual(before)
  })

  it('is subscribed again after a reconnect, and state starts over', async () => {
    const server = await serve(asKraken)
    const { feed, tickers, states } = connect(server.url)
    for (let round = 0; round < 3; round += 1) {
      const peer = await server.peers.take()
      expect((await tickers.take()).type).toBe('snapshot')
      expect((await states.take()).connected).toBe(true)
      peer.socket.terminate()
      expect((await states.take()).connected).toBe(false)
      expect(feed.state()).toMatchObject({ subscribed: false, system: null })
    }
    expect(server.mostAtOnce()).toBe(1)
  })

  it('is dropped when silent: no heartbeat means a dead socket and not a quiet market', async () => {
    const server = await serve(asKraken)
    const { states } = connect(server.url, { timings: { silenceMs: 40 } })
    await states.take()
    expect(await states.take()).toMatchObject({ connected: false, reason: 'silent' })
    await server.peers.take()
    await server.peers.take()
  })

  it('stays when heartbeats come, for many times the allowed silence', async () => {
    const server = await serve(asKraken)
    const { states, beats } = connect(server.url, { timings: { silenceMs: 200 } })
    const peer = await server.peers.take()
    const beating = setInterval(() => peer.say(frames.heartbeat), 20)
    for (let beat = 0; beat < 25; beat += 1) await beats.take()
    clearInterval(beating)
    expect(states.all).toHaveLength(1)
  })

  it('pings in Kraken’s own words, and takes the pong', async () => {
    const server = await serve(asKraken)
    const { unknown } = connect(server.url, { timings: { pingEveryMs: 15, silenceMs: 500 } })
    const peer = await server.peers.take()
    await peer.lines.take()
    const [first, second] = [await peer.lines.take(), await peer.lines.take()]
    expect(first).toEqual({ method: 'ping', req_id: 2 })
    expect(second).toEqual({ method: 'ping', req_id: 3 })
    peer.say(frames.pong)
    expect(unknown.all).toEqual([])
  })

  it('that is refused is reported and tried again, not waited for', async () => {
    const server = await serve((peer) => peer.say(frames.subscribe_refused))
    const { states, unknown } = connect(server.url, { symbol: 'XBT/EUR' })
    await states.take()
    expect((await states.take()).reason).toBe('subscribe refused: Currency pair not supported XBT/EUR')
    expect(await unknown.take()).toContain('Currency pair not supported')
    await server.peers.take()
    await server.peers.take()
  })

  it('reports a system that is not online, to the log as well', async () => {
    const server = await serve(asKraken)
    const { systems, lines, feed } = connect(server.url)
    const peer = await server.peers.take()
    await systems.take()
    peer.say(frames.status_cancel_only)
    expect(await systems.take()).toBe('cancel_only')
    expect(feed.state().system).toBe('cancel_only')
    expect(lines.join()).toContain('kraken is not online')
  })

  it.each([
    ['not JSON', 'not a JSON object'],
    ['{"channel":"tick', 'not a JSON object'],
    [frames.rate_error, 'no known kind'],
    ['{"channel":"book","type":"update","data":[]}', 'no known kind'],
    [frames.update.replace('BTC/EUR', 'SOL/EUR'), 'a ticker of SOL/EUR'],
    [frames.update.replace('85280.9', '0.0'), 'not a price above zero'],
    [frames.update.replace('85280.9', '-1'), 'not a price above zero'],
    [frames.update.replace('85280.9', 'null'), 'ticker:'],
    ['{"channel":"ticker","type":"update","data":[]}', 'ticker:'],
    ['{"channel":"status","data":[{}]}', 'a status without a system'],
  ])('reports %j, which it does not understand, and goes on', async (text, reason) => {
    const server = await serve(asKraken)
    const { tickers, unknown } = connect(server.url)
    const peer = await server.peers.take()
    await tickers.take()
    peer.say(text)
    expect(await unknown.take()).toContain(reason)
    peer.say(frames.update)
    expect((await tickers.take()).bid).toBe('85280.9')
  })

  it('has null for a last price or time that the venue does not give', async () => {
    const server = await serve(asKraken)
    const { tickers } = connect(server.url)
    const peer = await server.peers.take()
    await tickers.take()
    peer.say('{"channel":"ticker","type":"update","data":[{"symbol":"BTC/EUR","bid":1e5,"ask":100000.5,"last":0}]}')
    expect(await tickers.take()).toMatchObject({ bid: '100000', ask: '100000.5', last: null, at: null })
  })
})

describe('timings against the real venue', () => {
  it('come back at once a handful of times, then after 5 to 30 s', () => {
    const delays = [0, 1, 2, 3, 4, 5, 6, 50].map((failures) => KRAKEN_TIMINGS.delayMs(failures, 0))
    expect(delays).toEqual([0, 100, 500, 1_000, 2_000, 5_000, 10_000, 15_000])
    expect(KRAKEN_TIMINGS.delayMs(50, 0.999)).toBeLessThanOrEqual(30_000)
  })

  it('stay far below the 150 attempts in 10 minutes that get an address banned', () => {
    expect(KRAKEN_TIMINGS).toMatchObject({ silenceMs: 8_000, pingEveryMs: 25_000, attempts: { max: 50, windowMs: 600_000 } })
  })
})
