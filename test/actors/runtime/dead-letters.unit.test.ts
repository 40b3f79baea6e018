import { describe, expect, it } from 'vitest'
import type { Submitted } from '#actors/runtime/order-desk.ts'
import type { LaneStore } from '#actors/runtime/store-port.ts'
import { StoreError } from '#storage/errors.ts'
import { onlyLane, Rig } from './rig.ts'
import type { Running } from './rig.ts'
import { outside, workerService } from './worker.ts'

const begun = async (options: Parameters<Rig['start']>[0] = {}) => {
  const of = outside()
  const rig = new Rig(workerService(of))
  return { of, rig, running: await rig.start(options) }
}

type What = 'replay' | 'drop'

const give = async (rig: Rig, { host }: Running, what: What, which: Record<string, unknown>, passMs = 500): Promise<Submitted> => {
  const answer = host.submit({ order: `${what}-dead-letters`, by: 'ada', reason: 'test', arguments: which }, 1_000)
  await rig.pass(passMs)
  return answer
}

const outcomes = (rig: Rig): string => rig.lane.journal.map(({ outcome }) => outcome).join('')
const done = (rig: Rig): (string | null)[] => rig.lane.parked.map((row) => row.done)
const shown = (running: Running) => onlyLane(running).parked
const a = { kind: 'worker', key: 'a' }

describe('a parked event', () => {
  it('is replayed by an order, and then what waited behind it, each in its order and in one turn', async () => {
    const { rig, running, of } = await begun()
    of.broken = true
    rig.put('a', { type: 'mind', n: 1 })
    for (const type of ['note', 'say', 'look']) rig.put('a', { type })
    await rig.pass(50)
    expect(shown(running)).toMatchObject({ held: 1, waiting: 3, under_way: 0, actors: [{ ...a, turn: 1, waiting: 3 }] })
    of.broken = false
    expect(await give(rig, running, 'replay', a)).toMatchObject({
      outcome: 'done',
      answers: [{ answer: { outcome: 'taken', letters: 1, waiting: 3, left: 0, actors: ['worker/a'] } }],
    })
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['mind', 'note', 'say', 'look.done', 'note'])
    expect(rig.bus.log('ops.alert_event')).toHaveLength(1)
    expect(done(rig)).toEqual([
      expect.stringMatching(/^replayed as turn 5 at 2026-01-01T.*: ada \(order 1\): test$/),
      ...[6, 7, 8].map((turn) => expect.stringMatching(new RegExp(`^taken in its order as turn ${turn} at 2026-`))),
    ])
    expect(shown(running)).toEqual({ held: 0, waiting: 0, under_way: 0, actors: [] })
  })

  it('comes with its content and its cause, and with what is attached as of now', async () => {
    const { rig, running, of } = await begun()
    of.broken = true
    rig.put('a', { type: 'mind', text: 'kept' })
    await rig.pass(50)
    of.broken = false
    await give(rig, running, 'replay', { all: true })
    const [first, second] = rig.lane.journal.map(({ event }) => JSON.parse(Buffer.from(event).toString()) as Record<string, unknown>)
    expect(second).toEqual({ ...first, id: expect.stringMatching(/:2$/), now: expect.any(Number), published_ms: undefined })
    expect(Number(second!['now'])).toBeGreaterThan(Number(first!['now']))
    expect(second!['cause']).not.toBeNull()
  })

  it('that fails again keeps its place: nothing behind it is taken, lost or reordered', async () => {
    const { rig, running, of } = await begun()
    of.broken = true
    rig.put('a', { type: 'mind' })
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    await give(rig, running, 'replay', a)
    rig.put('a', { type: 'say' })
    await rig.pass(50)
    expect(outcomes(rig)).toBe('pqpq')
    expect(rig.lane.parked.map(({ turn, waits, done: how }) => [turn, waits, how])).toEqual([
      [1, false, null],
      [2, true, null],
      [4, true, null],
    ])
    expect(rig.parked()[0]).toMatch(/^worker\/a: again, as turn 3: /)
    expect(shown(running)).toMatchObject({ held: 1, waiting: 2, under_way: 0 })
    of.broken = false
    await give(rig, running, 'replay', a)
    expect(rig.seen('a')).toEqual(['mind', 'note', 'say'])
  })

  it('is told as parked again, among however many that are held', async () => {
    const { rig, running, of } = await begun()
    of.broken = true
    rig.put('a', { type: 'mind' })
    for (let n = 0; n < 30; n++) rig.put(`b${n}`, { type: 'throw' })
    await rig.pass(50)
    const answer = await give(rig, running, 'replay', a)
    const as_of = { turn: 31, at: expect.any(String) as string }
    expect(answer).toMatchObject({ answers: [{ answer: { letters: 1, as_of } }] })
    const { at } = (answer as unknown as { answers: [{ answer: { as_of: { at: string } } }] }).answers[0].answer.as_of
    expect(shown(running)).toMatchObject({
      held: 31,
      actors: [{ ...a, turn: 1 }, ...Array.from({ length: 19 }, () => ({ kind: 'worker' }))],
    })
    expect(shown(running).actors.filter(({ since }) => since >= at)).toHaveLength(1)
  })

  it('behind the first one that fails in its turn holds those behind itself', async () => {
    const { rig, running, of } = await begun()
    rig.put('a', { type: 'throw' })
    rig.put('a', { type: 'note' })
    rig.put('a', { type: 'mind' })
    rig.put('a', { type: 'say' })
    await rig.pass(50)
    of.broken = true
    await give(rig, running, 'drop', a)
    expect(rig.seen('a')).toEqual(['note'])
    expect(shown(running)).toMatchObject({ held: 1, waiting: 1, actors: [{ turn: 3 }] })
    await give(rig, running, 'drop', { lane: 0, turn: 3 })
    expect(rig.seen('a')).toEqual(['note', 'say'])
    expect(done(rig)[2]).toMatch(/^dropped at 2026-.* by ada \(order 2\): test$/)
  })

  it('is dropped by an order, and its actor goes on as it was before it', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'note' })
    rig.put('a', { type: 'throw' })
    rig.put('a', { type: 'say' })
    await rig.pass(50)
    await give(rig, running, 'drop', { all: true })
    expect(rig.seen('a')).toEqual(['note', 'say'])
    expect(onlyLane(running).parked_actors).toBe(0)
  })

  it('named by a turn that holds nobody, or in a lane that is not there, is a refusal; an actor that is not parked is no letter', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'throw' })
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    expect(await give(rig, running, 'replay', { lane: 0, turn: 2 })).toMatchObject({ outcome: 'refused' })
    expect(await give(rig, running, 'drop', { lane: 7, turn: 1 })).toMatchObject({ outcome: 'refused', code: 'NO_SUCH_LANE' })
    expect(await give(rig, running, 'drop', { kind: 'worker', key: 'b' })).toMatchObject({ answers: [{ answer: { letters: 0 } }] })
    expect(await give(rig, running, 'drop', {})).toMatchObject({ outcome: 'refused' })
    expect(onlyLane(running).parked_actors).toBe(1)
  })

  it('is found by when it was parked', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'throw' })
    await rig.pass(5_000)
    rig.put('b', { type: 'throw' })
    await rig.pass(50)
    const since = new Date(rig.time.nowMs - 1_000).toISOString()
    await give(rig, running, 'drop', { since })
    expect(shown(running).actors).toMatchObject([{ key: 'a' }])
  })

  it('lets timers and ends of effects wait behind it, in the order in which they came; orders pass', async () => {
    const { rig, running, of } = await begun()
    let answer = (_: Record<string, unknown>): void => {}
    of.look = () => new Promise((resolve) => (answer = resolve))
    rig.put('w', { type: 'wait' })
    rig.put('w', { type: 'look' })
    await rig.pass(50)
    rig.put('w', { type: 'throw' })
    await rig.pass(1_500)
    answer({ ok: true })
    await rig.pass(50)
    void running.host.submit({ order: 'poke', by: 'me', reason: 'test', arguments: {} }, 1_000)
    await rig.pass(100)
    expect([rig.seen('w'), rig.value('worker', 'w')]).toEqual([['order.poke'], 'waiting'])
    await give(rig, running, 'drop', { kind: 'worker', key: 'w' })
    expect(rig.seen('w')).toEqual(['order.poke', 'xstate.after.1000.worker.waiting', 'look.done'])
    expect(rig.value('worker', 'w')).toBe('idle')
  })

  it.each([100, 1])('of a timer that an order has set again since is out of date, with a window of %i timers', async (timerWindow) => {
    const { rig, running } = await begun({ timerWindow })
    rig.put('w', { type: 'wait' })
    await rig.pass(50)
    rig.put('w', { type: 'throw' })
    await rig.pass(1_500)
    for (const key of ['x', 'y', 'z']) rig.put(key, { type: 'wait' })
    await rig.pass(50)
    void running.host.submit({ order: 'wait', by: 'me', reason: 'test', arguments: {} }, 1_000)
    await rig.pass(100)
    await give(rig, running, 'drop', { all: true }, 300)
    expect([rig.seen('w'), rig.value('worker', 'w')]).toEqual([[], 'waiting'])
    expect(done(rig)[1]).toContain('the timer was set again')
    await rig.pass(1_000)
    expect(rig.value('worker', 'w')).toBe('idle')
  })

  it(
    'is let go once, wherever its owner dies: the next one takes what is left, in order, and each event once',
    { timeout: 30_000 },
    async () => {
      for (let at = 0; at < 120; at += 3) {
        const { rig, running, of } = await begun()
        of.broken = true
        rig.put('a', { type: 'mind' })
        for (let n = 0; n < 4; n++) rig.put('a', { type: 'note' })
        await rig.pass(50)
        of.broken = false
        void running.host.submit({ order: 'replay-dead-letters', by: 'ada', reason: 'test', arguments: { all: true } }, 1_000)
        for (let step = 0; step < at; step++) await rig.time.step(rig.time.nowMs + 50)
        running.process.kill()
        running.link.crash()
        await rig.pass(2_500)
        await rig.store.insertOrder('worker', {
          by: 'eve',
          reason: 'in case it was lost',
          body: { order: 'replay-dead-letters', all: true },
          expiresInMs: null,
        })
        const second = await rig.start()
        rig.put('a', { type: 'say' })
        await rig.pass(500)
        expect(rig.seen('a'), `after ${at} steps`).toEqual(['mind', 'note', 'note', 'note', 'note', 'say'])
        expect(onlyLane(second).parked_actors).toBe(0)
      }
    },
  )

  it(
    'of ten thousand that wait lets other work through, and is done with after a takeover in the middle',
    { timeout: 30_000 },
    async () => {
      const rig = new Rig(workerService(outside()))
      const slow = (own: LaneStore): LaneStore => ({
        ...own,
        commit: (...batch) => new Promise<void>((resolve) => rig.time.after(1, 'commit', resolve)).then(() => own.commit(...batch)),
      })
      const running = await rig.start({ store: slow })
      rig.put('a', { type: 'throw' })
      for (let n = 0; n < 10_000; n++) rig.put('a', { type: 'pass', n })
      await rig.pass(100)
      expect(shown(running)).toMatchObject({ held: 1, waiting: 10_000 })
      void running.host.submit({ order: 'drop-dead-letters', by: 'ada', reason: 'test', arguments: { all: true } }, 1_000)
      while (shown(running).waiting > 8_000) await rig.time.step(rig.time.nowMs + 100)
      rig.put('b', { type: 'note' })
      await rig.pass(5)
      expect(rig.seen('b')).toEqual(['note'])
      expect(shown(running).waiting).toBeGreaterThan(0)
      running.process.kill()
      running.link.crash()
      await rig.pass(2_500)
      const second = await rig.start()
      for (let n = 10_000; n < 10_100; n++) rig.put('a', { type: 'pass', n })
      await rig.pass(2_000)
      expect(shown(second)).toMatchObject({ held: 0, waiting: 0 })
      const order = rig.lane.journal
        .filter(({ key, outcome }) => key === 'a' && (outcome === 't' || outcome === 'i'))
        .map(({ event }) => (JSON.parse(Buffer.from(event).toString()) as { n: number }).n)
      expect(order).toEqual(Array.from({ length: 10_100 }, (_, n) => n))
    },
  )

  it('whose outcome storage refuses is parked again, and its neighbours go on', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'throw' })
    rig.put('a', { type: 'note' })
    rig.put('a', { type: 'tell', to: 'nul\0' })
    rig.put('a', { type: 'note' })
    rig.put('b', { type: 'throw' })
    rig.put('b', { type: 'note' })
    await rig.pass(50)
    await give(rig, running, 'drop', { all: true }, 3_000)
    expect(rig.seen('b')).toEqual(['note'])
    expect(rig.seen('a')).toEqual(['note'])
    expect(shown(running)).toMatchObject({ held: 1, waiting: 1, under_way: 0, actors: [{ ...a, turn: 3 }] })
    await give(rig, running, 'drop', a, 1_000)
    expect(rig.seen('a')).toEqual(['note', 'note'])
  })

  it('that storage refused is taken later as the record it was: of a time that storage forgot, it is asked about and not sent', async () => {
    let isRefusing = true
    const { of, rig, running } = await begun({
      store: (own) => ({
        ...own,
        commit: async (service, batch) => {
          if (isRefusing && batch.actors.length > 0) throw new StoreError('bad_data', 'not these')
          return own.commit(service, batch)
        },
      }),
    })
    rig.put('a', { type: 'submit', ms: 60_000 }, { eventId: 'demand-1' })
    await rig.pass(500)
    expect(rig.parked()).toEqual(['worker/a: storage refused it: not these'])
    isRefusing = false
    await running.host.drain()
    await rig.store.reincarnate('worker', 0, rig.lane.incarnation)
    const second = await rig.start()
    await give(rig, second, 'replay', a, 1_000)
    expect([of.sent, of.asked.length > 0, rig.seen('a')?.slice(0, 2)]).toEqual([[], true, ['submit', 'submit.uncertain']])
    const event = JSON.parse(Buffer.from(rig.lane.journal.at(-2)!.event).toString()) as { cause: unknown }
    expect(event.cause).toEqual({ event_id: 'demand-1', correlation_id: null })
  })

  it('with a key that cannot be stored is parked all the same, and can only be dropped', async () => {
    const { rig, running } = await begun()
    rig.put('nul', { type: 'note' })
    rig.put('long', { type: 'note' })
    rig.put('b', { type: 'note' })
    await rig.pass(2_000)
    expect(rig.seen('b')).toEqual(['note'])
    expect(rig.lane.parked).toHaveLength(2)
    await give(rig, running, 'replay', { all: true }, 1_000)
    expect(rig.parked()).toEqual([
      expect.stringContaining('no actor can have its key'),
      expect.stringContaining('no actor can have its key'),
    ])
    await give(rig, running, 'drop', { all: true }, 1_000)
    expect(onlyLane(running).parked_actors).toBe(0)
  })
})

describe('a record that nobody could read', () => {
  const write = (rig: Rig, value: string, position: number): void =>
    rig.bus.write([
      {
        topic: 'norm.swap_demand',
        partition: 0,
        key: null,
        value: Buffer.from(value),
        headers: {
          'unrip-source': 'feed#2',
          'unrip-incarnation': '019b0000-0000-7000-8000-000000000002',
          'unrip-position': String(position),
        },
      },
    ])

  it('is read again by an order, after a release that understands it, and is nobody else’s hindrance until then', async () => {
    const of = outside()
    const service = workerService(of)
    let understands = false
    const demand = service.inputs['norm.swap_demand']!
    const rig = new Rig({
      ...service,
      inputs: {
        ...service.inputs,
        'norm.swap_demand': (message, at) => {
          if (!understands) throw new Error('not yet')
          return demand(message, at)
        },
      },
    })
    const running = await rig.start()
    rig.put('a', { type: 'note' })
    rig.put('a', { type: 'say' })
    await rig.pass(50)
    expect(shown(running)).toMatchObject({ held: 2, waiting: 0 })
    await give(rig, running, 'replay', { all: true })
    expect(rig.parked()).toEqual(['/: not yet', '/: not yet'])
    understands = true
    await give(rig, running, 'replay', { lane: 0, turn: 2 })
    expect(rig.seen('a')).toEqual(['say'])
    await give(rig, running, 'replay', { kind: '', key: '' })
    expect(rig.seen('a')).toEqual(['say', 'note'])
    expect(done(rig)[0]).toMatch(/^replayed as turn 6 of worker\/a at 2026-.*: ada \(order 3\): test$/)
    expect(shown(running).held).toBe(0)
  })

  it('says what does not fit it in one line', async () => {
    const { rig } = await begun()
    write(rig, '{"x":1}', 1)
    await rig.pass(50)
    expect(rig.parked()[0]).toMatch(/^\/: event_id: Invalid input: expected string, received undefined; event_type: /)
  })

  it.each([
    [{ pair: undefined }, 'payload.pair: Invalid input: expected string, received undefined'],
    [{ amount_in: '-1' }, 'payload.amount_in: '],
  ])('with %j in its payload is parked with the name of the field', async (wrong, why) => {
    const { rig } = await begun()
    const payload = {
      ...{
        quote_id: 'q',
        pair: 'BTC/EURe',
        direction: 'btc_to_eure',
        asset_in: 'btc',
        asset_out: 'eure',
        amount_in: '1',
        amount_out: null,
      },
      ...{ fixed_side: 'in', ttl_ms: 1, min_deadline_ms: 1, ...wrong },
    }
    const envelope = { event_id: 'e', event_type: 'swap_demand', venue: 'v', source: null, schema_version: 1, observed_at: null }
    write(rig, JSON.stringify({ ...envelope, ingested_at: '2026-01-01T00:00:00.000Z', payload, raw: {} }), 1)
    write(rig, JSON.stringify({ ...envelope, event_type: 'market_price', payload: {} }), 2)
    await rig.pass(50)
    expect(rig.parked()[0]).toContain(`/: ${why}`)
    expect(rig.parked()[1]).toContain('event_type market_price, expected swap_demand')
  })

  it('is parked again as often as it is no use, and dropped', async () => {
    const { rig, running } = await begun()
    write(rig, 'no json', 1)
    await rig.pass(50)
    await give(rig, running, 'replay', { all: true })
    await give(rig, running, 'replay', { all: true })
    expect(shown(running)).toMatchObject({ held: 1, waiting: 0 })
    running.process.kill()
    await rig.pass(2_500)
    const second = await rig.start()
    expect(shown(second)).toMatchObject({ held: 1, actors: [{ kind: '', turn: 1 }] })
    await give(rig, second, 'replay', { all: true })
    expect(await give(rig, second, 'drop', { all: true })).toMatchObject({ answers: [{ answer: { letters: 1, waiting: 0 } }] })
    expect(shown(second)).toEqual({ held: 0, waiting: 0, under_way: 0, actors: [] })
  })
})
