import type { BusRecord } from '#actors/runtime/bus-port.ts'
import type { Log } from '#actors/runtime/ports.ts'
import type { Batch } from '#actors/runtime/rows.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import type { MemoryBus } from '../twins/bus.ts'
import type { StoredLane } from '../twins/store-lane.ts'
import type { MemoryStore } from '../twins/store.ts'
import type { SimProcess } from './process.ts'
import type { Random } from './random.ts'
import type { VirtualTime } from './virtual-time.ts'

/** What a world lends to its cast. */
export interface Stage {
  readonly time: VirtualTime
  readonly random: Random
  readonly store: MemoryStore
  readonly bus: MemoryBus
  /** of a keyed service */
  readonly lanes: number
  readonly partitionOf: (laneKey: string) => number
  readonly processes: () => readonly SimProcess[]
  readonly given: () => readonly GivenOrder[]
  readonly violated: (what: string) => void
  readonly logOf: (name: string) => Log
}

export interface Part {
  readonly service: string
  readonly lanes: 'keyed' | 'single'
  /** at the start, at least and at most */
  readonly processes: readonly [number, number]
}

export interface GivenOrder {
  readonly id: number
  readonly service: string
  readonly order: string
  readonly release: unknown
  readonly atMs: number
}

/** Something that leaves for a venue, at the moment that it leaves. */
export interface Sending {
  readonly process: SimProcess
  readonly service: string
  readonly command_id: string
  /** the effect's row; undefined: none is stored */
  readonly effect: string | undefined
}

/** A commit that the database has just taken. */
export interface Commit {
  readonly process: SimProcess
  readonly service: string
  readonly batch: Batch
  readonly row: StoredLane
}

/** Who plays in a world: services, what comes to them from outside, and what their own books have to say. */
export interface Cast {
  readonly parts: readonly Part[]
  /** services that somebody has to arm */
  readonly armed: readonly string[]
  /** an order of its own, now and then */
  order(): { readonly service: string; readonly order: string; readonly arguments: Readonly<Record<string, unknown>> }
  /** a database that forgets a second is something that it has an answer to */
  readonly survivesFailover: boolean
  /** topics on which something is said again and again for as long as a world lasts */
  readonly restless: readonly string[]
  definition(service: string, process: SimProcess): ServiceDefinition
  /** Its host runs: connections of its own open. */
  began(process: SimProcess): void
  /** Something comes from outside. */
  stir(): void
  /** A feed outside lanes dies and comes back; other things outside change. */
  upset(): void
  onSend: (sending: Sending) => void
  committed(commit: Commit): void
  appended(record: BusRecord): void
  /** The database has just gone back. */
  wentBack(): void
  /** What has still to end in a lane. */
  unfinished(service: string, row: StoredLane): string[]
  /** The account of a world at rest: what is wrong in it. */
  wrong(): string[]
  counts(): Record<string, number>
}
