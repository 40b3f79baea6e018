import { randomUUIDv7 } from 'node:crypto'
import type { TopicName } from '#machines/contracts/topics.ts'
import { topics } from '#machines/contracts/topics.ts'
import { SCHEMA_VERSION } from '#machines/contracts/envelope.ts'
import type { Emitted } from './outbox.ts'
import { bytesOf, Outbox, RECORD_BYTES } from './outbox.ts'
import type { MessageBus } from './bus-port.ts'
import type { Clock, Log, Meter } from './ports.ts'

export interface FeedRecord {
  readonly topic: TopicName
  readonly venue: string
  readonly payload: object
  readonly raw: object
  readonly observed_at: string | null
  readonly correlation_id: string | null
  /** event_id of another record of the same call, by its index */
  readonly causedBy?: number
}

/** A feed waits for Kafka with at most this many bytes; beyond it drops, counted, before it numbers. */
const WAITING_LIMIT_BYTES = 8 * 1024 * 1024

/**
 * A source outside lanes: publishes without a commit in its path. Its incarnation is drawn at its start, so a
 * restarted feed starts every count at 1. What was not acknowledged when the process died is lost; a feed is not
 * the keeper of what it shows.
 */
export class FeedSource {
  readonly source: string
  readonly #incarnation: string
  readonly #positions = new Map<string, number>()
  readonly #outbox: Outbox
  readonly #clock: Clock
  readonly #service: string
  readonly #partitionOf: (laneKey: string) => number
  #sequence = 0
  published = 0
  dropped = 0

  constructor(options: {
    service: string
    process: string
    incarnation?: string
    bus: MessageBus
    clock: Clock
    log: Log
    meter?: Meter
    partitionOf: (laneKey: string) => number
  }) {
    this.#service = options.service
    this.source = `${options.service}#${options.process}`
    this.#incarnation = options.incarnation ?? randomUUIDv7()
    this.#clock = options.clock
    this.#partitionOf = options.partitionOf
    this.#outbox = new Outbox({ ...options, source: this.source, published: 0, onPublished: () => {} })
  }

  /** False: dropped and counted, because Kafka has not taken what already waits, or would never take one of these for its size. */
  publish(records: readonly FeedRecord[]): boolean {
    if (this.#outbox.waitingBytes > WAITING_LIMIT_BYTES) {
      this.dropped += records.length
      return false
    }
    const ids = records.map(() => `${this.#incarnation}:${++this.#sequence}`)
    const ingested_at = new Date(this.#clock.wallMs()).toISOString()
    const texts = records.map((record, index) =>
      JSON.stringify({
        event_id: ids[index],
        event_type: topics[record.topic].event_type,
        venue: record.venue,
        source: this.#service,
        schema_version: SCHEMA_VERSION,
        observed_at: record.observed_at,
        ingested_at,
        correlation_id: record.correlation_id,
        causation_id: record.causedBy === undefined ? null : (ids[record.causedBy] ?? null),
        payload: record.payload,
        raw: record.raw,
      }),
    )
    if (texts.some((text) => bytesOf(text) > RECORD_BYTES)) {
      this.dropped += records.length
      return false
    }
    this.#outbox.add(
      0,
      this.#incarnation,
      records.map((record, index) => this.#numbered(record, texts[index]!)),
    )
    this.published += records.length
    return true
  }

  #numbered({ topic, payload }: FeedRecord, text: string): Emitted {
    const contract = topics[topic] as { key: (p: object) => string; laneKey: (p: object) => string }
    const partition = this.#partitionOf(contract.laneKey(payload))
    return { topic, partition, key: contract.key(payload), position: this.#next(topic, partition), text }
  }

  drained(): Promise<void> {
    return this.#outbox.drained()
  }

  close(): void {
    this.#outbox.close()
  }

  #next(topic: string, partition: number): number {
    const at = `${topic}/${partition}`
    const position = (this.#positions.get(at) ?? 0) + 1
    this.#positions.set(at, position)
    return position
  }
}
