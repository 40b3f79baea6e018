import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { registered, takeFree } from '#test/storage/lane.ts'
import { HEIR_LEASE_MS, KEYED, LANES, OTHER } from './store-given.ts'
import type { GivenStore } from './store-given.ts'

/** Who may write a lane. */
export const ownershipContract = (given: GivenStore): void => {
  describe('lanes', () => {
    test('are made on first use, and the same number is answered again', async () => {
      expect(await given.store.lanes(KEYED, LANES)).toBe(LANES)
    })

    test('another number than the stored one is refused', async () => {
      await expect(given.store.lanes(KEYED, LANES + 1)).rejects.toMatchObject({ code: 'broken_contract' })
      await expect(given.store.lanes(KEYED, 1)).rejects.toMatchObject({ code: 'broken_contract' })
    })

    test('a service without keyed input has one lane', async () => {
      expect(await given.connect('inventory-sync').lanes('inventory-sync', 1)).toBe(1)
    })

    test('a lane that does not exist is refused', async () => {
      const process = await registered(given.store, KEYED)
      await expect(given.store.take(process, KEYED, 99, 'free', 10)).rejects.toMatchObject({ code: 'broken_contract' })
      await given.store.deregister(process)
    })

    test('a lane that was never owned is taken with nothing in it', async () => {
      await given.connect(OTHER).lanes(OTHER, LANES)
      const fresh = await takeFree(given.connect(OTHER), OTHER, 3)
      expect(fresh.recovered).toMatchObject({
        lane: { lane: 3, epoch: 1, batch: 0, turn: 0, published: 0, halted: null },
        inputs: [],
        marks: [],
        sent: [],
        timers: [],
        moreTimers: false,
        effects: [],
        outbox: [],
        parkedActors: [],
      })
      expect(fresh.recovered.lane.incarnation).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
      await fresh.store.deregister(fresh.process)
    })
  })

  describe('ownership', () => {
    test('a lane that somebody owns is not free, and not taken while its owner lives', async () => {
      const owner = await given.own(0)
      const other = await registered(given.store, KEYED)
      expect(await given.store.take(other, KEYED, 0, 'free', 10)).toBeNull()
      expect(await given.store.take(other, KEYED, 0, 'expired', 10)).toBeNull()
      const { lanes } = await given.store.renew(other, 'live', 60_000)
      expect(lanes[0]).toEqual({ lane: 0, owner: owner.process, expired: false, epoch: owner.epoch, notLoadable: [] })
      await given.store.deregister(other)
    })

    test('a lane whose owner has expired is taken with a higher epoch, and is not free', async () => {
      const owner = await given.own(0)
      await given.expire(owner.process)
      const heir = await registered(given.store, KEYED, HEIR_LEASE_MS)
      expect((await given.store.renew(heir, 'live', HEIR_LEASE_MS)).lanes[0]).toMatchObject({ owner: owner.process, expired: true })
      expect(await given.store.take(heir, KEYED, 0, 'free', 10)).toBeNull()
      expect(await given.store.take(heir, KEYED, 0, 'expired', 10)).toMatchObject({ lane: { epoch: owner.epoch + 1 } })
      await given.store.deregister(heir)
    })

    test('a lane that was released is free at once', async () => {
      const owner = await given.own(1)
      await given.store.release(KEYED, 1, owner.epoch)
      const heir = await given.own(1)
      expect(heir.epoch).toBe(owner.epoch + 1)
    })

    test('a release of an older epoch changes nothing', async () => {
      const owner = await given.own(1)
      await given.store.release(KEYED, 1, owner.epoch - 1)
      expect((await given.store.renew(owner.process, 'live', 60_000)).lanes[1]).toMatchObject({ owner: owner.process })
    })

    test('a process that is gone leaves its lanes free', async () => {
      const owner = await takeFree(given.store, KEYED, 2)
      await given.store.deregister(owner.process)
      expect((await given.own(2)).epoch).toBe(owner.epoch + 1)
    })

    test('a process may take again what it owns: the answer to its first take was lost', async () => {
      const owner = await given.own(2)
      expect(await given.store.take(owner.process, KEYED, 2, 'free', 10)).toMatchObject({ lane: { epoch: owner.epoch + 1 } })
    })

    test('a process whose own lease has run out takes nothing', async () => {
      const late = await registered(given.store, KEYED)
      await given.expire(late)
      expect(await given.store.take(late, KEYED, 3, 'free', 10)).toBeNull()
      await given.store.deregister(late)
    })

    test('a draining process and an expired one do not count for the fair share', async () => {
      const living = await registered(given.store, KEYED)
      const draining = await registered(given.store, KEYED)
      await given.store.renew(draining, 'draining', 60_000)
      const expired = await registered(given.store, KEYED)
      await given.expire(expired)
      expect(await given.store.renew(living, 'live', 60_000)).toMatchObject({ live: 1 })
      expect(await given.store.renew(draining, 'draining', 60_000)).toMatchObject({ live: 1 })
      for (const process of [living, draining, expired]) await given.store.deregister(process)
    })

    test('a lane that may hold what a process cannot load is named to it, is not given to it, and takes it out of the fair share', async () => {
      const old = { runs: ['counter 1 aa'], loads: ['counter 1 aa'] }
      const young = { runs: ['counter 2 bb'], loads: ['counter 1 aa', 'counter 2 bb'] }
      const elder = await registered(given.store, KEYED, 60_000, old)
      const first = await given.store.take(elder, KEYED, 3, 'free', 10)
      await given.store.release(KEYED, 3, first?.lane.epoch ?? 0)
      const heir = await registered(given.store, KEYED, 60_000, young)
      expect(await given.store.renew(heir, 'live', 60_000)).toMatchObject({ live: 2 })
      const second = await given.store.take(heir, KEYED, 3, 'free', 10)
      await given.store.release(KEYED, 3, second?.lane.epoch ?? 0)
      const renewal = await given.store.renew(elder, 'live', 60_000)
      expect(renewal.live).toBe(1)
      expect(renewal.lanes.map(({ notLoadable }) => notLoadable)).toEqual([[], [], [], ['counter 2 bb']])
      expect(await given.store.take(elder, KEYED, 3, 'free', 10)).toBeNull()
      expect(await given.store.renew(heir, 'live', 60_000)).toMatchObject({ live: 1, lanes: { 3: { notLoadable: [] } } })
      // Who says nothing of what it can load is judged by nobody.
      const silent = await registered(given.store, KEYED)
      expect(await given.store.take(silent, KEYED, 3, 'free', 10)).toMatchObject({ lane: { lane: 3 } })
      for (const process of [elder, heir, silent]) await given.store.deregister(process)
    })

    test('storage that went back: every lane begins under a new incarnation and without owner, once, however many hosts tell of it', async () => {
      const [first, second] = [await given.own(0), await given.own(1)]
      const { incarnation } = first.recovered.lane
      await given.store.reincarnate(KEYED, 0, incarnation)
      await expect(second.commitNext()).rejects.toMatchObject({ code: 'stale_epoch' })
      const heir = await given.own(1)
      await given.store.reincarnate(KEYED, 0, incarnation)
      await heir.commitNext()
      expect(heir.epoch).toBeGreaterThan(second.epoch + 1)
      expect(heir.recovered.lane.incarnation > second.recovered.lane.incarnation).toBe(true)
    })

    test('a process may register again: the answer to its first time was lost', async () => {
      const process = randomUUID()
      const row = { process, service: KEYED, release: 'test', url: 'http://127.0.0.1:0' }
      await given.store.register(row)
      await given.store.register(row)
      expect(await given.store.renew(process, 'live', 60_000)).toMatchObject({ live: 1 })
      await given.store.deregister(process)
    })

    test('an unknown process cannot renew', async () => {
      await expect(given.store.renew(randomUUID(), 'live', 1_000)).rejects.toMatchObject({ code: 'broken_contract' })
    })
  })
}
