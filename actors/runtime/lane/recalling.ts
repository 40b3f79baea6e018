import { LaneReset, storeCode, textOf } from '../faults.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'
import type { LaneMemory } from './memory.ts'
import { addressOf, LIFECYCLE, remember } from './memory.ts'
import type { Start } from './recovering.ts'
import type { Recovered } from '../rows.ts'
import { Turns } from '../turn/turns.ts'

const AT_ONCE = 1_000

/** Makes a lane's memory of its rows: when it is taken, and by the same path after a refused batch (L3). */
export class Recalling {
  readonly now: LaneNow
  /** addresses of who is always in memory: the life cycle, and what `/state` shows */
  readonly fixed: ReadonlySet<string>
  readonly #options: LaneOptions
  readonly #count: (name: string, n?: number) => void

  constructor(start: Start, options: LaneOptions, count: (name: string, n?: number) => void) {
    this.#options = options
    this.#count = count
    this.fixed = new Set([LIFECYCLE, ...options.watch].map(addressOf))
    const memory = { ...remember(start.recovered, options, this.fixed), halted: start.halted }
    this.now = { memory, turns: this.#turnsOn(memory), poison: null }
  }

  /** Throws the memory away for what is stored. A halt that is not stored yet stays one; an accepted loss that was refused with its batch is a halt again. */
  again(recovered: Recovered): void {
    const halted = this.now.memory.halted ?? recovered.lane.halted
    this.now.memory = { ...remember(recovered, this.#options, this.fixed), halted }
    this.now.turns = this.#turnsOn(this.now.memory)
  }

  /** Brings what is always in memory, and whoever has an open effect that an older version of its machine may have asked for. */
  async actors(): Promise<void> {
    const { watch, machines, log } = this.#options
    const { memory, turns } = this.now
    await turns.prefetch([LIFECYCLE, ...watch])
    const askers = [...memory.effects.values()].filter(({ kind }) => machines.get(kind)?.lineage.hasOlder)
    for (let from = 0; from < askers.length; from += AT_ONCE) {
      await turns.prefetch(askers.slice(from, from + AT_ONCE)).catch((error: unknown) => {
        if (error instanceof LaneReset || storeCode(error)) throw error
        // One that cannot be brought up is its own actor's trouble: its effect stays as it is, and its next event parks.
        log.error({ event: 'actor.not_upgraded', lane: memory.lane }, textOf(error))
      })
    }
  }

  #turnsOn(memory: LaneMemory): Turns {
    const { service, definition, machines, tables, partitionOf, store } = this.#options
    return new Turns(memory, {
      service,
      definition,
      machines,
      tables,
      partitionOf,
      load: (addresses) => store.load(service, memory.lane, addresses),
      timersOf: (addresses) => store.timersOf(service, memory.lane, addresses),
      count: this.#count,
    })
  }
}
