import type { Emitted } from '#actors/runtime/outbox.ts'
import type { Message } from '#machines/contracts/envelope.ts'
import type { PayloadOf, TopicName } from '#machines/contracts/topics.ts'

/** What a service says in its log of the records that it has committed, by topic: money's steps, never every healthy message. */
export type RecordLines = { readonly [T in TopicName]?: (record: Message<PayloadOf<T>>) => void }

/** Reads committed records for those topics that a service has a line for. Nothing that goes wrong here reaches the lane. */
export const tellRecords =
  (lines: RecordLines, onError: (error: unknown) => void) =>
  (records: readonly Emitted[]): void => {
    for (const { topic, text } of records) {
      // Our own record, written by the schema of its topic: the compiler cannot relate the two through a lookup.
      const line = lines[topic as TopicName] as ((record: Message<unknown>) => void) | undefined
      if (!line) continue
      try {
        line(JSON.parse(text) as Message<unknown>)
      } catch (error) {
        onError(error)
      }
    }
  }
