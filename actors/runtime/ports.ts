/**
 * What the runtime needs from outside: here of the process that it runs in, of the store in `store-port.ts` (its rows in `rows.ts`),
 * of Kafka in `bus-port.ts`. Storage and bus fit those shapes without importing them; `main.ts` passes them in. The twins in
 * `test/twins` fit the same contract suites.
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
