import assert from 'node:assert/strict'
import type { Recovered } from '#actors/runtime/rows.ts'
import type { LaneStore } from '#actors/runtime/store-port.ts'
import { takeFree } from '#test/storage/lane.ts'
import type { OwnedLane } from '#test/storage/lane.ts'

/** What the suite is run on: one database and as many processes as asked for. */
export interface StoreUnderTest {
  /** A store of a process of `service`. */
  connect(service: string): LaneStore
  /** Lets time pass on the store's own clock. */
  pass(ms: number): Promise<void>
  /** event ids of the history table of a topic */
  historyIds(topic: string): Promise<string[]>
  close(): Promise<void>
}

export const KEYED = 'strategy-engine'
export const OTHER = 'trade-executor'
export const LANES = 4
/** Short: nobody inherits within one of his own leases of the server's start. */
export const HEIR_LEASE_MS = 4_000

/** What a test starts from: a store of the keyed service with its lanes made, and a way to put everything back. */
export class GivenStore {
  #under: StoreUnderTest | null = null
  #store: LaneStore | null = null
  readonly #opened: LaneStore[] = []
  readonly #held: OwnedLane[] = []

  get under(): StoreUnderTest {
    assert(this.#under)
    return this.#under
  }

  get store(): LaneStore {
    assert(this.#store)
    return this.#store
  }

  async begin(under: StoreUnderTest): Promise<void> {
    this.#under = under
    this.#store = this.connect()
    await this.#store.lanes(KEYED, LANES)
  }

  connect(service = KEYED): LaneStore {
    const made = this.under.connect(service)
    this.#opened.push(made)
    return made
  }

  /** A lane of the keyed service, taken by a process of its own. */
  async own(lane: number): Promise<OwnedLane> {
    const owned = await takeFree(this.store, KEYED, lane)
    this.#held.push(owned)
    return owned
  }

  async expire(process: string): Promise<void> {
    await this.store.renew(process, 'live', 1)
    await this.under.pass(10)
  }

  async successor(owner: OwnedLane): Promise<Recovered> {
    await this.store.release(KEYED, owner.lane, owner.epoch)
    return (await this.own(owner.lane)).recovered
  }

  /** Every lane that a test took is free again. */
  async letGo(): Promise<void> {
    for (const { process } of this.#held.splice(0)) await this.store.deregister(process)
  }

  async end(): Promise<void> {
    await this.letGo()
    for (const made of this.#opened.splice(0)) await made.close()
  }
}
