import type { Address } from '#machines/contracts/stamp.ts'
import type { Condition } from './lane-state.ts'
import { toldBefore } from './lane-state.ts'
import { Marks } from './marks.ts'
import { Parked } from './parked.ts'
import type { EffectRow, Halt, InputRow, LaneRow, Recovered } from '../rows.ts'
import { SnapshotCache } from './snapshot-cache.ts'
import type { Upgrade } from './snapshots-up.ts'
import { Timers } from './timers.ts'

export const addressOf = ({ kind, key }: Address): string => `${kind}\n${key}`

/** The actor of a lane's own life cycle, in every service. */
export const LIFECYCLE: Address = { kind: 'lifecycle', key: 'lane' }

/**
 * What the owner of a lane knows, as of the last *computed* turn. It runs ahead of the store by at most two batches;
 * when one of those is refused the whole of it is thrown away and read again, by the same path as at every start.
 */
export interface LaneMemory {
  readonly lane: number
  readonly epoch: number
  readonly incarnation: string
  batch: number
  turn: number
  nowMs: number
  halted: Halt | null
  readonly inputs: Map<string, InputRow>
  readonly marks: Marks
  /** `topic/partition` → last position given out by this incarnation */
  readonly positions: Map<string, number>
  readonly timers: Timers
  /** the open ledger */
  readonly effects: Map<string, EffectRow>
  readonly parked: Parked
  readonly cache: SnapshotCache
  /** Brought up from an older version, and in no draft yet. */
  readonly upgrades: Upgrade[]
  /** what the others have been told of each condition, once the drafts computed so far are committed */
  readonly told: Map<Condition, string>
}

export const remember = (
  recovered: Recovered,
  { cacheBytes, timerWindow }: { cacheBytes: number; timerWindow: number },
  fixed: ReadonlySet<string>,
): LaneMemory => {
  const { lane, inputs, marks, sent, timers, moreTimers, effects, parkedActors } = recovered
  const armed = new Timers(timerWindow)
  armed.bring(timers, moreTimers)
  const stored = {
    ...pick(lane),
    halted: lane.halted,
    effects: new Map(effects.map((effect) => [effect.effect, effect])),
    parked: new Parked(parkedActors),
  }
  return {
    ...stored,
    inputs: new Map(inputs.map((input) => [input.topic, input])),
    marks: new Marks(marks),
    positions: new Map(
      sent
        .filter(({ incarnation }) => incarnation === lane.incarnation)
        .map(({ topic, partition, position }) => [`${topic}/${partition}`, position]),
    ),
    timers: armed,
    cache: new SnapshotCache(cacheBytes, fixed),
    upgrades: [],
    told: toldBefore(stored),
  }
}

const pick = ({ lane, epoch, incarnation, batch, turn, nowMs }: LaneRow) => ({ lane, epoch, incarnation, batch, turn, nowMs })
