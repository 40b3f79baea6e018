/**
 * A TCP proxy that hurts on purpose: between a client and its server it can cut, stall and refuse, at a moment given in terms of what
 * passes through. It knows nothing of the protocol.
 */
import { createServer, connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'

/** Decides what becomes of bytes on their way. `cut` drops them with the connection, `last` lets them through and cuts then. */
export type Verdict = 'pass' | 'cut' | 'last' | 'stall'

export interface Passing {
  /** of this connection, from 0 */
  readonly connection: number
  readonly bytes: Buffer
  /** before these bytes, on this connection in this direction */
  readonly before: number
}

export interface TcpProxy {
  readonly port: number
  /** asked for what the client sends; default: pass */
  toServer: (passing: Passing) => Verdict
  /** asked for what the server answers; default: pass */
  toClient: (passing: Passing) => Verdict
  /** New connections are closed at once, and the open ones cut. */
  refuse(): void
  accept(): void
  /** On the connections that are open now nothing passes any more in either direction; the ends do not learn of it. */
  stall(): void
  /** Nothing passes, on new connections neither, until release(): then everything goes on where it was. */
  hold(): void
  release(): void
  /** ms that bytes take in each direction; default 0 */
  delayMs: number
  cutAll(): void
  /** connections ever opened, and refused */
  readonly connections: number
  readonly refused: number
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
}

export const tcpProxy = async (target: { host: string; port: number }): Promise<TcpProxy> => {
  const pairs = new Set<Pair>()
  let refusing = false
  let connections = 0
  let refused = 0
  let held = false

  const pass = (from: Socket, to: Socket, pair: Pair, decide: (passing: Omit<Passing, 'connection'>) => Verdict): void => {
    let before = 0
    const deliver = inTime((bytes) => to.write(bytes))
    from.on('data', (bytes: Buffer) => {
      const verdict = decide({ bytes, before })
      before += bytes.length
      if (verdict === 'cut') cut(pair)
      else if (verdict === 'stall') from.pause()
      else deliver(bytes)
      if (verdict === 'last') cutAfterLast(pair)
    })
    from.on('error', () => cut(pair))
    from.on('close', () => cut(pair))
  }
  const cut = (pair: Pair): void => {
    pairs.delete(pair)
    pair.client.resetAndDestroy()
    pair.server.destroy()
  }
  const cutAfterLast = (pair: Pair): void => {
    pairs.delete(pair)
    pair.server.end()
    pair.client.resetAndDestroy()
  }
  /** In their order, each `delayMs` after it came. */
  const inTime = (write: (bytes: Buffer) => void): ((bytes: Buffer) => void) => {
    let waiting = 0
    let last = Promise.resolve()
    return (bytes) => {
      if (waiting === 0 && proxy.delayMs === 0) return write(bytes)
      const dueMs = performance.now() + proxy.delayMs
      waiting += 1
      last = last
        .then(() => after(Math.max(0, dueMs - performance.now())))
        .then(() => {
          waiting -= 1
          write(bytes)
        })
    }
  }
  const listener = createServer((client) => {
    if (refusing) {
      refused += 1
      client.resetAndDestroy()
      return
    }
    const connection = connections
    connections += 1
    const pair = { client, server: connect(target) }
    for (const socket of [pair.client, pair.server]) socket.setNoDelay(true)
    pairs.add(pair)
    pass(client, pair.server, pair, (passing) => proxy.toServer({ connection, ...passing }))
    pass(pair.server, client, pair, (passing) => proxy.toClient({ connection, ...passing }))
    if (held) for (const socket of [pair.client, pair.server]) socket.pause()
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))

  const proxy: TcpProxy = {
    port: (listener.address() as AddressInfo).port,
    toServer: () => 'pass',
    toClient: () => 'pass',
    refuse: () => {
      refusing = true
      proxy.cutAll()
    },
    accept: () => {
      refusing = false
    },
    stall: () => {
      for (const { client, server } of pairs) for (const socket of [client, server]) socket.pause()
    },
    hold: () => {
      held = true
      proxy.stall()
    },
    release: () => {
      held = false
      for (const { client, server } of pairs) for (const socket of [client, server]) socket.resume()
    },
    delayMs: 0,
    cutAll: () => {
      for (const pair of pairs) cut(pair)
    },
    get connections() {
      return connections
    },
    get refused() {
      return refused
    },
    close: async () => {
      proxy.cutAll()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
  return proxy
}

/** Lets `count` bytes of a connection through and cuts then; for `toServer` or `toClient`. */
export const cutAfter =
  (count: number): ((passing: Passing) => Verdict) =>
  ({ before, bytes }) =>
    before + bytes.length > count ? 'cut' : 'pass'
