import { describe, expect, it } from 'vitest'
import { readSnapshot } from '#actors/runtime/machine/snapshots.ts'
import { firstKind, orderService, secondKind } from './order-machines.ts'
import { onlyLane, Rig } from './rig.ts'
import type { Running } from './rig.ts'
import { outside } from './worker.ts'

const begun = async () => {
  const of = outside()
  const first = orderService('orders', firstKind, of)
  const second = orderService('orders', secondKind, of)
  const rig = new Rig(first)
  const running = await rig.start()
  await rig.pass(2_000)
  return { rig, of, running, second }
}

/** kill -9; its lease has run out when this is over. */
const killed = async (rig: Rig, { process }: Running): Promise<void> => {
  process.kill()
  await rig.pass(2_500)
}

const stored = (rig: Rig, key: string) => {
  const row = [...rig.lane.actors.values()].find((actor) => actor.kind === 'order' && actor.key === key)
  if (!row) throw new Error(`no order ${key}`)
  const { version, value, context } = readSnapshot(row.body)
  return { version, value, context }
}

const timers = (rig: Rig): string[] => [...rig.lane.timers.values()].map(({ key, timer }) => `${key} ${timer}`).toSorted()

describe('actors that an older version stored', () => {
  it('go on where they are loaded, with their timers, and are written in the new version', async () => {
    const { rig, running, second } = await begun()
    rig.put('small', { type: 'begin', size: 1 })
    rig.put('large', { type: 'begin', size: 100 })
    rig.put('small', { type: 'paid', amount: '3' })
    await rig.pass(100)
    expect(timers(rig)).toEqual(['large xstate.after.5000.order.waiting', 'small xstate.after.5000.order.waiting'])
    await killed(rig, running)
    await rig.start({ release: 'r2', definition: second })
    await rig.pass(500)
    rig.put('small', { type: 'payment', amount_units: '4' })
    await rig.pass(100)
    expect(stored(rig, 'small')).toEqual({ version: 2, value: 'quick', context: { size: 1, amount_units: '7' } })
    expect(timers(rig)).toEqual(['large xstate.after.5000.order.waiting', 'small xstate.after.5000.order.quick'])
    // The timer of one that nobody spoke to since is due, and brings it up.
    await rig.pass(4_000)
    expect([stored(rig, 'small'), stored(rig, 'large')]).toMatchObject([
      { version: 2, value: 'settled' },
      { version: 2, value: 'settled' },
    ])
    expect(timers(rig)).toEqual([])
    expect(rig.parked()).toEqual([])
  })

  it('are written though their first event changes nothing, or parks them', async () => {
    const { rig, running, second } = await begun()
    rig.put('a', { type: 'begin', size: 1 })
    rig.put('b', { type: 'begin', size: 1 })
    await rig.pass(100)
    await killed(rig, running)
    await rig.start({ release: 'r2', definition: second })
    await rig.pass(500)
    rig.put('a', { type: 'finish' })
    rig.put('b', { type: 'payment', amount_units: 'unreadable still' })
    await rig.pass(100)
    expect([stored(rig, 'a'), stored(rig, 'b')]).toMatchObject([
      { version: 2, value: 'quick' },
      { version: 2, value: 'quick' },
    ])
    expect(rig.parked()).toHaveLength(1)
    expect(timers(rig)).toEqual(['a xstate.after.5000.order.quick', 'b xstate.after.5000.order.quick'])
  })

  it('keep their open effects, which are asked about under their new name and end there', async () => {
    const { rig, of, running, second } = await begun()
    rig.put('a', { type: 'begin', size: 1 })
    rig.put('a', { type: 'offer' })
    await rig.pass(100)
    expect(of.sent).toHaveLength(1)
    await killed(rig, running)
    await rig.start({ release: 'r2', definition: second })
    await rig.pass(500)
    expect(of.sent).toHaveLength(1)
    expect(of.asked.length).toBeGreaterThan(0)
    expect([...rig.lane.effects.values()]).toMatchObject([{ name: 'sendOffer', state: 'uncertain' }])
    of.oracle = async () => ({ answer: 'happened', as_of_ms: rig.time.nowMs, detail: {} })
    await rig.pass(60_000)
    expect([...rig.lane.effects.values()]).toMatchObject([{ name: 'sendOffer', state: 'done' }])
    expect(rig.parked()).toEqual([])
  })

  it('wait in the store beyond the window of timers, and none of those fires twice or under its old name', async () => {
    const { rig, running, second } = await begun()
    const keys = Array.from({ length: 40 }, (_, index) => `o${String(index).padStart(2, '0')}`)
    for (const key of keys) rig.put(key, { type: 'begin', size: 1 })
    await rig.pass(100)
    await killed(rig, running)
    await rig.start({ release: 'r2', definition: second, timerWindow: 4, cacheBytes: 2_000 })
    await rig.pass(8_000)
    expect(keys.map((key) => stored(rig, key).value)).toEqual(keys.map(() => 'settled'))
    expect(timers(rig)).toEqual([])
    expect(rig.parked()).toEqual([])
  })

  it('are brought up again by whoever comes next, when the process dies before that was committed', async () => {
    const { rig, running, second } = await begun()
    rig.put('a', { type: 'begin', size: 1 })
    rig.put('a', { type: 'offer' })
    await rig.pass(100)
    await killed(rig, running)
    const dying = await rig.start({
      release: 'r2',
      definition: second,
      store: (own) => ({ ...own, commit: () => new Promise(() => {}) }),
    })
    await rig.pass(500)
    expect(stored(rig, 'a').version).toBe(1)
    await killed(rig, dying)
    await rig.start({ release: 'r2', definition: second })
    await rig.pass(1_000)
    expect(stored(rig, 'a')).toMatchObject({ version: 2, value: 'settled' })
    expect([...rig.lane.effects.values()]).toMatchObject([{ name: 'sendOffer' }])
    expect(rig.parked()).toEqual([])
  })
})

describe('a lane that a newer version has run', () => {
  it('is not taken by the older one, which says so, and is by one that can load it', async () => {
    const { rig, running, second } = await begun()
    rig.put('a', { type: 'begin', size: 1 })
    await rig.pass(100)
    await killed(rig, running)
    const young = await rig.start({ release: 'r2', definition: second })
    await rig.pass(500)
    await killed(rig, young)
    const old = await rig.start()
    await rig.pass(3_000)
    expect(old.host.lanes()).toEqual([])
    expect([...old.host.notLoadable.values()]).toMatchObject([{ structures: [expect.stringMatching(/^order 2 [0-9a-f]{16}$/)] }])
    const heir = await rig.start({ release: 'r2', definition: second })
    await rig.pass(1_000)
    expect(onlyLane(heir).lane).toBe(0)
    expect(old.host.notLoadable.size).toBe(0)
  })
})
