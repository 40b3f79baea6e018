import type { StoredEffect, StoredTimer } from '#machines/contracts/migration.ts'
import type { EffectBody, TimerBody } from '../turn/bodies.ts'
import { effectBody, timerBody } from '../turn/bodies.ts'
import type { Draft } from './draft.ts'
import { toBytes } from '../json.ts'
import type { LaneMemory } from './memory.ts'
import { addressOf } from './memory.ts'
import type { ActorRow, EffectRow, LoadedActor, TimerRow } from '../rows.ts'
import type { CachedActor } from './snapshot-cache.ts'
import type { StoredActor } from '../machine/snapshots.ts'
import type { Machine } from '../machine/xstate.ts'

/**
 * An actor that an older version of its machine stored, brought up where it is loaded: its snapshot, timers and open effects
 * change in memory at once and are written with the next batch, whatever else that holds (G1 in machines/contracts/migration.ts).
 */
export interface Upgrade {
  readonly address: string
  readonly actor: CachedActor
  readonly row: ActorRow
  readonly timersOff: readonly TimerRow[]
  readonly timersSet: readonly TimerRow[]
  readonly effects: readonly EffectRow[]
}

/**
 * @param token the lane's last turn: what was armed or gathered before it is stale
 * @throws {SnapshotMismatch} there is no way up for it
 */
export const upgraded = (
  machine: Machine,
  row: LoadedActor,
  { timers, effects }: { timers: readonly TimerRow[]; effects: readonly EffectRow[] },
  token: number,
): Upgrade => {
  const up = machine.upgrade(row.body, { timers: timers.map(storedTimer), effects: effects.map(storedEffect) })
  const body = machine.store(up.state, up.sequence)
  const actor = { state: up.state, sequence: up.sequence, bytes: body.length, baseDay: null, atMs: row.updatedAtMs, fresh: true }
  return { address: addressOf(row), actor, row: { ...row, body }, ...rowsOf(up, row, timers, effects, token) }
}

/** In memory at once; in the store with the draft that takes `memory.upgrades`. */
export const remembered = (memory: LaneMemory, upgrade: Upgrade): void => {
  // Pinned, as whatever the store does not have yet.
  memory.cache.changed(upgrade.address, upgrade.actor)
  for (const timer of upgrade.timersOff) memory.timers.cancel(timer)
  for (const timer of upgrade.timersSet) memory.timers.set(timer)
  for (const effect of upgrade.effects) memory.effects.set(effect.effect, effect)
  memory.upgrades.push(upgrade)
}

/** Before any turn of theirs in this draft. */
export const writeUpgrades = (memory: LaneMemory, draft: Draft): void => {
  for (const { address, actor, row, timersOff, timersSet, effects } of memory.upgrades.splice(0)) {
    draft.touched.set(address, { address: row, actor, row: () => row })
    for (const timer of timersOff) draft.cancelTimer(timer)
    for (const timer of timersSet) draft.setTimer(timer)
    for (const effect of effects) draft.effects.set(effect.effect, effect)
  }
}

/** What becomes of an actor's rows. */
export const rowsOf = (
  { timers, effects }: Pick<StoredActor, 'timers' | 'effects'>,
  { kind, key }: { kind: string; key: string },
  timerRows: readonly TimerRow[],
  effectRows: readonly EffectRow[],
  token: number,
): Pick<Upgrade, 'timersOff' | 'timersSet' | 'effects'> => ({
  timersOff: timerRows,
  timersSet: timers.map(({ timer, due_ms: dueMs, event, cause }) => {
    return { kind, key, timer, token, dueMs, event: toBytes({ event, cause } satisfies TimerBody) }
  }),
  effects: effectRows.map((row, index) => {
    const { name, params, invoke } = effects[index]!
    const { cause } = effectBody(row)
    return { ...row, name, body: toBytes({ params, cause, ...(invoke === undefined ? {} : { invoke }) } satisfies EffectBody) }
  }),
})

export const storedTimer = (row: Pick<TimerRow, 'timer' | 'dueMs' | 'event'>): StoredTimer => {
  const { event, cause } = timerBody(row)
  return { timer: row.timer, due_ms: row.dueMs, event, cause }
}

export const storedEffect = (row: Pick<EffectRow, 'name' | 'body'>): StoredEffect => {
  const { params, invoke } = effectBody(row)
  return { name: row.name, params, ...(invoke === undefined ? {} : { invoke }) }
}
