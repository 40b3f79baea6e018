import type { Past, PastWish } from '../host-view.ts'
import type { ReplayReport } from './replay.ts'

/** `until`: after its last turn up to a time, ms. */
export type CliWish = PastWish | { readonly until: number }

/** What the command line reads beside the control API: the database and the broker. `deploy/cli` passes it in. */
export interface Readings {
  /** null: the history has no quote of this id */
  quoteChain(quoteId: string): Promise<QuoteChain | null>
  /** As it was, by the code at hand. Null: no such actor in any lane of any service, or of this one */
  past(address: { service?: string; kind: string; key: string }, wish: CliWish): Promise<Past | null>
  /** Plays journals through the code at hand; of one lane, or of all. `onProgress` hears a line now and then. */
  replay(service: string, range: { lane?: number; from?: number; to?: number }, onProgress: (line: string) => void): Promise<ReplayReport>
  /** newest first; with `letter` that one, open or done; with `all` those that are done too */
  deadLetters(filter: DeadLetterFilter): Promise<readonly DeadLetter[]>
  lag(service?: string): Promise<readonly Lag[]>
  close(): Promise<void>
}

export interface QuoteChain {
  readonly quote_id: string
  /** every record of the quote, with the price and the inventory that its decision used, oldest first */
  readonly records: readonly ChainRecord[]
}

/** One step of the chain, as the history has it. */
export interface ChainRecord {
  readonly event_id: string
  readonly event_type: string
  readonly source: string | null
  /** null where the reading does not tell */
  readonly ingested_at: string | null
  readonly correlation_id: string | null
  readonly causation_id: string | null
  /** `topic/partition@offset`; null where the reading does not tell */
  readonly place: string | null
  readonly payload: Readonly<Record<string, unknown>>
}

export interface DeadLetterFilter {
  readonly service?: string
  readonly limit: number
  readonly all?: boolean
  readonly letter?: { readonly lane: number; readonly turn: number }
}

export interface DeadLetter {
  readonly service: string
  readonly lane: number
  readonly turn: number
  readonly kind: string
  readonly key: string
  readonly cause: string
  readonly origin: string
  readonly at: string
  /** behind an earlier one of its actor, or let go by an order; false: it was tried, and waits for a person */
  readonly waits: boolean
  /** the order that let it go: who, which, why */
  readonly ordered: string | null
  /** how it was resolved, when and by whom; null while it is open */
  readonly done: string | null
  readonly event: unknown
}

export interface Lag {
  readonly service: string
  readonly topic: string
  readonly partition: number
  /** the next offset that the service will take; null: nothing committed under its name */
  readonly committed: number | null
  readonly end: number
  /** records between the two; the whole log where nothing is committed */
  readonly lag: number
}

/** Where the readings are to be had; undefined where nobody said. */
export interface Sources {
  readonly database: string | undefined
  readonly kafka: string | undefined
}
