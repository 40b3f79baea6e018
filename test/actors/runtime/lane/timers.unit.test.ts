import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TimerRow } from '#actors/runtime/rows.ts'
import { Timers } from '#actors/runtime/lane/timers.ts'
import { onlyLane, Rig } from '../rig.ts'
import { outside, workerService } from '../worker.ts'

const timer = (key: string, dueMs: number, token = 1): TimerRow => ({
  kind: 'k',
  key,
  timer: 't',
  token,
  dueMs,
  event: new Uint8Array(0),
})

const keys = (rows: readonly TimerRow[]): string[] => rows.map(({ key }) => key)
const WINDOW = 4

/** What is stored, and read from as the store reads. */
const storeOf = (rows: readonly TimerRow[]) => {
  const stored = new Map(rows.map((row) => [row.key, row]))
  const inOrder = (): TimerRow[] => [...stored.values()].toSorted((a, b) => a.dueMs - b.dueMs || (a.key < b.key ? -1 : 1))
  return {
    stored,
    after: ({ dueMs, key }: { dueMs: number; key: string }) =>
      inOrder()
        .filter((row) => row.dueMs > dueMs || (row.dueMs === dueMs && row.key > key))
        .slice(0, WINDOW),
    first: () => inOrder().slice(0, WINDOW),
  }
}

describe('timers', () => {
  it('come out by due time, whatever the order they were set in', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { maxLength: 200 }), (dues) => {
        const timers = new Timers(1_000)
        for (const [index, due] of dues.entries()) timers.set(timer(String(index), due))
        expect(timers.due(1_000, 1_000).map(({ dueMs }) => dueMs)).toEqual(dues.toSorted((a, b) => a - b))
      }),
    )
  })

  it('that were set again or cancelled do not fire with what they were', () => {
    const timers = new Timers(10)
    timers.set(timer('again', 10, 1))
    timers.set(timer('again', 20, 2))
    timers.set(timer('gone', 5))
    timers.cancel(timer('gone', 5))
    expect(timers.due(15, 10)).toEqual([])
    expect(timers.nextDueMs()).toBe(20)
    expect(timers.due(20, 10).map(({ token }) => token)).toEqual([2])
  })

  it('stay current once they are out, until a turn has used them', () => {
    const timers = new Timers(10)
    timers.set(timer('a', 10, 1))
    const [out] = timers.due(10, 1)
    expect(timers.isCurrent(out!)).toBe(true)
    timers.set(timer('a', 30, 2))
    expect(timers.isCurrent(out!)).toBe(false)
  })

  it('beyond the horizon are left to the store, and the next window brings them', () => {
    const timers = new Timers(2)
    timers.bring([timer('a', 10), timer('b', 20)], true)
    timers.set(timer('late', 30))
    timers.set(timer('early', 15))
    expect(timers.read(), 'more than half a window is left').toBeNull()
    const fired = timers.due(100, 10)
    expect(keys(fired)).toEqual(['a', 'early', 'b'])
    for (const row of fired) timers.cancel(row)
    expect(timers.read()).toMatchObject({ dueMs: 20, key: 'b' })
    expect(timers.read(), 'one is being read').toBeNull()
    timers.bring([timer('late', 30)], false)
    expect(timers.read()).toBeNull()
    expect(keys(timers.due(100, 10))).toEqual(['late'])
  })

  it('moved beyond the horizon no longer fire from within it', () => {
    const timers = new Timers(2)
    timers.bring([timer('a', 10, 1), timer('b', 20)], true)
    timers.set(timer('a', 40, 2))
    expect(keys(timers.due(100, 10))).toEqual(['b'])
  })

  it('of which a window could not be read are read again', () => {
    const timers = new Timers(2)
    timers.bring([timer('a', 10)], true)
    expect(timers.read()).not.toBeNull()
    timers.unread()
    expect(timers.read()).toMatchObject({ key: 'a' })
  })

  it('hold two windows in memory at most, and forget what was cancelled', () => {
    const timers = new Timers(100)
    for (let n = 0; n < 5_000; n++) {
      timers.set(timer(`k${n}`, 10_000 - n))
      timers.set(timer('often', n + 1, n))
      expect(timers.size).toBeLessThanOrEqual(201)
    }
    expect(timers.due(20_000, 5_000).length).toBeLessThanOrEqual(200)
  })

  it('fire once each as they were last set, while windows are read beside turns that set and cancel', () => {
    const change = fc.record({ key: fc.integer({ min: 0, max: 15 }), due: fc.option(fc.integer({ min: 0, max: 60 })) })
    const step = fc.oneof(change, fc.constantFrom('tick', 'commit', 'read', 'answer'))
    fc.assert(
      fc.property(fc.array(change, { maxLength: 16 }), fc.array(step, { maxLength: 80 }), (before, steps) => {
        const wanted = new Map<string, number>(before.flatMap(({ key, due }) => (due === null ? [] : [[`k${key}`, due]])))
        const store = storeOf([...wanted].map(([key, due]) => timer(key, due, 0)))
        const timers = new Timers(WINDOW)
        timers.bring(store.first(), store.stored.size > WINDOW)
        const [uncommitted, fired]: [(() => void)[], string[]] = [[], []]
        const commit = (): void => uncommitted.splice(0).forEach((write) => write())
        let answer: TimerRow[] | null = null
        let [nowMs, token] = [0, 1]
        const read = (): void => {
          const after = timers.read()
          if (!after) return
          // What was computed until now is stored first, as the lane waits for it.
          commit()
          answer = store.after(after)
        }
        const answered = (): void => {
          if (answer) timers.bring(answer, answer.length === WINDOW)
          answer = null
        }
        const tick = (ms: number): void => {
          nowMs += ms
          for (const row of timers.due(nowMs, 100)) {
            expect(timers.isCurrent(row)).toBe(true)
            expect(wanted.get(row.key), `${row.key} at ${nowMs}`).toBe(row.dueMs)
            timers.cancel(row)
            wanted.delete(row.key)
            fired.push(row.key)
            uncommitted.push(() => store.stored.delete(row.key))
          }
        }
        for (const one of steps) {
          if (one === 'tick') tick(5)
          else if (one === 'commit') commit()
          else if (one === 'read') read()
          else if (one === 'answer') answered()
          else if (typeof one !== 'string') {
            const [key, due] = [`k${one.key}`, one.due]
            if (due === null) {
              timers.cancel(timer(key, 0))
              wanted.delete(key)
              uncommitted.push(() => store.stored.delete(key))
            } else {
              const row = timer(key, nowMs + due, token++)
              timers.set(row)
              wanted.set(key, row.dueMs)
              uncommitted.push(() => store.stored.set(key, row))
            }
          }
        }
        for (let round = 0; round < 40; round++) {
          answered()
          read()
          answered()
          tick(50)
        }
        expect([...wanted], `fired ${fired.join(' ')}`).toEqual([])
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('a lane with more timers than its window', () => {
  it('fires each of them once, in order, over restarts', async () => {
    const rig = new Rig(workerService(outside()))
    const first = await rig.start({ timerWindow: 2 })
    for (let n = 0; n < 12; n++) {
      rig.put(`w${n}`, { type: 'wait' })
      await rig.pass(15)
    }
    first.process.kill()
    await rig.pass(1_600)
    const second = await rig.start({ timerWindow: 2 })
    await rig.pass(1_000)
    for (let n = 0; n < 12; n++) expect(rig.seen(`w${n}`)).toEqual(['xstate.after.1000.worker.waiting'])
    expect(rig.lane.timers.size).toBe(0)
    const fired = rig.lane.journal.filter(({ event }) => Buffer.from(event).toString().includes('xstate.after')).map(({ key }) => key)
    expect(fired).toEqual(Array.from({ length: 12 }, (_, n) => `w${n}`))
    expect(onlyLane(second).timers).toBe(0)
  })

  it('loses none that is set while the next window is read', async () => {
    const rig = new Rig(workerService(outside()))
    let reads = 0
    await rig.start({
      timerWindow: 2,
      store: (own) => ({
        ...own,
        timers: async (...args) => {
          reads++
          const rows = await own.timers(...args)
          // The answer takes its time, and meanwhile more are set.
          rig.put(`during${reads}`, { type: 'wait' })
          await new Promise<void>((resolve) => rig.time.after(30, 'slow answer', resolve))
          return rows
        },
      }),
    })
    for (let n = 0; n < 6; n++) rig.put(`w${n}`, { type: 'wait' })
    await rig.pass(50)
    const all = [...rig.store.lane('worker', 0).timers.values()].length
    await rig.pass(20_000)
    expect(all).toBe(6)
    expect(rig.lane.timers.size).toBe(0)
    const waited = [...rig.lane.actors.values()].filter(({ kind }) => kind === 'worker').map(({ key }) => key)
    for (const key of waited) expect(rig.seen(key), key).toEqual(['xstate.after.1000.worker.waiting'])
  })

  it('goes on when the window could not be read', async () => {
    const rig = new Rig(workerService(outside()))
    let refusals = 3
    const first = await rig.start()
    for (let n = 0; n < 5; n++) rig.put(`w${n}`, { type: 'wait' })
    await rig.pass(50)
    first.process.kill()
    await rig.pass(1_600)
    await rig.start({
      timerWindow: 2,
      store: (own) => ({
        ...own,
        timers: async (...args) => {
          if (refusals-- > 0) throw new Error('no connection')
          return own.timers(...args)
        },
      }),
    })
    await rig.pass(3_000)
    for (let n = 0; n < 5; n++) expect(rig.seen(`w${n}`)).toEqual(['xstate.after.1000.worker.waiting'])
  })

  it('drains with a timer due, and leaves it to its successor', async () => {
    const rig = new Rig(workerService(outside()))
    const { host } = await rig.start()
    rig.put('w', { type: 'wait' })
    await rig.pass(980)
    rig.fate = 'not written'
    rig.put('s', { type: 'say' })
    await rig.pass(5)
    const drained = host.drain()
    await rig.pass(500)
    rig.fate = 'written'
    await rig.pass(2_000)
    await drained
    expect(rig.lane.owner).toBeNull()
    expect(rig.lane.timers.size).toBe(1)
    await rig.start()
    await rig.pass(100)
    expect(rig.seen('w')).toEqual(['xstate.after.1000.worker.waiting'])
  })
})
