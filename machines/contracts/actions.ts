import type { Address } from './stamp.ts'
import type { TopicName } from './topics.ts'

/**
 * What a named action of a machine means to the runtime. A machine only declares and asks; nothing here does anything.
 * The declaration rides on the action's function under `unrip`, where the runtime's `turn()` finds it.
 *
 * An effect named `X` comes back to its machine as ordinary events, each with the effect's id under `effect`:
 * - idempotent: `X.done {answer}` or `X.failed {error}`
 * - ask first: `X.answered {answer}` (what the venue said: progress, ends nothing), `X.uncertain {}` (told once when a
 *   successor takes an open effect over), and one end: `X.happened {answer, as_of_ms}`, `X.never {as_of_ms}` (the
 *   oracle, for good) or `X.not_sent {reason}` (the gate was shut: provably nothing left us).
 */
export type Declaration =
  | { readonly does: 'effect'; readonly mode: EffectMode }
  | { readonly does: 'message'; readonly topic: TopicName }
  | { readonly does: 'tell' }

export type EffectMode = 'idempotent' | 'ask first'

export interface Declared<P> {
  (args: unknown, params: P): void
  readonly unrip: Declaration
}

const declare = <P>(unrip: Declaration): Declared<P> => Object.assign(() => {}, { unrip })

/** Params of an `ask first` effect: the venue enforces `not_after_ms`; only past it is the oracle's "no" final. */
export interface AskFirst {
  readonly not_after_ms: number
}

/** Declares an action as an effect: a row in the ledger before anything is sent. `P` is plain JSON. */
export const effect = <P>({ mode }: { mode: EffectMode }): Declared<P> => declare({ does: 'effect', mode })

/** A record on its way to a topic. The runtime adds ids and times; `correlation_id` defaults to the cause's. */
export interface Outgoing<P> {
  readonly payload: P
  readonly venue?: string
  readonly observed_at?: string | null
  readonly raw?: object
  readonly correlation_id?: string | null
}

/** Declares an action as a record for a topic. */
export const message = <P>(topic: TopicName): Declared<Outgoing<P>> => declare({ does: 'message', topic })

/** Declares an action as an event for another actor of the same lane, run in the same batch. */
export const tell = <E extends { type: string }>(): Declared<{ to: Address; event: E }> => declare({ does: 'tell' })
