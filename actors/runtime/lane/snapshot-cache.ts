import { LRUCache } from 'lru-cache'
import type { MachineState } from '../machine/xstate.ts'

/** An actor in memory: what `turn()` works on, and what the store has of it. */
export interface CachedActor {
  readonly state: MachineState
  readonly sequence: number
  /** size of the snapshot when it was last stored; what the cache is bounded by */
  bytes: number
  /** PostgreSQL's UTC day, `YYYY-MM-DD`, of the last journal entry that holds this actor's base snapshot */
  readonly baseDay: string | null
  /** the lane's clock at its last turn */
  readonly atMs: number
  /** read from the store for a turn that has not asked for it yet: that turn missed */
  fresh: boolean
}

/**
 * Actors of one lane, bounded in bytes: the least recently used leave memory (passivation) and come back by one SELECT.
 * What a batch in flight has touched is pinned beside it, because the store does not have it yet.
 */
export class SnapshotCache {
  readonly #lru: LRUCache<string, CachedActor>
  readonly #fixed: ReadonlySet<string>
  readonly #pinned = new Map<string, CachedActor>()
  /** Turns whose actor was in memory, and turns that had to ask the store for it. */
  hits = 0
  misses = 0

  /** @param fixed addresses that never leave memory */
  constructor(maxBytes: number, fixed: ReadonlySet<string>) {
    this.#fixed = fixed
    // At most the whole: what is larger than the cache would not be kept at all, and a loaded actor would look like a new one.
    this.#lru = new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ bytes }) => Math.min(maxBytes, bytes + OVERHEAD_BYTES) })
  }

  /** For its turn. */
  get(address: string): CachedActor | undefined {
    const found = this.#pinned.get(address) ?? this.#lru.get(address)
    if (!found || found.fresh) this.misses++
    else this.hits++
    if (found) found.fresh = false
    return found
  }

  /** For who only looks: not counted. */
  peek(address: string): CachedActor | undefined {
    return this.#pinned.get(address) ?? this.#lru.peek(address)
  }

  has(address: string): boolean {
    return this.#pinned.has(address) || this.#lru.has(address)
  }

  loaded(address: string, actor: CachedActor): void {
    if (this.#fixed.has(address)) this.#pinned.set(address, actor)
    else this.#lru.set(address, actor)
  }

  /** Kept until `settle`, whatever the bound. */
  changed(address: string, actor: CachedActor): void {
    this.#pinned.set(address, actor)
  }

  /** The batch that wrote these is committed; an actor that a later batch changed again stays pinned. */
  settle(written: ReadonlyMap<string, CachedActor>): void {
    for (const [address, actor] of written) {
      if (this.#fixed.has(address)) continue
      if (this.#pinned.get(address) === actor) this.#pinned.delete(address)
      this.#lru.set(address, actor)
    }
  }

  get bytes(): number {
    return this.#lru.calculatedSize
  }
}

/** An XState snapshot object of a small machine, measured at 770 bytes of heap. */
const OVERHEAD_BYTES = 800
