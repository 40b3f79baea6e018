import type { Address } from '#machines/contracts/stamp.ts'
import type { LaneView } from './lane/lane-options.ts'
import type { Lane } from './lane/lane.ts'
import type { PlainEvent } from './lane/mailbox.ts'

/** The lanes that this process owns now: what is told to all of them, and what they say together. */
export class HeldLanes {
  readonly #lanes = new Map<number, Lane>()
  /** counts of lanes that went */
  readonly #gone = new Map<string, number>()

  get(number: number): Lane | undefined {
    return this.#lanes.get(number)
  }

  [Symbol.iterator](): IterableIterator<Lane> {
    return this.#lanes.values()
  }

  add(lane: Lane): void {
    this.#lanes.set(lane.lane, lane)
  }

  /** Counters of a lane that went stay counted. */
  retire(lane: Lane): void {
    if (this.#lanes.get(lane.lane) !== lane) return
    this.#lanes.delete(lane.lane)
    addCounts(this.#gone, lane)
  }

  /** lane → the epoch that it is held in */
  epochs(): Map<number, number> {
    return new Map([...this].map(({ lane, epoch }) => [lane, epoch]))
  }

  /** To an actor of the first held lane. False: no lane is held. */
  tellFirst(to: Address, event: PlainEvent): boolean {
    const [first] = this
    first?.tell(to, event)
    return first !== undefined
  }

  /** The oracle of this effect may know by now. False: none of these lanes has it open. */
  hurry(effect: string): boolean {
    return [...this].some((lane) => lane.hurry(effect))
  }

  /** Resolves when what each of them has in commit now has ended. */
  committed(): Promise<unknown> {
    return Promise.all([...this].map((lane) => lane.committed()))
  }

  describe(): LaneView[] {
    return [...this].sort((a, b) => a.lane - b.lane).map((lane) => lane.describe())
  }

  /** A fixed actor in every lane, as committed. */
  actor(address: Address): { lane: number; state: unknown; context: unknown }[] {
    return [...this].flatMap((lane) => {
      const found = lane.peek(address)
      return found ? [{ lane: lane.lane, ...found }] : []
    })
  }

  /** Since this process started, of lanes that went, too. */
  counts(): Map<string, number> {
    const merged = new Map(this.#gone)
    for (const lane of this) addCounts(merged, lane)
    return merged
  }

  lastCommitMs(): number | null {
    const last = Math.max(0, ...[...this].map((lane) => lane.lastCommitMs))
    return last > 0 ? last : null
  }
}

const addCounts = (counts: Map<string, number>, lane: Lane): void => {
  for (const [name, n] of Object.entries(lane.describe().counters)) counts.set(name, (counts.get(name) ?? 0) + n)
}
