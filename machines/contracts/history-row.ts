import type { TopicName } from './topics.ts'

/** One record on its way into its history table: where it stood in Kafka, who sent it, and its text as it came. */
export interface HistoryRow {
  readonly topic: TopicName
  readonly partition: number
  readonly offset: number
  readonly source_lane: string
  readonly incarnation: string
  readonly position: number
  /** the envelope's JSON text, byte for byte */
  readonly text: string
}
