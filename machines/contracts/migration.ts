import type { Cause } from './stamp.ts'

/**
 * How what one version of a machine has stored becomes what the next version reads, and back again.
 *
 * G1. Everything stored of an actor (snapshot, timers, open effects) is of one version, its snapshot's: it is brought up, and
 *     taken down, at once.
 * G2. Pure: a migration is run again wherever its result was not committed, and must come to the same.
 * G3. Up and then down is the identity for all that the older version can hold. Down may forget what only the newer one knows.
 * G4. What is written is JSON; money stays a decimal string.
 */
export interface Migration {
  /** The version that `up` starts from and `down` leads to; the other end is one above. */
  readonly from: number
  /** Structure hashes of that version. `up` starts from any of them, `down` ends at the first: the one of its last release. */
  readonly hashes: readonly [string, ...string[]]
  readonly snapshot: {
    readonly up: (snapshot: StoredSnapshot) => StoredSnapshot
    readonly down: (snapshot: StoredSnapshot) => StoredSnapshot
  }
  /** All timers of one actor: renamed, added, or left out where nobody waits for them any more. Absent: they stay. */
  readonly timers?: TwoWay<readonly StoredTimer[]>
  /** One open effect. It stays in the ledger whatever its name becomes. Absent: it stays as it is. */
  readonly effect?: TwoWay<StoredEffect>
  /**
   * One event of the journal, or one that was parked. Which version wrote it is not stored, so both ways leave alone what is
   * in their target's form already. Absent: events stay. `of`: its actor's snapshot as the chain ends; null where that is not known.
   */
  readonly event?: TwoWay<StoredEvent, StoredSnapshot | null>
}

/** `of`: the actor's snapshot in the version that is led to. */
interface TwoWay<T, Of = StoredSnapshot> {
  readonly up: (stored: T, of: Of) => T
  readonly down: (stored: T, of: Of) => T
}

export interface StoredSnapshot {
  /** XState's state value */
  readonly value: unknown
  readonly context: unknown
  /** history node id → ids of the states that it remembers; absent where the machine has none */
  readonly history?: Readonly<Record<string, readonly string[]>>
}

export type StoredEvent = { readonly type: string } & Readonly<Record<string, unknown>>

/** A delay's timer is named `xstate.after.<delay>.<state id>`, and so is its event. */
export interface StoredTimer {
  readonly timer: string
  readonly due_ms: number
  readonly event: StoredEvent
  /** the record that led to it; null for one that a migration adds */
  readonly cause: Cause | null
}

export interface StoredEffect {
  readonly name: string
  readonly params: unknown
  /** of an invoked read: its id in the machine, which is the state's unless one is given */
  readonly invoke?: string
}
