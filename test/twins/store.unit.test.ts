import { describe, expect, it } from 'vitest'
import { actorRow, journalRow, takeFree } from '#test/storage/lane.ts'
import { memoryStore } from './store.ts'

const SERVICE = 'trade-executor'
const world = async () => {
  let nowMs = Date.UTC(2026, 10, 21, 23, 59, 59)
  const store = memoryStore({
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs, after: () => () => {} },
    lanes: 2,
    remembersMs: 1_000,
  })
  await store.lanes(SERVICE, 2)
  return { store, owned: await takeFree(store, SERVICE, 0), pass: (ms: number) => void (nowMs += ms) }
}

describe('a standby that takes over', () => {
  it('has forgotten what was committed in its last second, and nothing before', async () => {
    const { store, owned, pass } = await world()
    await owned.commitNext({ actors: [actorRow('kept')], journal: [journalRow('kept')] })
    pass(1_500)
    const { id } = await store.insertOrder(SERVICE, { by: 'test', reason: 'test', body: { order: 'pause' }, expiresInMs: null })
    await owned.commitNext({
      actors: [actorRow('kept', { sequence: 2 }), actorRow('lost')],
      journal: [journalRow('kept'), journalRow('lost')],
    })
    pass(300)
    store.failOver(500)
    const lane = store.lane(SERVICE, 0)
    expect([...lane.actors.values()].map(({ key, sequence }) => [key, sequence])).toEqual([['kept', 1]])
    expect(lane).toMatchObject({ batch: 1, turn: 1, journal: [{ key: 'kept' }] })
    expect(await store.orderAnswers(SERVICE, id)).toEqual([])
  })

  it('shows a new timeline: whoever takes a lane next finds new incarnations and epochs, and the old owner is fenced', async () => {
    const { store, owned } = await world()
    const before = store.lane(SERVICE, 0).incarnation
    store.failOver(0)
    await takeFree(store, SERVICE, 1)
    expect(store.lane(SERVICE, 0)).toMatchObject({ owner: null })
    expect(store.lane(SERVICE, 0).incarnation > before).toBe(true)
    await expect(owned.commitNext({ journal: [journalRow('late')] })).rejects.toMatchObject({ code: 'stale_epoch' })
  })

  it('and forgets what the standby before it had begun anew: no epoch is given out twice', async () => {
    const { store, pass } = await world()
    pass(2_000)
    store.failOver(0)
    const first = await takeFree(store, SERVICE, 0)
    pass(5)
    store.failOver(500)
    const second = await takeFree(store, SERVICE, 0)
    expect(second.epoch).toBeGreaterThan(first.epoch)
  })
})

it('a detached day takes its journal with it, and of the outbox what is published', async () => {
  const { store, owned, pass } = await world()
  const outbox = Buffer.from('blob')
  await owned.commitNext({ journal: [journalRow('a', { nowMs: 1_000 })], outbox })
  await owned.commitNext({ journal: [journalRow('a', { nowMs: 1_000 })], outbox, published: 1 })
  pass(2_000)
  await owned.commitNext({ journal: [journalRow('a', { nowMs: 9_000 })], outbox, published: 1 })
  store.detachDays(5_000)
  const lane = store.lane(SERVICE, 0)
  expect(lane.journal.map(({ turn }) => turn)).toEqual([3])
  expect(lane.outbox.map(({ batch }) => batch)).toEqual([2, 3])
})
