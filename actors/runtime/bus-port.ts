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

/** How far a topic-partition goes and what the group had committed. */
export interface PartitionEnds {
  readonly topic: string
  readonly low: number
  readonly high: number
  /** null: nothing committed under the service's name */
  readonly committed: number | null
}

export interface BusReader {
  /** Ends and commits of a lane's partitions; for the checks at takeover. */
  ends(lane: number): Promise<PartitionEnds[]>
  /** Starts delivery of the lane's partitions from these offsets. */
  take(lane: number, next: Readonly<Record<string, number>>): void
  /** Stops delivery of the lane at once; nothing of it arrives afterwards. */
  leave(lane: number): void
  /** Stops and starts single inputs of a held lane: back pressure, pause, halt. `resume` goes on at the next undelivered offset unless one is given. */
  hold(lane: number, topic: string): void
  resume(lane: number, topic: string, from?: number): void
  /** Records durable offsets for lag tools, at most once a second; never needed for correctness. */
  commit(lane: number, next: Readonly<Record<string, number>>): void
  close(): Promise<void>
}

export interface ReaderOptions {
  readonly service: string
  /** read by lane: partition = lane */
  readonly inputs: readonly string[]
  /** followed tables: every partition, from `tableBackMs` before now */
  readonly tables: readonly string[]
  readonly tableBackMs: number
  /** Nobody waits for what comes of it: a fetch gathers for up to 100 ms instead of answering with the first record. */
  readonly inBulk?: boolean
  /** In order within a partition and without a hole; nothing of a lane not held. Must not throw. */
  onRecords(lane: number, topic: string, records: readonly BusRecord[], highWatermark: number): void
  onTable(record: BusRecord): void
  /** The log does not continue where it should: lost, re-created or truncated. Delivery of that input has stopped. */
  onGap(lane: number, topic: string, expected: number, found: number): void
  /** The reader is dead and cannot mend itself. */
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
  /**
   * Writes all records, in order within a partition. Resolves when every partition has answered; on any error throws,
   * with some or all possibly written: the caller repeats the identical list. Concurrent calls must be of different sources.
   */
  send(records: readonly OutRecord[]): Promise<void>
  /** Wall clock, ms: when a broker last answered anything; null: never. Absent: it always answers. A reader hears one every few seconds, whatever flows. */
  heardAtMs?(): number | null
  close(): Promise<void>
}
