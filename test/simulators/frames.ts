import { WebSocket } from 'ws'

/* What the tests of the wires speak with. */

export type Json = Record<string, unknown>

/** A socket with its frames in order, awaited one by one. */
export class Frames {
  readonly socket: WebSocket
  readonly #frames: string[] = []
  readonly #waiting: ((frame: string) => void)[] = []

  constructor(url: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(url, { headers })
    this.socket.on('message', (data: Buffer) => {
      const next = this.#waiting.shift()
      if (next) next(data.toString())
      else this.#frames.push(data.toString())
    })
  }
  async opened(): Promise<void> {
    await new Promise((resolve, reject) => this.socket.once('open', resolve).once('error', reject))
  }
  async text(): Promise<string> {
    return this.#frames.shift() ?? new Promise<string>((resolve) => this.#waiting.push(resolve))
  }
  async next(): Promise<Json> {
    return JSON.parse(await this.text()) as Json
  }
  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }
}

export const post = async (
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly text: string }> => {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body), headers })
  return { status: response.status, text: await response.text() }
}
export const rpc = async (url: string, method: string, params: unknown): Promise<Json> =>
  JSON.parse((await post(url, { jsonrpc: '2.0', id: 'dontcare', method, params })).text) as Json
