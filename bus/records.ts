import type { KafkaMessage } from 'kafkajs'
import type { FetchedMessage } from './fetch-records.ts'
import type { BusRecord } from './shapes.ts'

/** What was fetched as records; kafkajs's type for it is from before K8. */
export const recordsOf = (topic: string, partition: number, messages: readonly KafkaMessage[]): BusRecord[] =>
  (messages as readonly unknown[] as readonly FetchedMessage[]).map(({ offset, key, value, headers, timestamp }) => ({
    topic,
    partition,
    offset: Number(offset),
    key,
    value,
    headers,
    timestampMs: Number(timestamp),
  }))
