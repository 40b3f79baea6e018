import type { JournalTurn } from '#actors/runtime/stored/replay.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { travel, wayBack } from '#actors/runtime/stored/time-travel.ts'
import type { Step, Travelled, Wish } from '#actors/runtime/stored/time-travel.ts'
import type { Address } from '#machines/contracts/stamp.ts'

/** What storage knows of an actor's past. */
export interface Histories {
  history(
    service: string,
    kind: string,
    key: string,
    stepOf: (turn: JournalTurn) => Step,
  ): Promise<{ lane: number; sequence: number; turns: readonly JournalTurn[] } | null>
}

export interface Past extends Address {
  readonly service: string
  readonly lane: number
  readonly found: Travelled
}

/** An actor as it was, by the machines at hand; null: no lane of the service has it. */
export const pastOf = async (reads: Histories, definition: ServiceDefinition, { kind, key }: Address, wish: Wish): Promise<Past | null> => {
  const history = await reads.history(definition.name, kind, key, wayBack(wish))
  if (history === null) return null
  const { lane, sequence, turns } = history
  return { service: definition.name, lane, kind, key, found: travel(definition, turns.toReversed(), sequence, wish) }
}
