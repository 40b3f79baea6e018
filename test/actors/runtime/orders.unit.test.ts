import { describe, expect, it } from 'vitest'
import { StoreError } from '#storage/errors.ts'
import { onlyLane, Rig } from './rig.ts'
import type { Running } from './rig.ts'
import { outside, workerService } from './worker.ts'

const begun = async (gated = false, options: Parameters<Rig['start']>[0] = {}) => {
  const of = outside()
  const rig = new Rig(workerService(of, { gated }))
  const running = await rig.start(options)
  return { of, rig, running }
}

const give = async (rig: Rig, { host }: Running, order: string, given: Record<string, unknown> = {}) => {
  const answer = host.submit({ order, by: 'me', reason: 'test', arguments: given }, 1_000)
  await rig.pass(300)
  return answer
}

describe('orders', () => {
  it('are answered when every lane has committed them, and told on a topic', async () => {
    const { rig, running } = await begun()
    expect(await give(rig, running, 'poke')).toMatchObject({ outcome: 'done' })
    expect(rig.seen('w')).toEqual(['order.poke'])
    const [told] = rig.bus.log('ctl.operator_command')
    expect(JSON.parse(Buffer.from(told!.value!).toString()).payload).toMatchObject({ order: 'poke', by: 'me', outcome: 'taken' })
  })

  it('are taken ahead of everything that waits, and during a Kafka outage', async () => {
    const { rig, running } = await begun()
    rig.fate = 'not written'
    // More unpublished than may wait: nothing else is taken.
    for (let n = 0; n < 40; n++) rig.put('big', { type: 'say', bytes: 250_000 })
    await rig.pass(500)
    for (let n = 0; n < 5; n++) rig.put('w', { type: 'note' })
    await rig.pass(100)
    expect(rig.seen('w')).toBeNull()
    expect(await give(rig, running, 'poke')).toMatchObject({ outcome: 'done' })
    expect(rig.seen('w')).toEqual(['order.poke'])
    rig.fate = 'written'
    await rig.pass(1_000)
    expect(rig.seen('w')).toEqual(['order.poke', ...Array<string>(5).fill('note')])
  })

  it('pass a parked event', async () => {
    const { rig, running } = await begun()
    rig.put('w', { type: 'throw' })
    await rig.pass(50)
    expect(await give(rig, running, 'poke')).toMatchObject({ outcome: 'done' })
    expect(rig.seen('w')).toEqual(['order.poke'])
  })

  it('that their machine does not know are refused, and park nobody, now or at the next owner', async () => {
    const { rig, running } = await begun()
    expect(await give(rig, running, 'unknown')).toMatchObject({ outcome: 'refused' })
    running.process.kill()
    await rig.pass(2_000)
    await rig.start()
    rig.put('w', { type: 'note' })
    await rig.pass(50)
    expect(rig.seen('w')).toEqual(['note'])
    expect(rig.lane.parked.map(({ kind, origin }) => [kind, origin])).toEqual([['', 'order 1 for worker/w']])
  })

  it('that need no turn have an event id each', async () => {
    const { rig, running } = await begun()
    for (let n = 0; n < 2; n++) await give(rig, running, 'accept-loss')
    const ids = rig.bus
      .log('ctl.operator_command')
      .map(({ value }) => (JSON.parse(Buffer.from(value!).toString()) as { event_id: string }).event_id)
    expect(new Set(ids).size).toBe(2)
  })

  it('wait as rows for the next owner when nobody can take them', async () => {
    const { rig, running } = await begun()
    running.process.kill()
    await rig.store.insertOrder('worker', { by: 'me', reason: 'test', body: { order: 'poke' }, expiresInMs: null })
    await rig.pass(2_000)
    await rig.start()
    await rig.pass(100)
    expect(rig.seen('w')).toEqual(['order.poke'])
  })
})

describe('pause', () => {
  it('stops work and lets results through; resume loses nothing, over a restart too', async () => {
    const { rig, running } = await begun()
    await give(rig, running, 'pause')
    rig.put('a', { type: 'note' })
    rig.put('b', { type: 'note' }, { topic: 'exec.trade_result' })
    await rig.pass(100)
    expect([rig.seen('a'), rig.seen('b'), running.host.lifecycle]).toEqual([null, ['note'], 'paused'])
    running.process.kill()
    await rig.pass(2_000)
    const second = await rig.start()
    await rig.pass(200)
    expect([rig.seen('a'), second.host.lifecycle]).toEqual([null, 'paused'])
    await give(rig, second, 'resume')
    rig.put('a', { type: 'note' })
    await rig.pass(100)
    expect(rig.seen('a')).toEqual(['note', 'note'])
  })
})

describe('what lets an input flow again', () => {
  it('lets nothing in while too much waits, and what was dropped meanwhile comes once, in order', async () => {
    const { rig, running } = await begun()
    rig.fate = 'not written'
    // More unpublished than may wait: nothing else is taken.
    for (let n = 0; n < 40; n++) rig.put('big', { type: 'say', bytes: 250_000 })
    await rig.pass(500)
    for (let n = 0; n < 40; n++) {
      rig.put('a', { type: 'pass', n, text: 'x'.repeat(250_000) }, { topic: 'exec.trade_result' })
      await rig.pass(5)
    }
    for (let n = 0; n < 40; n++) rig.put('b', { type: 'pass', n })
    const full = onlyLane(running).mailbox
    expect(full).toBeLessThan(40)
    for (const order of ['pause', 'resume', 'pause', 'resume']) {
      await give(rig, running, order)
      expect(onlyLane(running).mailbox, order).toBe(full)
    }
    rig.fate = 'written'
    await rig.pass(5_000)
    const inOrder = Array.from({ length: 40 }, (_, n) => n)
    for (const of of ['a', 'b']) {
      const taken = rig.lane.journal.filter(({ key }) => key === of)
      expect(taken.map(({ event }) => (JSON.parse(Buffer.from(event).toString()) as { n: number }).n)).toEqual(inOrder)
    }
  })
})

describe('the gate', () => {
  const armed = async (options: Parameters<Rig['start']>[0] = {}) => {
    const all = await begun(true, options)
    await give(all.rig, all.running, 'arm')
    return all
  }

  it('is shut on a fresh release and opened by an arm order for it (I7)', async () => {
    const { rig, running, of } = await armed()
    rig.put('a', { type: 'submit' })
    await rig.pass(50)
    expect(of.sent).toHaveLength(1)
    running.process.kill()
    await rig.pass(2_000)
    const same = await rig.start({ release: 'r1' })
    await rig.pass(100)
    expect(onlyLane(same).gate).toMatchObject({ armed: true })
    same.process.kill()
    await rig.pass(2_000)
    const fresh = await rig.start({ release: 'r2' })
    rig.put('a', { type: 'submit' })
    await rig.pass(100)
    expect(onlyLane(fresh).gate).toMatchObject({ armed: false })
    expect(of.sent).toHaveLength(1)
    expect(rig.seen('a')?.at(-1)).toBe('submit.not_sent')
  })

  it('stays shut for an arm order that nobody took in its ten seconds', async () => {
    const { rig, running, of } = await begun(true)
    running.process.kill()
    await rig.store.insertOrder('worker', { by: 'me', reason: 'test', body: { order: 'arm' }, expiresInMs: 10_000 })
    await rig.pass(10_500)
    await rig.start()
    rig.put('a', { type: 'submit' })
    await rig.pass(200)
    expect(of.sent).toEqual([])
    expect([...rig.lane.orders.values()].map(({ answer }) => answer)).toEqual([{ outcome: 'expired' }])
  })

  it('is shut by a disarm at once, before its row is written', async () => {
    const { rig, running, of } = await armed()
    void running.host.submit({ order: 'disarm', by: 'me', reason: 'test', arguments: {} }, 1_000)
    expect(onlyLane(running).gate).toEqual({ armed: true, shut: true })
    await rig.pass(100)
    expect(onlyLane(running).gate).toMatchObject({ armed: false })
    rig.put('a', { type: 'submit' })
    await rig.pass(50)
    expect(of.sent).toEqual([])
  })

  it('stays shut where the disarm could not be written, until a later arm, and over the loss of the lane', async () => {
    let away = false
    const { rig, running, of } = await armed({
      store: (own) => ({
        ...own,
        insertOrder: (...args) => (away ? Promise.reject(new StoreError('unavailable', 'no connection')) : own.insertOrder(...args)),
        renew: (...args) => (away ? Promise.reject(new StoreError('unavailable', 'no connection')) : own.renew(...args)),
      }),
    })
    away = true
    expect(await give(rig, running, 'disarm')).toMatchObject({ outcome: 'unavailable' })
    await rig.pass(3_000)
    expect(running.host.lanes()).toEqual([])
    away = false
    await rig.pass(1_000)
    expect(onlyLane(running).gate).toEqual({ armed: true, shut: true })
    rig.put('a', { type: 'submit' })
    await rig.pass(100)
    expect(of.sent).toEqual([])
    await give(rig, running, 'arm')
    rig.put('a', { type: 'submit' })
    await rig.pass(100)
    expect(of.sent).toHaveLength(1)
  })
})
