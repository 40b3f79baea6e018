import type { Address } from '#machines/contracts/stamp.ts'
import type { HostBroken } from '../faults.ts'
import type { Item } from './mailbox.ts'
import type { LaneMemory } from './memory.ts'
import type { Emitted } from '../outbox.ts'
import type { ParkedView } from './parked.ts'
import type { BusReader, MessageBus } from '../bus-port.ts'
import type { Clock, Log, Meter } from '../ports.ts'
import type { Halt } from '../rows.ts'
import type { LaneStore, StoreFence } from '../store-port.ts'
import type { ServiceDefinition, Tables } from '../service.ts'
import type { Turns } from '../turn/turns.ts'
import type { Machine } from '../machine/xstate.ts'

export interface LaneOptions {
  readonly service: string
  readonly definition: ServiceDefinition
  readonly machines: ReadonlyMap<string, Machine>
  readonly codeHash: Uint8Array
  readonly release: string
  readonly store: LaneStore
  readonly bus: MessageBus
  readonly reader: BusReader
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
  readonly tables: Tables
  readonly partitionOf: (laneKey: string) => number
  /** by the monotonic clock: the last successful renewal was issued less than the lease minus its margin ago */
  readonly leaseIsFresh: () => boolean
  /** fixed actors whose state stays in memory */
  readonly watch: readonly Address[]
  readonly cacheBytes: number
  readonly timerWindow: number
  /** With this much waiting the next batch is computed while one commits; below it, waiting gathers larger batches. */
  readonly computeAheadEvents: number
  readonly fence?: StoreFence
  /** why the store is not trusted; nothing `ask first` leaves, and nothing is armed, until a person has reconciled */
  readonly disagreement: string | null
  /** The lane is no longer ours, or never will work here; it has already stopped. */
  readonly onLost: (lane: number, why: string) => void
  readonly onWentBack: (at: { lane: number; incarnation: string }, why: string) => void
  readonly onBroken: (error: HostBroken) => void
  readonly onCommitted: (lane: number, orderIds: readonly number[]) => void
  /** committed records, about to be published */
  readonly onEmitted?: (records: readonly Emitted[]) => void
  /** An arm order later than what shut the gate has been committed. */
  readonly onGateOpened: () => void
}

/** What the parts of a lane work on. A refused batch throws memory and turns away; the parts stay. */
export interface LaneNow {
  memory: LaneMemory
  turns: Turns
  /** the one event that storage would not take: parked when it comes next */
  poison: { readonly item: Item; readonly why: string } | null
}

export interface LaneView {
  readonly lane: number
  readonly epoch: number
  readonly incarnation: string
  readonly turn: number
  readonly batch: number
  readonly paused: boolean
  readonly halted: Halt | null
  /** the store is not what this service remembers beside it */
  readonly disagreement: { readonly detail: string; readonly since_ms: number } | null
  readonly mailbox: number
  readonly timers: number
  /** the open ledger, by name and state: how many, and since when the oldest has been in it */
  readonly effects: readonly { name: string; state: string; open: number; since_ms: number }[]
  /** topic → how many sources it has marks of, and when one of them last moved here; null: not since the lane was taken */
  readonly marks: Readonly<Record<string, { count: number; moved_ms: number | null }>>
  readonly parked_actors: number
  readonly parked: ParkedView
  readonly outbox_bytes: number
  /** topic → the next offset to take, as committed */
  readonly inputs: Readonly<Record<string, number>>
  /** topic → records between that and the end of the partition, as last read */
  readonly lag: Readonly<Record<string, number>>
  readonly cache: { bytes: number; hits: number; misses: number }
  readonly gate: { armed: boolean; shut: boolean } | null
  readonly counters: Readonly<Record<string, number>>
  readonly last_commit_ms: number
}
