import type { Address } from '#machines/contracts/stamp.ts'
import type { Draft } from '../lane/draft.ts'
import { EventRefused, LaneReset } from '../faults.ts'
import type { LaneMemory } from '../lane/memory.ts'
import { addressOf } from '../lane/memory.ts'
import type { ActorRow, LoadedActor, TimerRow } from '../rows.ts'
import type { CachedActor } from '../lane/snapshot-cache.ts'
import { remembered, upgraded, writeUpgrades } from '../lane/snapshots-up.ts'
import type { TurnsOptions } from './turns-options.ts'
import type { Machine } from '../machine/xstate.ts'

/** Beyond this they are asked for again. */
const ABSENT_KEPT = 10_000

/** Brings actors from their rows into memory, and into the draft what a turn has made of them. */
export class Loading {
  readonly #memory: LaneMemory
  readonly #options: TurnsOptions
  /** Looked for and not stored. Only this lane writes its actors, so one stays absent until a turn makes it. */
  readonly #absent = new Set<string>()
  #discarded = false

  constructor(memory: LaneMemory, options: TurnsOptions) {
    this.#memory = memory
    this.#options = options
  }

  /** The memory was thrown away: whatever is being read for it ends with `LaneReset`. */
  discard(): void {
    this.#discarded = true
  }

  /**
   * Brings the snapshots of these actors into memory in one SELECT. Those of an older version are brought up, and written with
   * this draft, or with the next one.
   * @throws what the store throws; SnapshotMismatch for one that this code cannot load; LaneReset
   */
  async prefetch(addresses: readonly Address[], draft?: Draft): Promise<void> {
    try {
      await this.#bring(addresses)
    } finally {
      if (draft) writeUpgrades(this.#memory, draft)
    }
  }

  async #bring(addresses: readonly Address[]): Promise<void> {
    const missing = new Map<string, Address>()
    for (const to of addresses) {
      const address = addressOf(to)
      if (!this.isKnown(address)) missing.set(address, to)
    }
    if (missing.size === 0) return
    const rows = await this.#options.load([...missing.values()])
    if (this.#discarded) throw new LaneReset('lane reset while snapshots were loaded')
    if (this.#absent.size > ABSENT_KEPT) this.#absent.clear()
    for (const address of missing.keys()) this.#absent.add(address)
    for (const row of rows) this.#absent.delete(addressOf(row))
    const old: LoadedActor[] = []
    for (const row of rows) {
      const { state, sequence, isOld } = this.#machineOf(row).load(row.body)
      if (isOld) old.push(row)
      else
        this.#memory.cache.loaded(addressOf(row), {
          state,
          sequence,
          bytes: row.body.length,
          baseDay: null,
          atMs: row.updatedAtMs,
          fresh: true,
        })
    }
    if (old.length > 0) await this.#upgrade(old)
  }

  async #upgrade(rows: readonly LoadedActor[]): Promise<void> {
    const timers = Map.groupBy(await this.timersOf(rows), addressOf)
    const effects = Map.groupBy(this.#memory.effects.values(), addressOf)
    for (const row of rows) {
      const of = { timers: timers.get(addressOf(row)) ?? [], effects: effects.get(addressOf(row)) ?? [] }
      remembered(this.#memory, upgraded(this.#machineOf(row), row, of, this.#memory.turn))
    }
    this.#options.count('actors.upgraded', rows.length)
  }

  isKnown(address: string): boolean {
    return this.#memory.cache.has(address) || this.#absent.has(address)
  }

  /** All stored timers of these actors. @throws LaneReset */
  async timersOf(addresses: readonly Address[]): Promise<TimerRow[]> {
    const stored = await this.#options.timersOf(addresses)
    if (this.#discarded) throw new LaneReset('lane reset while timers were loaded')
    return stored
  }

  /** An actor is as its turn has left it: in memory at once, in its row with this draft. */
  changed(
    draft: Draft,
    to: Address,
    address: string,
    machine: Machine,
    state: CachedActor['state'],
    before: CachedActor | undefined,
  ): void {
    const sequence = (before?.sequence ?? 0) + 1
    const actor: CachedActor = { state, sequence, bytes: before?.bytes ?? 400, baseDay: draft.day, atMs: draft.nowMs, fresh: false }
    this.#memory.cache.changed(address, actor)
    this.#absent.delete(address)
    const row = (): ActorRow => {
      const body = machine.store(state, sequence)
      actor.bytes = body.length
      return { ...to, sequence, status: state.status, body, endedAtMs: state.status === 'done' ? draft.nowMs : null }
    }
    draft.touched.set(address, { address: to, actor, row })
  }

  #machineOf({ kind, key }: Address): Machine {
    const machine = this.#options.machines.get(kind)
    if (!machine) throw new EventRefused(`${this.#options.service} hosts no ${kind} (stored ${kind}/${key})`)
    return machine
  }
}
