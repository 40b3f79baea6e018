import { describe, expect, it } from 'vitest'
import { FEED, onlyLane, Rig } from './rig.ts'
import { outside, workerService } from './worker.ts'

const OTHER = '019b0000-0000-7000-8000-0000000000ff'
const result = { topic: 'exec.trade_result' } as const

const begun = async () => {
  const rig = new Rig(workerService(outside()))
  const running = await rig.start()
  const acceptLoss = async (): Promise<void> => {
    const answer = running.host.submit({ order: 'accept-loss', by: 'me', reason: 'it is gone', arguments: {} }, 1_000)
    await rig.pass(200)
    expect(await answer).toMatchObject({ outcome: 'done' })
  }
  return { rig, running, acceptLoss }
}

describe('a position that is missing', () => {
  it('halts the lane before the record: work waits, results and timers go on', async () => {
    const { rig, running } = await begun()
    rig.put('timer', { type: 'wait' }, { position: 1 })
    rig.put('a', { type: 'note' }, { position: 3 })
    rig.put('a', { type: 'note' }, { position: 4 })
    rig.put('b', { type: 'note' }, result)
    await rig.pass(1_100)
    expect(rig.seen('a')).toBeNull()
    expect(rig.seen('b')).toEqual(['note'])
    expect(rig.seen('timer')).toEqual(['xstate.after.1000.worker.waiting'])
    expect(onlyLane(running).halted).toMatchObject({ topic: 'norm.swap_demand', code: 'POSITION_LOST' })
    expect(rig.lane.halted).toMatchObject({ code: 'POSITION_LOST' })
    expect(rig.lane.inputs.get('norm.swap_demand')?.next).toBe(1)
  })

  it('on a topic of results holds that topic and the work', async () => {
    const { rig } = await begun()
    rig.put('b', { type: 'note' }, { ...result, position: 5 })
    await rig.pass(50)
    rig.put('a', { type: 'note' })
    rig.put('b', { type: 'note' }, { ...result, position: 6 })
    await rig.pass(50)
    expect([rig.seen('a'), rig.seen('b')]).toEqual([null, null])
  })

  it('is accepted by an order: nothing that is there is lost, and what comes twice is still dropped', async () => {
    const { rig, running, acceptLoss } = await begun()
    rig.put('a', { type: 'note' }, { position: 1 })
    rig.put('a', { type: 'note' }, { position: 3 })
    await rig.pass(50)
    await acceptLoss()
    rig.put('a', { type: 'note' }, { position: 3 })
    rig.put('a', { type: 'note' }, { position: 4 })
    await rig.pass(50)
    expect(onlyLane(running).halted).toBeNull()
    expect(rig.seen('a')).toEqual(['note', 'note', 'note'])
  })

  it('can be the first of a source never seen, and is accepted too', async () => {
    const { rig, running, acceptLoss } = await begun()
    rig.put('a', { type: 'note' }, { source: 'feed#new', incarnation: OTHER, position: 4 })
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    expect(onlyLane(running).halted?.detail).toContain('position 4, expected 1')
    await acceptLoss()
    expect(rig.seen('a')).toEqual(['note', 'note'])
    rig.put('a', { type: 'note' }, { source: 'feed#new', incarnation: OTHER, position: 5 })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['note', 'note', 'note'])
  })

  it('keeps the lane halted over a restart', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'note' }, { position: 2 })
    await rig.pass(50)
    running.process.kill()
    await rig.pass(2_000)
    const second = await rig.start()
    await rig.pass(200)
    expect(onlyLane(second).halted).toMatchObject({ code: 'POSITION_LOST' })
    expect(rig.seen('a')).toBeNull()
  })
})

describe('a log that does not go on where it should', () => {
  it('halts where it begins above our offset, and goes on there once the loss is accepted', async () => {
    const { rig, running, acceptLoss } = await begun()
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    running.link.crash()
    running.process.kill()
    for (let n = 0; n < 3; n++) rig.put('a', { type: 'note' })
    rig.bus.trim('norm.swap_demand', 0, 3)
    await rig.pass(2_000)
    const second = await rig.start()
    await rig.pass(100)
    expect(onlyLane(second).halted).toMatchObject({ code: 'OFFSET_LOST' })
    const answer = second.host.submit({ order: 'accept-loss', by: 'me', reason: 'gone', arguments: {} }, 1_000)
    await rig.pass(100)
    expect(await answer).toMatchObject({ outcome: 'done' })
    expect(rig.seen('a')).toEqual(['note', 'note'])
    void acceptLoss
  })

  it('is mended with the first of two halts, too', async () => {
    const { rig, running, acceptLoss } = await begun()
    rig.put('a', { type: 'note' })
    rig.put('b', { type: 'note' }, result)
    await rig.pass(50)
    rig.put('a', { type: 'note' }, { position: 7 })
    await rig.pass(50)
    rig.bus.recreate('exec.trade_result')
    await rig.pass(50)
    expect(onlyLane(running).halted).toMatchObject({ topic: 'norm.swap_demand' })
    await acceptLoss()
    await rig.pass(50)
    expect(onlyLane(running).halted).toMatchObject({ topic: 'exec.trade_result', code: 'TOPIC_RECREATED' })
    await acceptLoss()
    rig.put('b', { type: 'note' }, { ...result, incarnation: FEED, position: 2 })
    await rig.pass(50)
    expect(rig.seen('b')).toEqual(['note', 'note'])
    expect(onlyLane(running).halted).toBeNull()
  })
})
