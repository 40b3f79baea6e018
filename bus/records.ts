import type { IHeaders, KafkaMessage } from 'kafkajs'
import type { BusRecord } from './shapes.ts'

/** What kafkajs read as records; keys and headers are UTF-8. */
export const recordsOf = (topic: string, partition: number, messages: readonly KafkaMessage[]): BusRecord[] =>
  messages.map(({ offset, key, value, headers, timestamp }) => ({
    topic,
    partition,
    offset: Number(offset),
    key: key === null ? null : key.toString(),
    value,
    headers: headers === undefined ? {} : textsOf(headers),
    timestampMs: Number(timestamp),
  }))

const textsOf = (headers: IHeaders): Record<string, string> => {
  const texts: Record<string, string> = {}
  for (const name of Object.keys(headers)) {
    const given = headers[name]
    const last = Array.isArray(given) ? given.at(-1) : given
    if (last !== undefined) texts[name.toLowerCase()] = last.toString()
  }
  return texts
}
