/** What the command line reads beside the control API: the database and the broker. `deploy/cli` passes it in. */
export interface Readings {
  /** null: the history has no quote of this id */
  quoteChain(quoteId: string): Promise<QuoteChain | null>
  /** null: no such actor in any lane of any service, or of this one */
  actor(address: { service?: string; kind: string; key: string; at?: string }): Promise<object | null>
  deadLetters(filter: { service?: string; limit: number }): Promise<readonly DeadLetter[]>
  lag(service?: string): Promise<readonly Lag[]>
  close(): Promise<void>
}

export interface QuoteChain {
  readonly quote_id: string
  /** every record of the quote, with the price and the inventory that its decision used, oldest first */
  readonly records: readonly ChainRecord[]
}

/** One row of the history: the envelope and where it stood. */
export interface ChainRecord {
  readonly event_id: string
  readonly event_type: string
  readonly source: string | null
  readonly observed_at: string | null
  readonly ingested_at: string
  readonly correlation_id: string | null
  readonly causation_id: string | null
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly payload: Readonly<Record<string, unknown>>
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
  /** null while it waits for a person */
  readonly done: string | null
  readonly event: unknown
}

export interface Lag {
  readonly service: string
  readonly topic: string
  readonly partition: number
  /** null: nothing committed under the service's name */
  readonly committed: string | null
  readonly end: string
  /** records between the two; null where nothing is committed */
  readonly lag: string | null
}

/** Where the readings are to be had; undefined where nobody said. */
export interface Sources {
  readonly database: string | undefined
  readonly kafka: string | undefined
}
