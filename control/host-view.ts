import type { z } from 'zod'

/** All that control knows of a host: what it says of itself and the orders it takes. `actors/runtime` fits this shape. */
export interface HostView {
  readonly service: string
  readonly release: string
  describe(): Promise<HostState>
  /** Reasons why it is not ready; empty when it is. */
  notReady(): Promise<readonly string[]>
  /** Writes the order, and answers once every addressed lane has committed it, or after `waitMs`. */
  order(order: Order, waitMs: number): Promise<OrderOutcome>
  /** Ends the process's work: no new turns, what is under way is finished, lanes are released. Resolves when drained. */
  drain(by: string, reason: string): Promise<void>
  /** The orders that this service has beside the common ones. */
  readonly orders: readonly OrderRoute[]
  machines(): readonly MachineDescription[]
  /** Null: `after` is no cursor of an earlier page. */
  actors(query: { kind?: string; state?: string; limit: number; after?: string }): Promise<ActorPage | null>
  /** null: no such actor in any lane of this service. */
  actor(kind: string, key: string): Promise<object | null>
  /** An actor as it was. Null: no such actor. */
  past(kind: string, key: string, wish: PastWish): Promise<Past | null>
  /** What was last sent to `path` by PUT, for GET on the same path (pair-filter). Null where nothing is readable. */
  reading(path: string): Promise<object | null>
}

export interface Order {
  readonly order: string
  readonly by: string
  readonly reason: string
  readonly arguments: Readonly<Record<string, unknown>>
}

export type OrderOutcome =
  | { readonly outcome: 'done'; readonly id: string; readonly answers: readonly { lane: number; answer: object }[] }
  /** written, and not yet committed by every lane */
  | { readonly outcome: 'pending'; readonly id: string }
  | { readonly outcome: 'refused'; readonly code: string; readonly message: string }
  /** could not be written; a gate that it shuts is shut all the same */
  | { readonly outcome: 'unavailable'; readonly message: string }
  | { readonly outcome: 'draining' }

export interface OrderRoute {
  readonly name: string
  readonly method: 'POST' | 'PUT'
  readonly path: string
  readonly summary: string
  readonly schema: z.ZodType<Record<string, unknown>>
}

/** After one of its turns, by its own count of them; or after two of them. */
export type PastWish = { readonly at: number } | { readonly from: number; readonly to: number }

export interface Past {
  readonly service: string
  readonly lane: number
  readonly kind: string
  readonly key: string
  readonly found:
    | { readonly outcome: 'at'; readonly actor: object }
    | {
        readonly outcome: 'diff'
        readonly from: object
        readonly to: object
        readonly changes: readonly object[]
        readonly turns: readonly object[]
      }
    /** it has not had that many turns */
    | { readonly outcome: 'not yet'; readonly sequence: number }
    /** its state is known from this turn on; null: of none */
    | { readonly outcome: 'not kept'; readonly from: number | null }
    /** the code at hand does not load it, or does not take its turns */
    | { readonly outcome: 'not loadable'; readonly sequence: number; readonly why: string }
}

export interface MachineDescription {
  readonly kind: string
  readonly version: number
  readonly hash: string
  /** JSON that Stately loads: the machine's config */
  readonly config: object
  readonly mermaid: string
}

export interface ActorPage {
  readonly actors: ActorSummary[]
  readonly next: string | null
}

interface ActorSummary {
  readonly kind: string
  readonly key: string
  readonly state: string
  readonly version: number
  readonly sequence: number
  readonly updated_at: string
}

export interface Blocked {
  readonly code: string
  readonly since: string
  readonly detail: string
}

/** `/state`, the same top level everywhere; the service's own section stands beside these under its name. */
export interface HostState {
  readonly service: string
  readonly release: string
  readonly lifecycle: string
  readonly healthy: boolean
  readonly connected: boolean
  readonly authoritative: boolean
  readonly blocked: readonly Blocked[]
  readonly inputs: Readonly<Record<string, { at: string | null; age_ms: number | null; stale: boolean }>>
  readonly last_success: { at: string; what: string } | null
  readonly counters: Readonly<Record<string, number>>
  readonly lanes: readonly object[]
  readonly [section: string]: unknown
}
