import type { Address, Cause } from '#machines/contracts/stamp.ts'
import type { PlainEvent } from '../lane/mailbox.ts'
import type { LoadedActor, TimerRow } from '../rows.ts'
import type { ServiceDefinition, Tables } from '../service.ts'
import type { Machine } from '../machine/xstate.ts'

export interface TurnsOptions {
  readonly service: string
  readonly definition: ServiceDefinition
  readonly machines: ReadonlyMap<string, Machine>
  readonly tables: Tables
  readonly partitionOf: (laneKey: string) => number
  readonly load: (addresses: readonly Address[]) => Promise<LoadedActor[]>
  /** all timers of these actors */
  readonly timersOf: (addresses: readonly Address[]) => Promise<TimerRow[]>
  readonly count: (name: string, n?: number) => void
}

/** An event on its way to an actor of this lane. */
export interface Delivery {
  readonly to: Address
  readonly event: PlainEvent
  readonly cause: Cause | null
  readonly origin: string
  readonly depth: number
  /** orders pass a parked event; they never wait */
  readonly isOrder: boolean
  readonly asker: Address | null
  /** when the record that led here was published; null for what no record caused, and for what it led to */
  readonly publishedMs: number | null
  /** the turn at which it was parked; null: it comes for the first time */
  readonly letter: number | null
}

type Told = Pick<Delivery, 'to' | 'event' | 'cause' | 'origin'>

/** An event that comes for the first time and that nobody in this batch has led to, unless `more` says otherwise. */
export const deliveryOf = (told: Told, more: Partial<Omit<Delivery, keyof Told>> = {}): Delivery => {
  const { depth = 0, isOrder = false, asker = null, publishedMs = null, letter = null } = more
  const { to, event, cause, origin } = told
  // One literal, so that all are of one shape.
  return { to, event, cause, origin, depth, isOrder, asker, publishedMs, letter }
}
