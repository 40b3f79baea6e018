import type { HistoryRow } from '#machines/contracts/history-row.ts'

/**
 * What the runtime needs from outside. Storage and bus fit these shapes without importing them; `main.ts` passes them
 * in. The twins in `test/twins` fit the same contract suites.
 */

export interface Clock {
  /** ms since 1970 */
  wallMs(): number
  /** ms on a clock that is never set; may stand still while the machine is suspended */
  monotonicMs(): number
  /** Calls back once after `ms`; the answer cancels. */
  after(ms: number, callback: () => void): () => void
}

export interface Log {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

/** Counts and observes under the names of one fixed table, which the telemetry keeps. Units: seconds, bytes, ratios. */
export interface Meter {
  count(name: string, n?: number, labels?: Readonly<Record<string, string>>): void
  observe(name: string, value: number, labels?: Readonly<Record<string, string>>): void
}

// --- store -----------------------------------------------------------------------------------------------------------

/**
 * Every error of a store carries one of these as `code`:
 * - `stale_epoch` the lane has a newer epoch: drop it (UR001)
 * - `batch_conflict` another digest under a used number: our bug, the host stops (UR002)
 * - `went_back` the stored batch is lower than what was acknowledged (UR003)
 * - `bad_data` refused for what is in the batch (SQLSTATE 22, 54): bisect
 * - `unknown` the connection broke in COMMIT: the identical batch again
 * - `unavailable` refused for the server's state, provably not committed: the identical batch again
 * - `broken_contract` class 23 and 42: our bug, the host stops
 */
export type StoreErrorCode = 'stale_epoch' | 'batch_conflict' | 'went_back' | 'bad_data' | 'unknown' | 'unavailable' | 'broken_contract'

export interface ProcessRow {
  readonly process: string
  readonly service: string
  readonly release: string
  readonly url: string
  /** Absent: it says nothing, and counts as able to load everything. */
  readonly structures?: Structures
}

/** Machines as `<kind> <version> <structure hash>`. */
export interface Structures {
  /** what the process may store */
  readonly runs: readonly string[]
  /** what it can load, `runs` included */
  readonly loads: readonly string[]
}

export interface Renewal {
  /** PostgreSQL's clock at the renewal */
  readonly nowMs: number
  /** unexpired processes of the service that do not drain and can load every lane, this one included */
  readonly live: number
  /** `notLoadable`: structures that may be stored in it and that this process cannot load */
  readonly lanes: readonly { lane: number; owner: string | null; expired: boolean; epoch: number; notLoadable: readonly string[] }[]
  /** lanes (of any owner) with orders that nobody has committed yet */
  readonly openOrders: readonly number[]
}

export interface LaneRow {
  readonly lane: number
  readonly epoch: number
  readonly incarnation: string
  /** last committed batch; the first is 1 */
  readonly batch: number
  /** last committed turn; the first is 1 */
  readonly turn: number
  /** the lane's clock: `now` of the last turn */
  readonly nowMs: number
  /** last batch whose outbox was acknowledged by Kafka, as far as committed */
  readonly published: number
  readonly halted: Halt | null
}

export interface Halt {
  readonly topic: string | null
  readonly code: string
  readonly detail: string
  readonly since_ms: number
}

export interface InputRow {
  readonly topic: string
  /** the offset at which the lane entered this partition */
  readonly entered: number
  readonly enteredAtMs: number
  /** the next offset to take */
  readonly next: number
}

export interface MarkRow {
  readonly topic: string
  readonly source: string
  readonly incarnation: string
  readonly position: number
  readonly atOffset: number
  /** may jump once (accept-loss) */
  readonly jump: boolean
}

export interface SentRow {
  readonly topic: string
  readonly partition: number
  readonly incarnation: string
  readonly position: number
}

export interface ActorRow {
  readonly kind: string
  readonly key: string
  readonly sequence: number
  readonly status: 'active' | 'done'
  readonly body: Uint8Array
  readonly endedAtMs: number | null
}

/** An actor's row as it is stored. */
export interface LoadedActor extends ActorRow {
  /** the lane's clock at its last turn */
  readonly updatedAtMs: number
}

export interface TimerRow {
  readonly kind: string
  readonly key: string
  readonly timer: string
  readonly token: number
  readonly dueMs: number
  readonly event: Uint8Array
}

export type EffectState = 'pending' | 'uncertain' | 'done' | 'failed' | 'void' | 'not_sent'

export interface EffectRow {
  readonly effect: string
  readonly kind: string
  readonly key: string
  readonly name: string
  readonly mode: 'idempotent' | 'ask first'
  readonly state: EffectState
  /** fences the end of an invoked read; 0 where nothing is fenced */
  readonly token: number
  readonly notAfterMs: number | null
  readonly askAtMs: number | null
  readonly asked: number
  /** the lane's clock when it came into this state; a commit writes its own `nowMs` */
  readonly sinceMs: number
  /** JSON: {params, cause} */
  readonly body: Uint8Array
}

export interface OutboxRow {
  readonly batch: number
  readonly incarnation: string
  readonly blob: Uint8Array
}

export interface ParkedRow {
  readonly turn: number
  /** '' for a record that no actor was found for */
  readonly kind: string
  readonly key: string
  readonly cause: string
  /** 'record topic/partition@offset', 'timer NAME', 'effect ID', 'order ID', 'tell kind/key' */
  readonly origin: string
  readonly event: Uint8Array
}

/** What became of a parked event in this batch. A text that is '' stays as it is. */
export interface LetterRow {
  /** the turn that it was parked at: its name for good */
  readonly turn: number
  /** waits for its turn, untried or let go by an order; false: was tried, and holds its actor */
  readonly waits: boolean
  readonly cause: string
  /** the order that let it go: which, who, why */
  readonly ordered: string
  /** how, when and by whom it was resolved; '': it is open */
  readonly done: string
}

/** An actor with events that wait, or (kind '') a record that no actor was found for. */
export interface ParkedActor {
  readonly kind: string
  readonly key: string
  /** of the first event that waits */
  readonly turn: number
  /** that event was tried and holds the others; false: they are under way again, in their order */
  readonly held: boolean
  readonly cause: string
  readonly sinceMs: number
  /** events that wait, the first one included */
  readonly open: number
}

/** A parked event, to be taken again. */
export interface Letter {
  readonly turn: number
  readonly kind: string
  readonly key: string
  readonly origin: string
  readonly ordered: string
  readonly event: Uint8Array
}

export interface JournalRow {
  readonly kind: string
  readonly key: string
  readonly sequence: number
  readonly nowMs: number
  readonly event: Uint8Array
  /** the snapshot it started from, on an actor's first turn of a day; else null */
  readonly base: Uint8Array | null
  /** 't' taken, 'i' no transition, 'p' parked, 'q' queued behind a parked event, 'd' dropped (stale token, ended actor) */
  readonly outcome: 't' | 'i' | 'p' | 'q' | 'd'
  readonly outputHash: Uint8Array
}

/** Rows of one commit. Deltas only; an empty list costs nothing. */
export interface Batch {
  readonly lane: number
  readonly epoch: number
  /** one above the last committed */
  readonly batch: number
  /** sha256 over everything else in here */
  readonly digest: Uint8Array
  /** last turn once committed; `journal` holds turns `turn - journal.length + 1 … turn` */
  readonly turn: number
  readonly nowMs: number
  readonly published: number
  /** undefined leaves it */
  readonly halted?: Halt | null
  readonly release: string
  readonly actors: readonly ActorRow[]
  readonly journal: readonly JournalRow[]
  readonly attached: Uint8Array | null
  readonly codeHash: Uint8Array
  readonly outbox: Uint8Array | null
  readonly timersSet: readonly TimerRow[]
  readonly timersOff: readonly { kind: string; key: string; timer: string }[]
  readonly effects: readonly EffectRow[]
  readonly inputs: readonly InputRow[]
  readonly marks: readonly MarkRow[]
  readonly sent: readonly SentRow[]
  readonly orders: readonly { id: number; answer: object }[]
  readonly parked: readonly ParkedRow[]
  readonly letters: readonly LetterRow[]
  readonly history: readonly HistoryRow[]
}

export interface OrderRow {
  readonly id: number
  readonly lane: number
  readonly atMs: number
  readonly expiresAtMs: number | null
  readonly by: string
  readonly reason: string
  /** {order, ...arguments} */
  readonly body: { readonly order: string } & Record<string, unknown>
}

/** What a lane knows when its new owner has it. */
export interface Recovered {
  readonly lane: LaneRow
  readonly inputs: readonly InputRow[]
  readonly marks: readonly MarkRow[]
  readonly sent: readonly SentRow[]
  /** the earliest due, at most `window` of them, by due time */
  readonly timers: readonly TimerRow[]
  /** whether more timers are stored than `timers` holds */
  readonly moreTimers: boolean
  /** pending and uncertain */
  readonly effects: readonly EffectRow[]
  /** batches above `lane.published`, in order */
  readonly outbox: readonly OutboxRow[]
  /** actors with an unresolved parked event; later events of theirs wait */
  readonly parkedActors: readonly ParkedActor[]
}

export interface LaneStore {
  /** Inserts the process row, already renewed. */
  register(row: ProcessRow): Promise<void>
  /** Extends the lease to PostgreSQL's now + `leaseMs` and tells how the service stands. `state`: 'live' counts for the fair share, 'draining' does not. */
  renew(process: string, state: 'live' | 'draining', leaseMs: number): Promise<Renewal>
  /** Removes the process row and whatever it owns. */
  deregister(process: string): Promise<void>
  /** Takes an ownerless lane (`free`: SKIP LOCKED) or one whose owner has expired (`expired`: waits for a commit in flight). Null: somebody else has it, or the process cannot load it. */
  take(process: string, service: string, lane: number, how: 'free' | 'expired', timerWindow: number): Promise<Recovered | null>
  /** The same reading without taking: after a refused batch, by the owner of `epoch`. @throws stale_epoch */
  recover(service: string, lane: number, epoch: number, timerWindow: number): Promise<Recovered>
  release(service: string, lane: number, epoch: number): Promise<void>
  /** Snapshots by address; what is not stored is absent from the answer. */
  load(service: string, lane: number, addresses: readonly { kind: string; key: string }[]): Promise<LoadedActor[]>
  /** The next `limit` timers after `(dueMs, kind, key, timer)` in that order. */
  timers(
    service: string,
    lane: number,
    after: { dueMs: number; kind: string; key: string; timer: string },
    limit: number,
  ): Promise<TimerRow[]>
  /** All timers of these actors; the order does not matter. */
  timersOf(service: string, lane: number, addresses: readonly { kind: string; key: string }[]): Promise<TimerRow[]>
  commit(service: string, batch: Batch): Promise<'done' | 'again'>
  /** The first open events of these actors, and these records (by turn), in the order of their turns: at most `limit`, and about 1 MiB. */
  letters(service: string, lane: number, of: readonly { kind: string; key: string; turn: number }[], limit: number): Promise<Letter[]>
  /** Storage went back: every lane gets a new incarnation and epoch and loses its owner. Only the first call for this incarnation does it. */
  reincarnate(service: string, lane: number, incarnation: string): Promise<void>
  /** Removes actors, effects and answered orders that ended before; at most `limit` of each. How many went. */
  sweep(service: string, beforeMs: number, limit: number): Promise<number>
  /**
   * Removes the lane's marks that no record can come for any more, and answers them: their last offset is below the log's start (`low`
   * by topic), and a lane source has a newer incarnation, or the process is gone.
   */
  sweepMarks(
    service: string,
    lane: number,
    low: Readonly<Record<string, number>>,
  ): Promise<{ topic: string; source: string; incarnation: string }[]>
  /** Open order rows of a lane, oldest first. */
  orders(service: string, lane: number): Promise<OrderRow[]>
  /** Writes an order and one row for every lane of the service (or one lane). */
  insertOrder(
    service: string,
    order: { by: string; reason: string; body: OrderRow['body']; expiresInMs: number | null; lane?: number },
  ): Promise<{ id: number }>
  /** null while a lane has not committed it */
  orderAnswers(service: string, id: number): Promise<{ lane: number; answer: object | null }[]>
  /** Calls back when an order for one of this service's lanes was inserted or committed; the answer stops it. */
  onOrder(service: string, callback: () => void): Promise<() => Promise<void>>
  /** The lanes of a service, made on first use; another number than the stored one is refused. @throws broken_contract */
  lanes(service: string, wanted: number): Promise<number>
  close(): Promise<void>
}

/** A lane as its new owner has it; `turn` is its last committed one. */
export interface LaneTaken {
  readonly lane: number
  readonly epoch: number
  readonly incarnation: string
  readonly turn: number
}

/** A memory beside the store, which tells a store that was put back, or another one, from the one that was worked on. */
export interface StoreFence {
  /** Called when a lane was taken, before its first turn. Null: the store is what it was; else why it is not. Does not throw. */
  taken(lane: LaneTaken): string | null
  /** A person takes the store as it is. @throws it cannot be remembered */
  accept(lane: LaneTaken): void
}

// --- bus -------------------------------------------------------------------------------------------------------------

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
