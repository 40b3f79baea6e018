import { createRequire } from 'node:module'
import { Kafka, logLevel } from 'kafkajs'
import type { ISocketFactory, RetryOptions } from 'kafkajs'
import { logLines } from './log-lines.ts'
import type { Log } from './shapes.ts'

export interface ClientOptions {
  /** comma list of `host:port` */
  readonly brokers: string
  readonly clientId: string
  readonly log: Log
  /** How a connection is made; tests put a proxy in between. Default: plain TCP */
  readonly socketFactory?: ISocketFactory
}

/** Through a broker's restart and longer. Explicit, because NODE_ENV=test changes kafkajs's own (2.2.4, retry/index.js). */
export const PATIENT: RetryOptions = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 100_000 }

/** For what a person waits for: gives up after about five seconds. */
export const BRIEF: RetryOptions = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 6 }

export const kafkaClient = ({ brokers, clientId, log, socketFactory }: ClientOptions, retry: RetryOptions): Kafka => {
  stopIdleTicking()
  return new Kafka({
    brokers: brokers.split(',').map((broker) => broker.trim()),
    clientId,
    retry,
    connectionTimeout: 3_000,
    requestTimeout: 10_000,
    logLevel: logLevel.WARN,
    logCreator: logLines(log),
    ...(socketFactory === undefined ? {} : { socketFactory }),
  })
}

interface RequestQueue {
  readonly pending: readonly unknown[]
  scheduleCheckPendingRequests(): void
}

/**
 * kafkajs 2.2.4 re-arms a timer in the past after every answer, so each connection ticks once a millisecond for ever: 28 ms CPU a
 * second for an idle consumer and producer, 7 with this (and no TimeoutNegativeWarning). The check is only for requests that wait.
 */
export const stopIdleTicking = (): void => {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as { prototype: RequestQueue }
  if (patched.has(prototype)) return
  patched.add(prototype)
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) schedule.call(this)
  }
}

const patched = new WeakSet<RequestQueue>()
