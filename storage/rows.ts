import type { HistoryRow } from '#machines/contracts/history-row.ts'

/**
 * The rows that go in and out. `rows.ts` and `store-port.ts` in `actors/runtime` say what the runtime needs of them; storage fits those
 * shapes without importing them, and the contract suite holds the two together.
 */
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
