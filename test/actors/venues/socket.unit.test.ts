import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { jitteredBackoff, reconnectingSocket } from '#actors/venues/socket.ts'
import type { ConnectionState, SocketTimings } from '#actors/venues/socket.ts'
import { inbox, keptLog, socketServer } from './servers.ts'

const QUICK: SocketTimings = {
  connectTimeoutMs: 500,
  pingEveryMs: 60_000,
  pongWithinMs: 10_000,
  silenceMs: null,
  stableMs: 1_000,
  delayMs: () => 5,
  refusedDelayMs: () => 5,
  attempts: null,
}

const cleanUps: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

const serve = async (...args: Parameters<typeof socketServer>) => {
  const server = await socketServer(...args)
  cleanUps.push(server.stop)
  return server
}

const open = (url: string, timings: Partial<SocketTimings> = {}, headers: Record<string, string> = {}) => {
  const [texts, states, gone] = [inbox<string>(), inbox<ConnectionState>(), inbox<string>()]
  const { log, lines } = keptLog()
  const socket = reconnectingSocket({
    url,
    headers,
    timings: { ...QUICK, ...timings },
    log,
    onOpen: () => {},
    onText: texts.push,
    onGone: gone.push,
    onConnection: states.push,
  })
  cleanUps.unshift(() => socket.close())
  return { socket, texts, states, gone, lines }
}

describe('a socket that comes back', () => {
  it('reports open, gone with the reason, and open again on a new socket', async () => {
    const server = await serve()
    const { socket, states, gone } = open(server.url)
    const first = await server.peers.take()
    expect(await states.take()).toMatchObject({ connected: true, reason: null })
    first.socket.close(1012)
    expect(await gone.take()).toBe('closed by the venue (1012)')
    expect(await states.take()).toMatchObject({ connected: false, reason: 'closed by the venue (1012)' })
    await server.peers.take()
    expect(await states.take()).toMatchObject({ connected: true, reason: null })
    expect(socket.state()).toMatchObject({ connected: true, attempts: 2, opened: 2 })
  })

  it('drops a half-open socket, from which neither pong nor frame comes after a ping', async () => {
    const server = await serve(undefined, { autoPong: false })
    const { gone } = open(server.url, { pingEveryMs: 20, pongWithinMs: 60 })
    await server.peers.take()
    expect(await gone.take()).toBe('no pong')
    await server.peers.take()
    expect(server.mostAtOnce()).toBe(1)
  })

  it('takes any frame after a ping for a sign of life', async () => {
    const server = await serve(undefined, { autoPong: false })
    const { gone, texts } = open(server.url, { pingEveryMs: 20, pongWithinMs: 1_000 })
    const peer = await server.peers.take()
    const pinged = inbox<null>()
    peer.socket.on('ping', () => {
      peer.say('{"still":"here"}')
      pinged.push(null)
    })
    for (let pings = 0; pings < 6; pings += 1) await pinged.take()
    expect(gone.all).toEqual([])
    expect(texts.all.length).toBeGreaterThanOrEqual(5)
  })

  it('drops a socket that answers pings but is silent for longer than the venue ever is', async () => {
    const server = await serve()
    const { gone } = open(server.url, { silenceMs: 50, pingEveryMs: 10 })
    await server.peers.take()
    expect(await gone.take()).toBe('silent')
  })

  it.each([
    [401, 'unauthorized'],
    [403, 'unauthorized'],
    [429, 'rate limited'],
    [502, 'handshake refused with HTTP 502'],
  ])('reports a handshake that is refused with %i as %s, waits as it should, and shows no header', async (code, reason) => {
    const server = await serve(undefined, {
      verifyClient: (_info: unknown, done: (ok: boolean, code: number) => void) => done(false, code),
    })
    const waits = inbox<string>()
    const note = (kind: string) => () => {
      waits.push(kind)
      return 5
    }
    const { states, lines } = open(
      server.url,
      { delayMs: note('backoff'), refusedDelayMs: note('refused') },
      { authorization: 'Bearer secret-jwt' },
    )
    expect(await states.take()).toMatchObject({ connected: false, reason })
    expect(await waits.take()).toBe(code === 502 ? 'backoff' : 'refused')
    await waits.take()
    expect(server.peers.all).toEqual([])
    expect(lines.join()).not.toContain('secret-jwt')
  })

  it('never has two sockets, and grows its wait while connections stay short', async () => {
    const server = await serve((peer) => peer.socket.terminate())
    const failures = inbox<number>()
    open(server.url, {
      delayMs: (count) => {
        failures.push(count)
        return 1
      },
    })
    for (let round = 0; round < 5; round += 1) (await server.peers.take()).socket.terminate()
    for (const expected of [0, 1, 2, 3, 4]) expect(await failures.take()).toBe(expected)
    expect(server.mostAtOnce()).toBe(1)
  })

  it('forgets failures once a connection has been good', async () => {
    const server = await serve()
    const failures = inbox<number>()
    open(server.url, {
      stableMs: 0,
      delayMs: (count) => {
        failures.push(count)
        return 1
      },
    })
    for (let round = 0; round < 3; round += 1) {
      ;(await server.peers.take()).socket.terminate()
      expect(await failures.take()).toBe(0)
    }
  })

  it('makes no more attempts in a window than the venue bears', async () => {
    const server = await serve()
    const { socket, gone } = open(server.url, { delayMs: () => 0, attempts: { max: 3, windowMs: 60_000 } })
    for (let round = 0; round < 3; round += 1) {
      ;(await server.peers.take()).socket.terminate()
      await gone.take()
    }
    // That nothing happens has no event: fifty times the wait that it would have had.
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(socket.state()).toMatchObject({ attempts: 3, connected: false })
  })

  it('gives up a handshake that is never answered, and tries again', async () => {
    const mute = createServer((connection) => connection.resume().on('error', () => {}))
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    cleanUps.push(() => new Promise((resolve) => mute.close(() => resolve())))
    const { states, socket } = open(`ws://127.0.0.1:${(mute.address() as AddressInfo).port}`, { connectTimeoutMs: 30 })
    expect(await states.take()).toMatchObject({ connected: false, reason: 'Opening handshake has timed out' })
    expect(socket.isOpen()).toBe(false)
    expect(socket.send('x')).toBe(false)
  })

  it('names the cause when nobody listens', async () => {
    const server = await socketServer()
    await server.stop()
    const { states } = open(server.url)
    expect((await states.take()).reason).toContain('ECONNREFUSED')
  })

  it('is closed for good, whether open, connecting or waiting to try again', async () => {
    const server = await serve()
    const whileOpen = open(server.url)
    await server.peers.take()
    await whileOpen.socket.close()
    expect(whileOpen.socket.state()).toMatchObject({ connected: false, reason: 'closed' })

    const connecting = open(server.url)
    await connecting.socket.close()
    expect(connecting.socket.state()).toMatchObject({ connected: false, reason: 'closed', opened: 0 })

    const waiting = open('ws://127.0.0.1:9', { delayMs: () => 60_000 })
    await waiting.states.take()
    await waiting.socket.close()
    await waiting.socket.close()
    expect(waiting.socket.state()).toMatchObject({ attempts: 1, reason: 'closed' })
  })

  it('closes in a second even if the peer never answers the close frame', async () => {
    const server = await serve()
    const { socket, states } = open(server.url)
    const peer = await server.peers.take()
    await states.take()
    peer.socket.pause()
    const before = performance.now()
    await socket.close()
    expect(socket.isOpen()).toBe(false)
    expect(performance.now() - before).toBeGreaterThan(900)
  })

  it('hands a binary frame on as what it is', async () => {
    const server = await serve()
    const { texts } = open(server.url)
    ;(await server.peers.take()).socket.send(Buffer.from([1, 2, 3]))
    expect(await texts.take()).toBe('(binary frame of 3 bytes)')
  })
})

describe('backoff', () => {
  it('doubles up to its cap and is never below half of it', () => {
    const delay = jitteredBackoff(500, 30_000)
    expect([0, 1, 2, 10].map((failures) => delay(failures, 0))).toEqual([250, 500, 1_000, 15_000])
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, random) => {
        const full = Math.min(30_000, 500 * 2 ** Math.min(failures, 30))
        expect(delay(failures, random)).toBeGreaterThanOrEqual(full / 2)
        expect(delay(failures, random)).toBeLessThanOrEqual(full)
      }),
    )
  })
})
