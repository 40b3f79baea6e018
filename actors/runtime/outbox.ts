import assert from 'node:assert/strict'
import { textOfBytes } from './json.ts'
import { repeatedly, tagged } from './log.ts'
import type { MessageBus, OutRecord } from './bus-port.ts'
import type { Clock, Log, Meter } from './ports.ts'
import { textOf } from './faults.ts'

/** A record as a turn emitted it: `position` is its source's count for this target partition. */
export interface Emitted {
  readonly topic: string
  readonly partition: number
  readonly key: string | null
  readonly position: number
  /** the envelope's JSON */
  readonly text: string
}

type Head = [topic: string, partition: number, key: string | null, position: number]

/** A head and a text a line, in turn: JSON has no line breaks of its own, and the texts are not escaped a second time. */
export const packOutbox = (records: readonly Emitted[]): Uint8Array =>
  Buffer.from(
    records
      .map(
        ({ topic, partition, key, position, text }) =>
          `["${topic}",${partition},${key === null ? 'null' : JSON.stringify(key)},${position}]\n${text}`,
      )
      .join('\n'),
  )

/** The bytes of each text where they lie in the packed outbox. */
const textsIn = (blob: Uint8Array, records: readonly Emitted[]): Uint8Array[] => {
  let at = 0
  const texts = records.map(() => {
    const from = blob.indexOf(LINE_BREAK, at) + 1
    const to = blob.indexOf(LINE_BREAK, from)
    at = to + 1
    return blob.subarray(from, to === -1 ? blob.length : to)
  })
  assert.equal(at, 0, 'as many texts are packed as there are records')
  return texts
}

const LINE_BREAK = 0x0a

export const unpackOutbox = (blob: Uint8Array): Emitted[] => {
  const lines = textOfBytes(blob).split('\n')
  return Array.from({ length: lines.length >> 1 }, (_, index) => {
    const [topic, partition, key, position] = JSON.parse(lines[2 * index]!) as Head
    return { topic, partition, key, position, text: lines[2 * index + 1]! }
  })
}

/** What one record may weigh; Kafka would refuse a larger one for ever. */
export const RECORD_BYTES = 256 * 1024
/** Of a text in UTF-8, exact where it matters: no character takes more than three bytes, so only a long text is measured. */
export const bytesOf = (text: string): number => (text.length * 3 > RECORD_BYTES ? Buffer.byteLength(text) : text.length)

/** Kafka's default limit is 1 MiB a record batch and partition; half of it leaves room for headers. */
const PIECE_BYTES = 512 * 1024
const RETRY_MS = 250

/**
 * Publishes what a source has committed, strictly in order: one send under way, the identical list again until every
 * partition has answered. A batch counts as published when its last piece was acknowledged.
 */
export class Outbox {
  #queue: { batch: number; records: OutRecord[]; bytes: number }[] = []
  #sending: Promise<void> | null = null
  #closed = false
  #waiting: (() => void)[] = []
  /** bytes committed and not yet acknowledged */
  waitingBytes = 0
  /** last batch that Kafka has in full */
  published: number
  readonly #source: string
  readonly #bus: MessageBus
  readonly #clock: Clock
  readonly #log: Log
  readonly #meter: Meter | undefined
  readonly #onPublished: (batch: number) => void

  constructor(options: {
    source: string
    published: number
    bus: MessageBus
    clock: Clock
    log: Log
    meter?: Meter
    onPublished: (batch: number) => void
  }) {
    this.#source = options.source
    this.published = options.published
    this.#bus = options.bus
    this.#clock = options.clock
    this.#log = tagged(options.log, { component: 'outbox', source: options.source })
    this.#meter = options.meter
    this.#onPublished = options.onPublished
  }

  /** @param packed what `packOutbox` made of them, if it did: their texts are not made into bytes once more */
  add(batch: number, incarnation: string, emitted: readonly Emitted[], packed?: Uint8Array | null): void {
    if (emitted.length === 0) return
    const values = packed ? textsIn(packed, emitted) : emitted.map(({ text }) => Buffer.from(text))
    const records = emitted.map((record, index) => this.#outRecord(record, values[index]!, incarnation))
    const bytes = records.reduce((sum, { value }) => sum + value.length, 0)
    this.waitingBytes += bytes
    this.#queue.push({ batch, records, bytes })
    this.#sending ??= this.#run()
  }

  get idle(): boolean {
    return this.#sending === null
  }

  /** Resolves when nothing waits any more. */
  async drained(): Promise<void> {
    if (!this.idle && !this.#closed) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Forgets what waits: the rows are the successor's. What is in Kafka's hands may still be written. */
  close(): void {
    this.#closed = true
    this.#queue = []
    this.#wake()
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 && !this.#closed) {
      // What has gathered while the last send was out goes in one.
      const batches = this.#queue.splice(0)
      for (const piece of inPieces(batches.flatMap(({ records }) => records))) await this.#sendUntilAnswered(piece)
      if (this.#closed) return
      for (const { bytes } of batches) this.waitingBytes -= bytes
      this.published = batches.at(-1)!.batch
      this.#onPublished(this.published)
    }
    this.#sending = null
    this.#wake()
  }

  async #sendUntilAnswered(records: readonly OutRecord[]): Promise<void> {
    for (let tries = 1; !this.#closed; tries++) {
      const begun = this.#clock.monotonicMs()
      try {
        await this.#bus.send(records)
        this.#meter?.observe('unrip_publish_duration_seconds', (this.#clock.monotonicMs() - begun) / 1_000)
        return
      } catch (error) {
        repeatedly(this.#log, tries)({ event: 'outbox.repeat', tries, records: records.length }, textOf(error))
        await new Promise<void>((resolve) => this.#clock.after(RETRY_MS, resolve))
      }
    }
  }

  #outRecord({ topic, partition, key, position }: Emitted, value: Uint8Array, incarnation: string): OutRecord {
    return {
      topic,
      partition,
      key,
      value,
      headers: { 'unrip-source': this.#source, 'unrip-incarnation': incarnation, 'unrip-position': String(position) },
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** Cuts a list so that no partition gets more than a piece's bytes in one send; the order within a partition stays. */
export const inPieces = (records: readonly OutRecord[]): OutRecord[][] => {
  const pieces: OutRecord[][] = []
  let piece: OutRecord[] = []
  let bytes = new Map<string, number>()
  for (const record of records) {
    const partition = `${record.topic}/${record.partition}`
    const held = bytes.get(partition) ?? 0
    if (held > 0 && held + record.value.length > PIECE_BYTES) {
      pieces.push(piece)
      piece = []
      bytes = new Map()
    }
    piece.push(record)
    bytes.set(partition, (bytes.get(partition) ?? 0) + record.value.length)
  }
  if (piece.length > 0) pieces.push(piece)
  return pieces
}
