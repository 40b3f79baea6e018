import type { AnyStateMachine } from 'xstate'
import type { z } from 'zod'
import type { EffectMode } from '#machines/contracts/actions.ts'
import type { Message } from '#machines/contracts/envelope.ts'
import type { HistoryRow } from '#machines/contracts/history-row.ts'
import type { Migration } from '#machines/contracts/migration.ts'
import type { Address, Followed } from '#machines/contracts/stamp.ts'
import type { PayloadOf, TopicName } from '#machines/contracts/topics.ts'

/** What one service tells the runtime of itself. Plain data and pure functions, but for the effect handlers. */
export interface ServiceDefinition {
  readonly name: string
  /** `keyed`: as many lanes as topics have partitions. `single`: one, and no topic is read by lane. */
  readonly lanes: 'keyed' | 'single'
  /** Machines by kind of actor. */
  readonly kinds: Readonly<Record<string, ActorKind>>
  /** What a record of an input topic means: events for actors, rows for the history, or nothing. */
  readonly inputs: { readonly [T in TopicName]?: (message: Message<PayloadOf<T>>, at: RecordAt) => Routed | null }
  /** Topics kept as tables: only what a turn may see as attached. */
  readonly follows?: { readonly [T in TopicName]?: Follow<PayloadOf<T>> }
  /** Nobody waits for this service: records are fetched up to 100 ms at a time, at a fraction of the cost of one by one. */
  readonly readsInBulk?: boolean
  /** Values for an event about to be gathered, by its type; they enter the turn as `event.attached` and the journal once a batch. */
  readonly attach?: Readonly<Record<string, (tables: Tables) => object>>
  readonly effects: Readonly<Record<string, EffectKind>>
  readonly orders: Readonly<Record<string, OrderKind>>
  /**
   * What the environment says: one event an actor, sent to every lane at its first start and whenever `values` differ from
   * those last sent. An order outlives restarts until the environment's value itself changes.
   */
  readonly configure: readonly { readonly to: Address; readonly type: string; readonly values: object }[]
  /**
   * What this process has learnt from outside and its lanes are to keep: told to each lane as it is taken, and to all of them with
   * `Host.tellLearnt`. It may come any number of times.
   */
  readonly learnt?: () => readonly { readonly to: Address; readonly event: { readonly type: string } & Readonly<Record<string, unknown>> }[]
  /** The kind of actor (one a lane, key `arm`) that has to be in state `armed` for `ask first` effects to be sent. */
  readonly gate?: { readonly kind: string }
  /** Fixed actors whose committed state `/state` shows, beside those that orders and configuration name. */
  readonly watch?: readonly Address[]
  /** How long an ended actor's row stays, ms. Longer than Kafka's retention. */
  readonly retainEndedMs: number
}

export interface ActorKind {
  readonly machine: AnyStateMachine
  /** Grows with every change of shape; stored with each snapshot. */
  readonly version: number
  /** From each older version that may still be stored, one step each; beside the machine in `migrations.ts`. */
  readonly migrations?: readonly Migration[]
  /** The machine's input for a key that nobody has addressed yet. */
  readonly input: (key: string) => unknown
  /** Who is to hear of an event that comes after the actor's end; null or absent: it is dropped and counted. Pure. */
  readonly afterEnd?: (
    event: { readonly type: string },
    context: unknown,
  ) => { readonly to: Address; readonly event: { readonly type: string } } | null
}

export interface RecordAt {
  readonly topic: TopicName
  readonly partition: number
  readonly offset: number
  readonly source: string
  readonly incarnation: string
  readonly position: number
  /** the envelope as text */
  readonly text: string
}

export interface Routed {
  readonly to: Address
  /** `now`, `id`, `cause` and `attached` are added by the runtime. JSON only; money as decimal strings. */
  readonly event: { readonly type: string } & Readonly<Record<string, unknown>>
  readonly history?: HistoryRow
  /** Others whom the record concerns, after the first. */
  readonly also?: readonly Pick<Routed, 'to' | 'event'>[]
}

export interface Follow<P> {
  /** The row's key within the table. */
  readonly key: (payload: P) => string
  /** Higher wins; what is lower than the row's is ignored. */
  readonly version: (payload: P) => number
}

export interface Tables {
  get<T extends TopicName>(topic: T, key: string): Followed<PayloadOf<T>> | null
  rows<T extends TopicName>(topic: T): Followed<PayloadOf<T>>[]
}

export interface EffectContext {
  /** `execution_id`: deterministic, the same after every crash */
  readonly effect: string
  readonly lane: number
  readonly actor: Address
  readonly signal: AbortSignal
  readonly nowMs: number
  /** Asked right before each send of an `ask first` effect; false: nothing may leave, and the handler answers `not_sent`. */
  mayStillSend(): boolean
}

/** Plain JSON that goes to the machine as `answer`. */
export type Answer = Readonly<Record<string, unknown>>

/** The oracle's word. `as_of_ms` is the time of the final block it was read at; `unknown` asks again. */
export type OracleAnswer = { readonly answer: 'happened' | 'never' | 'unknown'; readonly as_of_ms: number; readonly detail: Answer }

/** A handler's parameters come as JSON out of the ledger; it reads them with its own schema. */
export type EffectKind =
  | { readonly mode: Extract<EffectMode, 'idempotent'>; readonly send: (params: unknown, context: EffectContext) => Promise<Answer> }
  | {
      readonly mode: Extract<EffectMode, 'ask first'>
      /** What the venue said: progress, and never the end. `not_sent` only where provably nothing left us. */
      readonly send: (params: unknown, context: EffectContext) => Promise<{ readonly answered: Answer } | { readonly not_sent: string }>
      readonly ask: (params: unknown, context: Omit<EffectContext, 'mayStillSend'>) => Promise<OracleAnswer>
      /** How long after `not_after_ms` the oracle is asked first, and how long between questions. */
      readonly askAfterMs: number
      readonly askEveryMs: number
    }

export interface OrderKind {
  /** The order's own arguments, beside `by` and `reason`. */
  readonly schema: z.ZodType<Record<string, unknown>>
  readonly to: Address
  /** The event is `{type: 'order.<name>', by, reason, order_id, ...arguments}`. */
  readonly type: string
  /** HTTP method and path: `POST /arm`. */
  readonly route: { readonly method: 'POST' | 'PUT'; readonly path: string }
  /** It is for the release that runs where it is given, unless it names another: a successor's release does not inherit it. */
  readonly namesRelease?: boolean
  /** The state that its actor is in once it was followed; any other is a refusal. */
  readonly expects?: string
  /** Shuts the send gate of the process that receives it, at once and in memory. */
  readonly shutsGate?: boolean
  /** Not taken in this time, it expires; absent: never. */
  readonly expiresInMs?: number
  readonly summary: string
}
