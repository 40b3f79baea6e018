import { describe, expect, test } from 'vitest'
import type { TimerRow } from '#actors/runtime/rows.ts'
import { bytesOf, takeFree } from '#test/storage/lane.ts'
import { KEYED, LANES } from './store-given.ts'
import type { GivenStore } from './store-given.ts'

/** Timers in their order, and orders lane by lane. */
export const timerAndOrderContract = (given: GivenStore): void => {
  describe('timers', () => {
    test('come in the order of due time, kind, key and name, a window at a time', async () => {
      const owner = await given.own(0)
      const rows = [timerRow('b', 't', 20), timerRow('a', 't', 20), timerRow('a', 's', 20), timerRow('z', 't', 10), timerRow('c', 't', 30)]
      await owner.commitNext({ timersSet: rows })
      const ordered = ['z t', 'a s', 'a t', 'b t', 'c t']
      const { timers, moreTimers } = await given.store.recover(KEYED, 0, owner.epoch, 3)
      expect([timers.map(nameOf), moreTimers]).toEqual([ordered.slice(0, 3), true])
      const last = timers.at(-1)
      if (!last) throw new Error('three timers')
      expect((await given.store.timers(KEYED, 0, last, 10)).map(nameOf)).toEqual(ordered.slice(3))
      expect((await given.store.timers(KEYED, 0, last, 1)).map(nameOf)).toEqual(ordered.slice(3, 4))
      expect(await given.store.recover(KEYED, 0, owner.epoch, 5)).toMatchObject({ moreTimers: false })
    })

    test('of some actors are all of theirs and nobody else’s', async () => {
      const owner = await given.own(2)
      await owner.commitNext({ timersSet: [timerRow('p', 's', 20), timerRow('p', 't', 10), timerRow('q', 't', 20), timerRow('r', 't', 5)] })
      const of = (...keys: string[]) =>
        given.store.timersOf(
          KEYED,
          2,
          keys.map((key) => ({ kind: 'counter', key })),
        )
      expect((await of('q', 'p', 'none')).map(nameOf).toSorted()).toEqual(['p s', 'p t', 'q t'])
      expect(await of()).toEqual([])
    })

    test('that are set again move, and those switched off are gone', async () => {
      const owner = await given.own(1)
      await owner.commitNext({ timersSet: [timerRow('a', 't', 10), timerRow('b', 't', 20)] })
      await owner.commitNext({ timersSet: [timerRow('a', 't', 40, 2)], timersOff: [{ kind: 'counter', key: 'b', timer: 't' }] })
      const { timers } = await given.store.recover(KEYED, 1, owner.epoch, 10)
      expect(timers.map(({ key, dueMs, token }) => [key, dueMs, token])).toEqual([['a', 40, 2]])
    })
  })

  describe('orders', () => {
    const order = { by: 'ada', reason: 'a test', body: { order: 'arm', release: 'r1' }, expiresInMs: 10_000 }

    test('fan out to one row a lane and stay open until that lane has committed them', async () => {
      const owner = await given.own(0)
      const { id } = await given.store.insertOrder(KEYED, order)
      expect((await given.store.renew(owner.process, 'live', 60_000)).openOrders).toEqual([0, 1, 2, 3])
      const [row] = await given.store.orders(KEYED, 0)
      expect(row).toMatchObject({ id, lane: 0, by: 'ada', reason: 'a test', body: order.body })
      expect((row?.expiresAtMs ?? 0) - (row?.atMs ?? 0)).toBe(10_000)
      await owner.commitNext({ orders: [{ id, answer: { armed: true } }] })
      expect(await given.store.orders(KEYED, 0)).toEqual([])
      expect(await given.store.orderAnswers(KEYED, id)).toEqual(
        [0, 1, 2, 3].map((lane) => ({ lane, answer: lane === 0 ? { armed: true } : null })),
      )
      expect((await given.store.renew(owner.process, 'live', 60_000)).openOrders).toEqual([1, 2, 3])
      await takeAllOrders()
    })

    test('for one lane go to that lane, and a lane that does not exist is refused', async () => {
      const { id } = await given.store.insertOrder(KEYED, { ...order, expiresInMs: null, lane: 2 })
      expect(await given.store.orderAnswers(KEYED, id)).toEqual([{ lane: 2, answer: null }])
      expect(await given.store.orders(KEYED, 2)).toMatchObject([{ id, expiresAtMs: null }])
      await expect(given.store.insertOrder(KEYED, { ...order, lane: 99 })).rejects.toMatchObject({ code: 'broken_contract' })
      await takeAllOrders()
    })

    test('keep their first answer, and one that the lane does not have breaks the contract', async () => {
      const owner = await given.own(0)
      const { id } = await given.store.insertOrder(KEYED, { ...order, lane: 0 })
      await owner.commitNext({ orders: [{ id, answer: { first: true } }] })
      await owner.commitNext({ orders: [{ id, answer: { first: false } }] })
      expect(await given.store.orderAnswers(KEYED, id)).toEqual([{ lane: 0, answer: { first: true } }])
      await expect(owner.commitNext({ orders: [{ id: id + 1_000, answer: {} }] })).rejects.toMatchObject({ code: 'broken_contract' })
    })

    test('call back who listens, when one is inserted and when one is committed', async () => {
      const owner = await given.own(0)
      let heard = signal()
      const stop = await given.connect().onOrder(KEYED, () => heard.give())
      const { id } = await given.store.insertOrder(KEYED, { ...order, lane: 0 })
      expect(await heard.given).toBe('heard')
      heard = signal()
      await owner.commitNext({ orders: [{ id, answer: {} }] })
      expect(await heard.given).toBe('heard')
      await stop()
    })

    const takeAllOrders = async (): Promise<void> => {
      await given.letGo()
      for (let lane = 0; lane < LANES; lane++) {
        const open = await given.store.orders(KEYED, lane)
        const owner = await takeFree(given.store, KEYED, lane)
        await owner.commitNext({ orders: open.map(({ id }) => ({ id, answer: {} })) })
        await given.store.deregister(owner.process)
      }
    }
  })
}

const timerRow = (key: string, timer: string, dueMs: number, token = 1): TimerRow => ({
  kind: 'counter',
  key,
  timer,
  token,
  dueMs,
  event: bytesOf('{"type":"due"}'),
})

const nameOf = ({ key, timer }: TimerRow): string => `${key} ${timer}`

const signal = (): { given: Promise<string>; give: () => void } => {
  const { promise, resolve } = Promise.withResolvers<string>()
  return { given: promise, give: () => resolve('heard') }
}
