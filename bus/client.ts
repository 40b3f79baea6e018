import { Kafka, logLevel } from 'kafkajs'
import type { ISocketFactory, RetryOptions } from 'kafkajs'
import { patchKafkajs } from './kafkajs-patches.ts'
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
  patchKafkajs()
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
