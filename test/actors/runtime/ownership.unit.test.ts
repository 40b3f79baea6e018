import { describe, expect, it } from 'vitest'
import { Ownership } from '#actors/runtime/ownership.ts'
import type { LaneStore, Structures } from '#actors/runtime/store-port.ts'
import { SimProcess } from '../../simulation/process.ts'
import { promisesSettled, VirtualTime } from '../../simulation/virtual-time.ts'
import { memoryStore } from '../../twins/store.ts'

const LEASE_MS = 1_500
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Processes that own lanes and run nothing in them. */
class Fleet {
  readonly time = new VirtualTime(1_000_000)
  readonly store = memoryStore({
    clock: { wallMs: () => Math.floor(this.time.nowMs), monotonicMs: () => this.time.nowMs, after: () => () => {} },
  })
  #count = 0

  async lanes(count: number): Promise<void> {
    await this.store.lanes('s', count)
  }

  start(change: (store: LaneStore) => LaneStore = (store) => store, structures: Structures = { runs: ['a 1 x'], loads: ['a 1 x'] }) {
    const process = new SimProcess(this.time, `p${++this.#count}`, 's', 'r1')
    const held = new Map<number, number>()
    const said: string[] = []
    const store = change(this.store.connect())
    const ownership = new Ownership({
      process: process.id,
      service: 's',
      release: 'r1',
      url: () => 'http://test',
      structures,
      store,
      clock: process.clock,
      log: quiet,
      timerWindow: 1,
      held: () => held,
      onTaken: async ({ lane }) => void held.set(lane.lane, lane.epoch),
      onSurplus: async (lane) => {
        const epoch = held.get(lane)
        held.delete(lane)
        if (epoch !== undefined) await store.release('s', lane, epoch)
      },
      onLost: (lane, why) => {
        if (held.delete(lane)) said.push(`${lane}: ${why}`)
      },
      onRenewed: () => void said.push(`renewed ${[...held.keys()].join(' ')}`),
      onBroken: (error) => void said.push(`broken: ${error.message}`),
    })
    void ownership.start()
    return { process, held, said, ownership }
  }

  async pass(ms: number): Promise<void> {
    const until = this.time.nowMs + ms
    await promisesSettled()
    while (await this.time.step(until));
  }

  owners(): (string | null)[] {
    return Array.from({ length: 4 }, (_, lane) => this.store.lane('s', lane).owner)
  }
}

const begun = async (): Promise<Fleet> => {
  const fleet = new Fleet()
  await fleet.lanes(4)
  return fleet
}

describe('ownership', () => {
  it('gives a lone process every lane at once, and two processes half of them each (O1, O2)', async () => {
    const fleet = await begun()
    const first = fleet.start()
    await fleet.pass(10)
    expect([...first.held.keys()].toSorted()).toEqual([0, 1, 2, 3])
    const second = fleet.start()
    await fleet.pass(1_500)
    expect([first.held.size, second.held.size]).toEqual([2, 2])
  })

  it('holds ceil(lanes / live) at most: three processes on four lanes have 2, 1 and 1 or 2, 2 and 0 (O1)', async () => {
    const fleet = await begun()
    const all = [fleet.start(), fleet.start(), fleet.start()]
    await fleet.pass(3_000)
    expect(all.reduce((sum, { held }) => sum + held.size, 0)).toBe(4)
    expect(Math.max(...all.map(({ held }) => held.size))).toBeLessThanOrEqual(2)
  })

  it('takes the lanes of a dead process when its lease has run out, and not before (O2)', async () => {
    const fleet = await begun()
    const first = fleet.start()
    await fleet.pass(10)
    first.process.kill()
    const second = fleet.start()
    await fleet.pass(1_000)
    expect(second.held.size).toBe(0)
    await fleet.pass(1_000)
    expect(second.held.size).toBe(4)
  })

  it('of a lane that may hold a newer structure stays with who can load it; the others say so and do not count (O3)', async () => {
    const fleet = await begun()
    const old = fleet.start()
    await fleet.pass(10)
    const young = fleet.start(undefined, { runs: ['a 2 y'], loads: ['a 1 x', 'a 2 y'] })
    await fleet.pass(1_500)
    expect([old.held.size, young.held.size]).toEqual([2, 2])
    const theirs = [...young.held.keys()]
    young.process.kill()
    await fleet.pass(4_000)
    expect([...old.held.keys()].toSorted()).toEqual([0, 1, 2, 3].filter((lane) => !theirs.includes(lane)))
    expect([...old.ownership.notLoadable.keys()].toSorted()).toEqual(theirs.toSorted())
    expect(old.ownership.notLoadable.get(theirs[0] ?? -1)).toMatchObject({ structures: ['a 2 y'] })
    const heir = fleet.start(undefined, { runs: ['a 2 y'], loads: ['a 1 x', 'a 2 y'] })
    await fleet.pass(2_000)
    expect([old.held.size, heir.held.size]).toEqual([2, 2])
    expect(old.ownership.notLoadable.size).toBe(0)
  })

  it("is looked for more often by a process that has just begun: it has its dead predecessor's lanes within 125 ms of the lease's end", async () => {
    const fleet = await begun()
    const first = fleet.start()
    await fleet.pass(10)
    first.process.kill()
    await fleet.pass(300)
    const second = fleet.start()
    await fleet.pass(LEASE_MS - 300 - 15)
    expect(second.held.size).toBe(0)
    await fleet.pass(15 + 125)
    expect(second.held.size).toBe(4)
  })

  it('is lost by itself when nothing can be renewed for a lease, and sends need a fresher one (O4)', async () => {
    let away = false
    const fleet = await begun()
    const first = fleet.start((store) => ({
      ...store,
      renew: (...args) => (away ? Promise.reject(new Error('no connection')) : store.renew(...args)),
    }))
    await fleet.pass(510)
    away = true
    await fleet.pass(LEASE_MS - 300)
    expect([first.held.size, first.ownership.isFresh()]).toEqual([4, false])
    await fleet.pass(600)
    expect(first.held.size).toBe(0)
    away = false
    await fleet.pass(1_000)
    expect([first.held.size, first.ownership.isFresh()]).toEqual([4, true])
  })

  it('is not kept in the store by a process that cannot hold it: its share is full', async () => {
    let away = false
    const fleet = await begun()
    const first = fleet.start((store) => ({
      ...store,
      release: (...args) => (away ? Promise.reject(new Error('connection broke')) : store.release(...args)),
    }))
    await fleet.pass(10)
    away = true
    const second = fleet.start()
    await fleet.pass(1_500)
    expect([first.held.size, second.held.size]).toEqual([2, 0])
    away = false
    await fleet.pass(2_500)
    expect([first.held.size, second.held.size]).toEqual([2, 2])
  })

  it('is looked at before what a renewal sets free: a process that slept does nothing with what it lost', async () => {
    const fleet = await begun()
    const first = fleet.start()
    await fleet.pass(10)
    first.process.freeze()
    const second = fleet.start()
    await fleet.pass(3_000)
    expect(second.held.size).toBe(4)
    first.said.length = 0
    first.process.goOn()
    await fleet.pass(10)
    expect(first.said.findIndex((line) => line.startsWith('renewed'))).toBeGreaterThanOrEqual(4)
    expect(first.said.find((line) => line.startsWith('renewed'))).toBe('renewed ')
  })

  it('is not lost by a renewal that was read before the lane was taken', async () => {
    const fleet = await begun()
    const answers: (() => void)[] = []
    let slow = false
    const first = fleet.start((store) => ({
      ...store,
      renew: async (...args) => {
        const read = await store.renew(...args)
        if (slow) await new Promise<void>((resolve) => answers.push(resolve))
        return read
      },
    }))
    slow = true
    await fleet.pass(0)
    // Two renewals are under way, both read while nobody owned anything; the first answer takes the lanes.
    await fleet.pass(600)
    slow = false
    for (const answer of answers.splice(0)) answer()
    await fleet.pass(5)
    expect(first.held.size).toBe(4)
    expect(first.said.filter((line) => line.includes('another'))).toEqual([])
  })

  it('ends without breaking when a renewal crosses its end', async () => {
    const fleet = await begun()
    const first = fleet.start((store) => ({
      ...store,
      renew: async (...args) => {
        await new Promise<void>((resolve) => fleet.time.after(20, 'slow', resolve))
        return store.renew(...args)
      },
    }))
    await fleet.pass(505)
    const ended = first.ownership.end()
    await fleet.pass(100)
    await ended
    expect(first.said.filter((line) => line.startsWith('broken'))).toEqual([])
    expect(fleet.owners()).toEqual([null, null, null, null])
  })
})
