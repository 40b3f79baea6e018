/**
 * What is mended inside kafkajs 2.2.4, which is pinned exactly for that. K1 and K6 were seen to end a reader for good, and have a
 * test each in test/bus/reader.int.test.ts; K2, K3 and K5 are from reading the source.
 *
 * K1. A connection keeps what it had of a half-received answer over its reconnect and then reads the new stream misaligned, for ever: the
 *     reader falls silent with no error (measured: a fetch cut in the middle, three times). It begins clean. (network/connection.js)
 * K2. Requests that meet a lost connection reconnect it once each; the sockets but the last leak, and an end of one of them later
 *     fails the live one's requests. They share one. (network/connection.js)
 * K3. A connection keeps its socket after the end, and each further disconnect adds a listener to it: MaxListenersExceededWarning during a
 *     long outage. It lets go of it. (network/connection.js)
 * K4. Each connection re-arms a timer in the past after every answer, so it ticks once a millisecond for ever: 28 ms CPU a second for an
 *     idle consumer and producer, 7 without (and no TimeoutNegativeWarning). The check is only for requests that wait. (network/requestQueue)
 * K5. Each connection looks ten times a second for requests that have waited ten seconds. Once a second will do. (network/requestQueue)
 * K6. A request without an answer in time is sent again on the same connection, for ever: one that a network has silently dropped never
 *     heals. It is closed, and the next request makes a new one. (network/requestQueue)
 * K7. Each record and each header of it gets an encoder of its own: a request is made in one buffer. (produce-request.ts)
 * K8. Each record of an answer gets a decoder, four big integers and two buffers a header: they are read in one pass. (fetch-records.ts)
 */
import type { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { patchFetch } from './fetch-records.ts'
import { patchProduce } from './produce-request.ts'

interface Connection {
  chunks: Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  isConnected(): boolean
  connect(): Promise<boolean>
  disconnect(): Promise<boolean>
  socket?: Socket | undefined
  readonly requestQueue: RequestQueue
}

interface RequestQueue extends EventEmitter {
  readonly pending: readonly unknown[]
  readonly inflight: ReadonlyMap<number, { readonly sentAt: number; readonly requestTimeout: number; timeoutRequest(): void }>
  requestTimeoutIntervalId?: NodeJS.Timeout
  isConnected(): boolean
  destroy(): void
  scheduleCheckPendingRequests(): void
  scheduleRequestTimeoutCheck(): void
}

/** An answer starts with its length. */
const LENGTH_BYTES = 4

const TIMEOUT_CHECK_MS = 1_000
const UNANSWERED = 'unanswered'

let patched = false

/** Before the first client. More often does nothing. */
export const patchKafkajs = (): void => {
  if (patched) return
  patched = true
  patchProduce()
  patchFetch()
  const require = createRequire(import.meta.url)
  const connection = (require('kafkajs/src/network/connection') as { prototype: Connection }).prototype
  const queue = (require('kafkajs/src/network/requestQueue') as { prototype: RequestQueue }).prototype
  const { connect, disconnect } = connection
  const { scheduleCheckPendingRequests } = queue
  const connecting = new WeakMap<Connection, Promise<boolean>>()

  connection.connect = function (this: Connection): Promise<boolean> {
    if (this.isConnected()) return Promise.resolve(true)
    const already = connecting.get(this)
    if (already !== undefined) return already
    this.chunks = []
    this.bytesBuffered = 0
    this.bytesNeeded = LENGTH_BYTES
    this.requestQueue.removeAllListeners(UNANSWERED)
    this.requestQueue.on(UNANSWERED, () => this.socket?.destroy(new Error('no answer in time')))
    const under = connect.call(this).finally(() => connecting.delete(this))
    connecting.set(this, under)
    return under
  }
  connection.disconnect = async function (this: Connection): Promise<boolean> {
    const { socket } = this
    const done = await disconnect.call(this)
    if (this.socket === socket) this.socket = undefined
    return done
  }
  queue.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) scheduleCheckPendingRequests.call(this)
  }
  queue.scheduleRequestTimeoutCheck = function (this: RequestQueue): void {
    this.destroy()
    this.requestTimeoutIntervalId = setInterval(() => {
      const late = [...this.inflight.values()].filter(({ sentAt, requestTimeout }) => Date.now() - sentAt > requestTimeout)
      for (const request of late) request.timeoutRequest()
      if (late.length > 0) this.emit(UNANSWERED)
      if (!this.isConnected()) this.destroy()
    }, TIMEOUT_CHECK_MS)
  }
}
