import { PATIENT, kafkaClient } from './client.ts'
import type { ClientOptions } from './client.ts'
import { publisher } from './publisher.ts'
import { Reader } from './reader.ts'
import type { MessageBus } from './shapes.ts'

/**
 * The bus of one process. Nothing is connected before the first `send` or `reader`; both wait for a broker that is away, as long as it takes.
 * `send` rejects with a {@link BusError}; so does `reader`, where a topic does not exist.
 */
export const kafkaBus = (options: ClientOptions): MessageBus => {
  const kafka = kafkaClient(options, PATIENT)
  let heardAtMs: number | null = null
  const onHeard = (): void => {
    heardAtMs = Date.now()
  }
  const out = publisher(kafka, options.log, onHeard)
  const readers = new Set<Reader>()
  return {
    send: (records) => out.send(records),
    heardAtMs: () => heardAtMs,
    reader: async (wanted) => {
      const reader = new Reader(kafka, wanted, options.log, onHeard)
      readers.add(reader)
      await reader.open()
      return reader
    },
    close: async () => {
      await Promise.all([out.close(), ...[...readers].map((reader) => reader.close())])
    },
  }
}
