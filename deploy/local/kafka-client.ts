/** A Kafka client of the starter's own: what goes wrong is told by who uses it, so kafkajs's log lines are dropped. */
import type { Kafka, RetryOptions } from 'kafkajs'
import { kafkaClient } from '#bus/client.ts'

const drop = (): void => undefined
export const silentLog = { debug: drop, info: drop, warn: drop, error: drop }

/** @param brokers comma list of `host:port` */
export const quietKafka = (brokers: string, retry: RetryOptions): Kafka =>
  kafkaClient({ brokers, clientId: 'npm-start', log: silentLog }, retry)
