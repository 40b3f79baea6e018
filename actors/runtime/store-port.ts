import type { Batch, Letter, LoadedActor, OrderRow, Recovered, TimerRow } from './rows.ts'

/** What the owners of lanes need of PostgreSQL. What goes wrong is told by `StoreErrorCode`. */
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
