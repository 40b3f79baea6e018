import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import type { ServerOptions, WebSocket } from 'ws'

/** Things that arrive, awaited one by one in their order. */
export const inbox = <T>() => {
  const all: T[] = []
  const takers: Array<(item: T) => void> = []
  let taken = 0
  return {
    all,
    push: (item: T): void => {
      all.push(item)
      const taker = takers.shift()
      if (taker !== undefined) taken += 1
      taker?.(item)
    },
    take: (): Promise<T> =>
      new Promise((resolve) => {
        const item = all[taken]
        if (item === undefined) return takers.push(resolve)
        taken += 1
        return resolve(item)
      }),
  }
}

export type Line = { id?: number; method?: string; params?: unknown[]; req_id?: number }
export type Peer = { socket: WebSocket; headers: IncomingHttpHeaders; lines: ReturnType<typeof inbox<Line>>; say(frame: unknown): void }

/** A websocket server on loopback that hands over each connection; `onLine` answers by default. */
export const socketServer = async (onLine: (peer: Peer, line: Line) => void = () => {}, options: ServerOptions = {}) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options })
  const peers = inbox<Peer>()
  let most = 0
  server.on('connection', (socket, request) => {
    most = Math.max(most, server.clients.size)
    const say = (frame: unknown): void => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
    const peer: Peer = { socket, headers: request.headers, lines: inbox<Line>(), say }
    socket.on('message', (data: Buffer) => {
      const line = JSON.parse(data.toString()) as Line
      onLine(peer, line)
      peer.lines.push(line)
    })
    peers.push(peer)
  })
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `ws://127.0.0.1:${port}/ws`,
    peers,
    mostAtOnce: () => most,
    stop: () =>
      new Promise<void>((resolve) => {
        for (const client of server.clients) client.terminate()
        server.close(() => resolve())
      }),
  }
}

export type Handler = (request: { body: string; headers: IncomingHttpHeaders; url: string }, response: ServerResponse) => void

/** An HTTP server on loopback; `handle` may be replaced while it runs. */
export const httpServer = async (handle: Handler) => {
  const running = { handle, requests: [] as Array<{ body: string; headers: IncomingHttpHeaders; url: string }> }
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const seen = { body: Buffer.concat(chunks).toString(), headers: request.headers, url: request.url ?? '' }
      running.requests.push(seen)
      running.handle(seen, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(running, {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}

export const reply =
  (status: number, body: unknown, headers: Record<string, string> = {}): Handler =>
  (_request, response) =>
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))

/** A log that keeps every line as text, to look for what must not be there. */
export const keptLog = () => {
  const lines: string[] = []
  const keep = (fields: object, text: string): void => void lines.push(`${text} ${JSON.stringify(fields)}`)
  return { lines, log: { info: keep, warn: keep } }
}
