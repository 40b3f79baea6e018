import { describe, expect, it } from 'vitest'
import type { LaneState } from '#machines/contracts/records/operations.ts'
import { Rig } from '../rig.ts'
import type { Running } from '../rig.ts'
import { outside, workerService } from '../worker.ts'

const begun = async () => {
  const of = outside()
  const rig = new Rig(workerService(of))
  return { of, rig, running: await rig.start() }
}

const told = (rig: Rig): LaneState[] =>
  rig.bus.log('ops.lane_state').map(({ value }) => (JSON.parse(Buffer.from(value!).toString()) as { payload: LaneState }).payload)

const order = async (rig: Rig, { host }: Running, name: string, given: Record<string, unknown> = {}): Promise<void> => {
  void host.submit({ order: name, by: 'me', reason: 'test', arguments: given }, 1_000)
  await rig.pass(300)
}

describe('what a lane tells of itself', () => {
  it('is nothing while all is well', async () => {
    const { rig } = await begun()
    rig.put('a', { type: 'note' })
    rig.put('a', { type: 'submit' })
    await rig.pass(5_000)
    expect(told(rig)).toEqual([])
  })

  it('is a parked event once, however many follow, and that none is left', async () => {
    const { rig, running } = await begun()
    for (const key of ['a', 'b', 'a', 'c']) rig.put(key, { type: 'throw' })
    await rig.pass(50)
    rig.put('d', { type: 'throw' })
    await rig.pass(50)
    expect(told(rig)).toMatchObject([
      { service: 'worker', lane: 0, condition: 'parked', holds: true, count: 3, reason: expect.stringMatching(/^worker\/a, turn 1: /) },
    ])
    await order(rig, running, 'drop-dead-letters', { kind: 'worker', key: 'a' })
    // What waited behind it throws as well: another event holds the first place.
    expect(told(rig).at(-1)).toMatchObject({ holds: true, reason: expect.stringContaining('worker/') })
    while (told(rig).at(-1)?.holds) await order(rig, running, 'drop-dead-letters', { all: true })
    expect(told(rig).at(-1)).toMatchObject({ condition: 'parked', holds: false, count: 0 })
  })

  it('is a halted input, and that it goes on', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'note' }, { position: 3 })
    await rig.pass(50)
    await order(rig, running, 'accept-loss')
    expect(told(rig).map(({ condition, holds }) => [condition, holds])).toEqual([
      ['halted', true],
      ['halted', false],
    ])
    expect(told(rig)[0]?.reason).toContain('POSITION_LOST')
  })

  it('is an outcome that nobody knows long after its deadline, and that it is known', async () => {
    const { rig, of } = await begun()
    rig.put('a', { type: 'submit', ms: 1_000 })
    await rig.pass(20_000)
    expect(told(rig)).toEqual([])
    await rig.pass(12_000)
    expect(told(rig)).toMatchObject([{ condition: 'overdue', holds: true, count: 1, reason: expect.stringContaining('worker/a') }])
    of.oracle = async () => ({ answer: 'never', as_of_ms: rig.time.nowMs, detail: {} })
    await rig.pass(2_000)
    expect(told(rig)[1]).toMatchObject({ condition: 'overdue', holds: false })
    expect(told(rig)).toHaveLength(2)
  })

  it('is told again by a new owner while it is so, and is over with the batch that ends it, though that owner told nothing yet', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'throw' })
    // Long enough for the position of what was published to be stored.
    await rig.pass(1_500)
    running.process.kill()
    await rig.pass(2_500)
    const second = await rig.start()
    await rig.pass(1_500)
    expect(told(rig).map(({ holds }) => holds)).toEqual([true, true])
    second.process.kill()
    await rig.store.insertOrder('worker', { by: 'me', reason: 'test', body: { order: 'drop-dead-letters', all: true }, expiresInMs: null })
    await rig.pass(2_500)
    await rig.start()
    await rig.pass(100)
    expect(told(rig).at(-1)).toMatchObject({ condition: 'parked', holds: false })
  })

  it('is over with the batch that ends it, also where its owner dies right after', async () => {
    const { rig, of, running } = await begun()
    rig.put('a', { type: 'submit', ms: 1_000 })
    await rig.pass(33_000)
    of.oracle = async () => ({ answer: 'never', as_of_ms: rig.time.nowMs, detail: {} })
    while (rig.seen('a')?.at(-1) !== 'submit.never') await rig.time.step(rig.time.nowMs + 50)
    running.process.kill()
    await rig.pass(2_500)
    await rig.start()
    await rig.pass(1_000)
    expect(told(rig).at(-1)).toMatchObject({ condition: 'overdue', holds: false })
  })

  it('is over also where it ends while its owner gives the lane back', async () => {
    const { rig, of, running } = await begun()
    of.look = () => new Promise(() => {})
    rig.put('b', { type: 'look' })
    rig.put('a', { type: 'submit', ms: 1_000 })
    await rig.pass(33_000)
    expect(told(rig)).toMatchObject([{ condition: 'overdue', holds: true }])
    void running.host.drain()
    await rig.pass(100)
    of.oracle = async () => ({ answer: 'never', as_of_ms: rig.time.nowMs, detail: {} })
    await rig.pass(6_000)
    expect(rig.seen('a')).toContain('submit.never')
    await rig.start()
    await rig.pass(1_000)
    expect(told(rig).at(-1)).toMatchObject({ condition: 'overdue', holds: false })
  })
})
