import { describe, expect, it } from 'vitest'
import { FEED, onlyLane, Rig, START_MS } from './rig.ts'
import { outside, workerService } from './worker.ts'

const begun = async (options: Parameters<Rig['start']>[0] = {}) => {
  const of = outside()
  const rig = new Rig(workerService(of))
  const running = await rig.start(options)
  return { of, rig, running }
}

const never = <T>(): Promise<T> => new Promise<T>(() => {})

describe('a second owner', () => {
  it('has the lane once the lease has run out, and the first one commits nothing when it goes on (L4)', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    running.process.freeze()
    await rig.pass(10)
    const second = await rig.start()
    await rig.pass(2_000)
    expect(onlyLane(second).epoch).toBe(2)
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    running.process.goOn()
    await rig.pass(20)
    expect(running.host.lanes()).toEqual([])
    rig.put('a', { type: 'note' })
    await rig.pass(2_000)
    expect(rig.seen('a')).toEqual(['note', 'note', 'note'])
    expect(rig.lane.journal.map(({ turn }) => turn)).toEqual([1, 2, 3])
  })

  it('takes up what was published in doubt: every position is there, each taken once', async () => {
    const { rig, running } = await begun()
    rig.fate = 'acknowledgement lost'
    for (let n = 0; n < 3; n++) rig.put('a', { type: 'say' })
    await rig.pass(50)
    running.process.kill()
    rig.fate = 'written'
    await rig.start()
    await rig.pass(4_000)
    expect(rig.bus.log('ops.alert_event').map(({ headers }) => headers['unrip-position'])).toEqual(['1', '2', '3', '1', '2', '3'])
    expect(rig.lane.published).toBeGreaterThan(0)
  })

  it('runs an idempotent effect again', async () => {
    const { rig, running, of } = await begun()
    of.look = never
    rig.put('a', { type: 'look' })
    await rig.pass(50)
    running.process.kill()
    of.look = async () => ({ ok: true })
    await rig.start()
    await rig.pass(2_000)
    expect(of.looked).toHaveLength(2)
    expect(new Set(of.looked).size).toBe(1)
    expect(rig.seen('a')).toEqual(['look.done'])
  })

  it('never sends what is ask first: it is uncertain, told once, and asked about at once (E2)', async () => {
    const { rig, running, of } = await begun()
    of.send = never
    rig.put('a', { type: 'submit', ms: 60_000 })
    await rig.pass(50)
    running.process.kill()
    const second = await rig.start()
    await rig.pass(2_000)
    expect([of.sent.length, of.asked.length > 0]).toEqual([1, true])
    expect(rig.seen('a')).toEqual(['submit', 'submit.uncertain'])
    second.process.kill()
    const third = await rig.start()
    await rig.pass(2_000)
    expect(of.sent).toHaveLength(1)
    expect(rig.seen('a')).toEqual(['submit', 'submit.uncertain'])
    of.oracle = async () => ({ answer: 'happened', as_of_ms: 1, detail: { tx: 'x' } })
    // A hint that the answer can be known: asked soon, not when it was due.
    expect(third.host.hurry(of.sent[0]!)).toBe(true)
    await rig.pass(700)
    expect(rig.seen('a')).toEqual(['submit', 'submit.uncertain', 'submit.happened'])
    expect([...rig.lane.effects.values()].map(({ state }) => state)).toEqual(['done'])
  })
})

describe('an ask-first effect', () => {
  it('is not "never" before its not_after, whatever the oracle says (E4)', async () => {
    const { rig, of } = await begun()
    of.oracle = async () => ({ answer: 'never', as_of_ms: Math.floor(rig.time.nowMs) - 700, detail: {} })
    rig.put('a', { type: 'submit', ms: 1_000 })
    await rig.pass(1_600)
    expect(of.asked.length).toBeGreaterThan(0)
    expect(rig.seen('a')).toEqual(['submit', 'submit.answered'])
    await rig.pass(1_000)
    expect(rig.seen('a')).toEqual(['submit', 'submit.answered', 'submit.never'])
    expect([...rig.lane.effects.values()].map(({ asked }) => asked)).toEqual([of.asked.length])
  })

  it('whose sending throws is silent, not unsent', async () => {
    const { rig, of } = await begun()
    of.send = async () => {
      throw new Error('socket closed')
    }
    rig.put('a', { type: 'submit' })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['submit', 'submit.answered'])
    expect([...rig.lane.effects.values()].map(({ state }) => state)).toEqual(['pending'])
  })

  it('that provably did not leave ends as not_sent', async () => {
    const { rig, of } = await begun()
    of.send = async () => ({ not_sent: 'no signer' })
    rig.put('a', { type: 'submit' })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['submit', 'submit.not_sent'])
    expect([...rig.lane.effects.values()].map(({ state }) => state)).toEqual(['not_sent'])
  })

  it('is not sent before its row is committed (E1)', async () => {
    const rows: number[] = []
    const { rig, of } = await begun()
    of.send = async () => {
      rows.push(rig.lane.effects.size)
      return { answered: {} }
    }
    rig.put('a', { type: 'submit' })
    await rig.pass(50)
    expect(rows).toEqual([1])
  })

  it('waits while the lease is stale, and does not leave when the lane is somebody else’s by then (I2)', async () => {
    let slow: (() => void) | null = null
    const { rig, running, of } = await begun({
      store: (own) => ({
        ...own,
        // The commit is done, and its answer sleeps with the process.
        commit: async (service, batch) => {
          const done = await own.commit(service, batch)
          if (batch.effects.length > 0) await new Promise<void>((resolve) => (slow = resolve))
          return done
        },
      }),
    })
    rig.put('a', { type: 'submit', ms: 60_000 })
    await rig.pass(50)
    expect(slow).not.toBeNull()
    running.process.freeze()
    await rig.start()
    await rig.pass(3_000)
    slow!()
    running.process.goOn()
    await rig.pass(3_000)
    expect(of.sent).toEqual([])
    expect(rig.seen('a')?.[1]).toBe('submit.uncertain')
  })
})

describe('a clock', () => {
  it('that is wrong costs the process its lanes, and somebody else has them at once', async () => {
    const { rig, running } = await begun()
    running.process.skewMs = 2_000
    await rig.pass(600)
    expect(running.host.lanes()).toEqual([])
    const second = await rig.start()
    await rig.pass(300)
    expect(onlyLane(second).epoch).toBe(2)
    running.process.skewMs = 0
    await rig.pass(2_000)
    expect(onlyLane(second).epoch).toBe(2)
  })

  it('is not wrong because an answer took a second', async () => {
    let slow = false
    const { rig, running } = await begun({
      store: (own) => ({
        ...own,
        renew: async (...args) => {
          if (slow) await new Promise<void>((resolve) => rig.time.after(1_200, 'slow', resolve))
          return own.renew(...args)
        },
      }),
    })
    slow = true
    await rig.pass(3_000)
    expect(rig.logged.filter(({ event }) => event === 'process.clock_off')).toEqual([])
    expect(onlyLane(running).epoch).toBe(1)
  })

  it('that goes back does not turn back the lane’s own', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    running.process.skewMs = -400
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    const [first, second] = rig.lane.journal.map(({ nowMs }) => nowMs)
    expect(second).toBe(first)
  })
})

describe('a lane that cannot start', () => {
  it('is tried again, and not held unrun, when a snapshot cannot be loaded at takeover', async () => {
    let refusals = 2
    const { rig, running } = await begun({
      store: (own) => ({ ...own, load: (...args) => (refusals-- > 0 ? Promise.reject(new Error('no connection')) : own.load(...args)) }),
    })
    await rig.pass(3_000)
    rig.put('a', { type: 'note' }, { incarnation: FEED })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['note'])
    expect(onlyLane(running).epoch).toBeGreaterThan(1)
    expect(rig.time.nowMs).toBeGreaterThan(START_MS)
  })

  it('is given back when its release was not answered and the fair share is full', async () => {
    const { rig, running } = await begun({
      store: (own) => ({ ...own, release: () => Promise.reject(new Error('connection broke')) }),
    })
    const drained = running.host.drain()
    await rig.pass(1_000)
    await drained
    expect(rig.lane.owner).toBeNull()
  })
  it('has stored how far it has published when it is drained, so that its successor publishes nothing again', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'say' })
    await rig.pass(20)
    const drained = running.host.drain()
    await rig.pass(1_000)
    await drained
    expect(rig.lane.outbox.filter(({ blob }) => blob !== null).map(({ batch }) => batch)).toEqual([rig.lane.published])
  })
})

describe('a lane whose storage went back', () => {
  const names = (rig: Rig): number => rig.logged.filter(({ event }) => event === 'store.went_back').length

  it('begins anew once, though Kafka knows better from then on, and reads again what was forgotten', async () => {
    const { rig } = await begun()
    rig.put('a', { type: 'note' })
    await rig.pass(1_500)
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    rig.store.failOver(200)
    expect(rig.seen('a')).toEqual(['note'])
    rig.put('a', { type: 'note' })
    await rig.pass(1_500)
    expect(names(rig)).toBe(1)
    expect(rig.seen('a')).toEqual(['note', 'note', 'note'])
  })

  it('tells Kafka where it stands: a later owner of a lane that has not caught up does not find the same again', async () => {
    const { rig, running } = await begun()
    const order = (name: string) => void running.host.submit({ order: name, by: 'test', reason: 'test', arguments: {} }, 100)
    order('pause')
    await rig.pass(1_500)
    order('resume')
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    rig.store.failOver(200)
    expect([rig.seen('a'), rig.value('lifecycle', 'lane')]).toEqual([null, 'paused'])
    await rig.pass(1_500)
    running.process.kill()
    await rig.start()
    await rig.pass(3_000)
    expect(names(rig)).toBe(1)
  })
})
