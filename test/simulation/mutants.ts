import type { Batch, LaneStore, MessageBus } from '#actors/runtime/ports.ts'
import type { StoredLane } from '../twins/store-lane.ts'
import type { MemoryStore } from '../twins/store.ts'
import type { Random } from './random.ts'

/** Worlds that are wrong on purpose: a checker that lets one of them pass checks nothing. */
export const MUTANTS = ['no fence', 'resends', 'forgets marks', 'forgets timers', 'loses acknowledged', 'forgets effects'] as const
export type Mutant = (typeof MUTANTS)[number]

export const mutatedStore = (store: MemoryStore, mutant: Mutant | null): LaneStore => {
  const connection = store.connect()
  switch (mutant) {
    case 'no fence':
      return { ...connection, commit: (service, batch) => connection.commit(service, unfenced(batch, store.lane(service, batch.lane))) }
    case 'forgets marks':
      return { ...connection, commit: (service, batch) => connection.commit(service, { ...batch, marks: [] }) }
    case 'forgets timers':
      return { ...connection, commit: (service, batch) => connection.commit(service, { ...batch, timersSet: [] }) }
    case 'forgets effects':
      return { ...connection, take: async (...args) => withoutEffects(await connection.take(...args)) }
    default:
      return connection
  }
}

/** Whatever comes is next. */
const unfenced = (batch: Batch, { epoch, batch: last, turn }: StoredLane): Batch => ({
  ...batch,
  epoch,
  batch: last + 1,
  turn: turn + batch.journal.length,
})

const withoutEffects = (recovered: Awaited<ReturnType<LaneStore['take']>>): typeof recovered => recovered && { ...recovered, effects: [] }

export const mutatedBus = (bus: MessageBus, mutant: Mutant | null, random: Random): MessageBus =>
  mutant === 'loses acknowledged'
    ? { ...bus, send: (records) => bus.send(random.chance(0.05) && records.length > 1 ? records.slice(1) : records) }
    : bus
