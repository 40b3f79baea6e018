/** What this room offers: the shapes of `actors/runtime/bus-port.ts` and its log, fitted and not imported; `test/bus/fit.unit.test.ts` shows the fit. */

export interface Log {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

export interface BusRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: Uint8Array | null
  /** lower-case names */
  readonly headers: Readonly<Record<string, string>>
  readonly timestampMs: number
}

export interface PartitionEnds {
  readonly topic: string
  readonly low: number
  readonly high: number
  /** null: nothing committed under the service's name */
  readonly committed: number | null
}

export interface BusReader {
  ends(lane: number): Promise<PartitionEnds[]>
  take(lane: number, next: Readonly<Record<string, number>>): void
  leave(lane: number): void
  hold(lane: number, topic: string): void
  resume(lane: number, topic: string, from?: number): void
  commit(lane: number, next: Readonly<Record<string, number>>): void
  close(): Promise<void>
}

export interface ReaderOptions {
  readonly service: string
  readonly inputs: readonly string[]
  readonly tables: readonly string[]
  readonly tableBackMs: number
  /** Nobody waits for what comes of it: a fetch gathers for up to 100 ms instead of answering with the first record. */
  readonly inBulk?: boolean
  onRecords(lane: number, topic: string, records: readonly BusRecord[], highWatermark: number): void
  onTable(record: BusRecord): void
  onGap(lane: number, topic: string, expected: number, found: number): void
  onFailure(error: Error): void
}

export interface OutRecord {
  readonly topic: string
  readonly partition: number
  readonly key: string | null
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

export interface MessageBus {
  reader(options: ReaderOptions): Promise<BusReader>
  send(records: readonly OutRecord[]): Promise<void>
  heardAtMs?(): number | null
  close(): Promise<void>
}
