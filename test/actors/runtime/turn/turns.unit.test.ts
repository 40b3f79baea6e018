import { describe, expect, it } from 'vitest'
import { StoreError } from '#storage/errors.ts'
import { FEED, onlyLane, Rig } from '../rig.ts'
import { outside, workerService } from '../worker.ts'

const begun = async (options: Parameters<Rig['start']>[0] = {}) => {
  const of = outside()
  const rig = new Rig(workerService(of))
  return { of, rig, running: await rig.start(options) }
}

describe('turns', () => {
  it('are numbered without gaps and have a journal row each, parked and same-batch ones too (T2)', async () => {
    const { rig } = await begun()
    rig.put('a', { type: 'tell', to: 'b' })
    rig.put('c', { type: 'throw' })
    rig.put('c', { type: 'note' })
    await rig.pass(50)
    expect(rig.lane.journal.map(({ turn, key, outcome }) => [turn, key, outcome])).toEqual([
      [1, 'a', 't'],
      [2, 'b', 't'],
      [3, 'c', 'p'],
      [4, 'c', 'q'],
    ])
    expect(new Set(rig.lane.journal.map(({ batch }) => batch)).size).toBe(1)
  })

  it('look for what is not in memory once a batch, and never again for an actor that is not stored', async () => {
    const asked: string[][] = []
    const { rig } = await begun({
      store: (own) => ({
        ...own,
        load: (service, lane, addresses) => {
          asked.push(addresses.filter(({ kind }) => kind === 'worker').map(({ key }) => key))
          return own.load(service, lane, addresses)
        },
      }),
    })
    asked.length = 0
    for (const key of ['a', 'b', 'a', 'c']) rig.put(key, { type: 'note' })
    rig.put('a', { type: 'tell', to: 'd' })
    await rig.pass(50)
    expect(asked).toEqual([['a', 'b', 'c'], ['d']])
  })

  it('that throw change nothing but their rows, and later events of that actor wait behind it (T3)', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    rig.put('a', { type: 'throw' })
    rig.put('a', { type: 'say' })
    rig.put('b', { type: 'note' })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['note'])
    expect(rig.seen('b')).toEqual(['note'])
    expect(rig.parked()).toEqual([expect.stringContaining('no reading this'), 'worker/a: waiting behind a parked event'])
    expect(rig.bus.log('ops.alert_event')).toEqual([])
    expect(onlyLane(running).parked_actors).toBe(1)
  })

  it('keep an actor parked across a restart, until its rows are resolved', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'throw' })
    await rig.pass(50)
    running.process.kill()
    await rig.pass(2_000)
    const second = await rig.start()
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    expect(rig.seen('a')).toBeNull()
    const dropped = second.host.submit({ order: 'drop-dead-letters', by: 'me', reason: 'test', arguments: { all: true } }, 1_000)
    await rig.pass(300)
    expect(await dropped).toMatchObject({ outcome: 'done' })
    second.process.kill()
    await rig.pass(2_000)
    await rig.start()
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['note', 'note'])
  })

  it('tell who asks a parked actor at once, in the same batch', async () => {
    const { rig } = await begun()
    rig.put('b', { type: 'throw' })
    rig.put('a', { type: 'tell', to: 'b' })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['tell', 'actor.parked'])
    expect(new Set(rig.lane.journal.map(({ batch }) => batch)).size).toBe(1)
  })

  it('run in one batch for 64 tells, and the one that tells the 65th is parked (T4)', async () => {
    const { rig } = await begun()
    rig.put('a', { type: 'loop', to: 'a' })
    await rig.pass(50)
    expect(rig.lane.journal.map(({ outcome }) => outcome)).toEqual([...Array<string>(64).fill('t'), 'p', 'q'])
    expect(rig.parked()[0]).toContain('a cascade deeper than 64')
  })

  it('that say more than a record may hold are parked, by bytes and not by characters', async () => {
    const { rig } = await begun()
    rig.put('a', { type: 'say', bytes: 255 * 1024 })
    rig.put('b', { type: 'say', bytes: 257 * 1024 })
    await rig.pass(50)
    expect(rig.bus.log('ops.alert_event')).toHaveLength(1)
    expect(rig.parked()[0]).toContain('above 262144')
  })

  it('park an event that its machine does not know', async () => {
    const { rig } = await begun()
    rig.put('a', { type: 'unheard' })
    await rig.pass(50)
    expect(rig.parked()).toEqual(['worker/a: worker knows no event unheard'])
  })

  it('drop and count what comes after the end', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'end' })
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    expect(rig.lane.journal.map(({ outcome }) => outcome)).toEqual(['t', 'd'])
    expect(running.host.counters()['dropped.worker.note']).toBe(1)
  })

  it('come back from the store when the cache has dropped their actor, however small it is', async () => {
    const { rig, running } = await begun({ cacheBytes: 10 })
    for (const key of ['a', 'b', 'a', 'b']) rig.put(key, { type: 'note' })
    await rig.pass(50)
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['note', 'note', 'note'])
    expect(onlyLane(running).cache.misses).toBeGreaterThan(1)
  })
})

describe('data that storage refuses', () => {
  it('is bisected to the one event, which is parked; its neighbours keep their order', async () => {
    const { rig } = await begun()
    for (let n = 0; n < 6; n++) rig.put('a', { type: 'note' })
    rig.put('nul', { type: 'note' })
    for (const key of ['a', 'b', 'a']) rig.put(key, { type: 'say' })
    await rig.pass(2_000)
    expect(rig.parked()).toEqual(['worker/nul\u{FFFD}: storage refused it: a text holds a NUL'])
    expect(rig.seen('a')).toEqual([...Array<string>(6).fill('note'), 'say', 'say'])
    expect(rig.bus.log('ops.alert_event').map(({ headers }) => headers['unrip-position'])).toEqual(['1', '2', '3'])
    expect(rig.lane.journal.map(({ turn }) => turn)).toEqual(Array.from({ length: 10 }, (_, index) => index + 1))
  })

  it('is parked where not even the SELECT takes its key, as in PostgreSQL', async () => {
    const { rig } = await begun({
      store: (own) => ({
        ...own,
        load: async (service, lane, addresses) => {
          if (addresses.some(({ key }) => key.includes('\0'))) throw new StoreError('bad_data', 'invalid byte sequence')
          return own.load(service, lane, addresses)
        },
      }),
    })
    rig.put('a', { type: 'note' })
    rig.put('nul', { type: 'note' })
    rig.put('b', { type: 'note' })
    await rig.pass(500)
    expect(rig.parked()).toEqual(['worker/nul\u{FFFD}: invalid byte sequence'])
    expect([rig.seen('a'), rig.seen('b')]).toEqual([['note'], ['note']])
  })

  it('in a history row is a dead letter, and the rows behind it are written', async () => {
    const definition = workerService(outside())
    const rig = new Rig({
      ...definition,
      inputs: {
        'norm.swap_demand': (_, { topic, partition, offset, source, incarnation, position, text }) => ({
          to: { kind: 'worker', key: 'writer' },
          event: { type: 'note' },
          history: { topic, partition, offset, source_lane: source, incarnation, position, text },
        }),
      },
    })
    await rig.start()
    for (const text of ['one', 'a NUL: \0', 'two', 'three']) rig.put('a', { type: 'note', text })
    await rig.pass(500)
    expect(rig.store.history().map(({ offset }) => offset)).toEqual([0, 2, 3])
    expect(rig.seen('writer')).toEqual(['note', 'note', 'note'])
    expect(rig.lane.parked.map(({ kind, origin }) => [kind, origin])).toEqual([['', `record norm.swap_demand/0@1 from feed#1 ${FEED} 2`]])
  })

  it('is parked where a context is not JSON', async () => {
    const { rig } = await begun()
    rig.put('a', { type: 'spoil' })
    rig.put('b', { type: 'note' })
    await rig.pass(500)
    expect(rig.parked()).toEqual(['worker/a: storage refused it: worker: context is not JSON'])
    expect(rig.seen('b')).toEqual(['note'])
  })
})

describe('a store that does not answer', () => {
  it('parks nobody: the events are taken when it does', async () => {
    let away = false
    const { rig } = await begun({
      store: (own) => ({
        ...own,
        load: async (...args) => {
          if (away) throw new StoreError('unavailable', 'no connection')
          return own.load(...args)
        },
      }),
    })
    away = true
    rig.put('a', { type: 'tell', to: 'b' })
    await rig.pass(300)
    expect(rig.lane.journal).toEqual([])
    away = false
    await rig.pass(500)
    expect(rig.parked()).toEqual([])
    expect([rig.seen('a'), rig.seen('b')]).toEqual([['tell'], ['note']])
  })

  it('gets the identical batch again until it says so, and turns are taken once', async () => {
    const fates = ['unavailable', 'unknown', 'unknown after'] as const
    let left: (typeof fates)[number][] = [...fates]
    const digests: string[] = []
    const { rig } = await begun({
      store: (own) => ({
        ...own,
        commit: async (service, batch) => {
          if (batch.journal.length === 0) return own.commit(service, batch)
          digests.push(Buffer.from(batch.digest).toString('hex'))
          const fate = left.shift()
          if (fate === 'unknown after') await own.commit(service, batch)
          if (fate) throw new StoreError(fate === 'unavailable' ? fate : 'unknown', fate)
          return own.commit(service, batch)
        },
      }),
    })
    left = [...fates]
    rig.put('a', { type: 'say' })
    await rig.pass(1_000)
    expect(digests).toHaveLength(4)
    expect(new Set(digests).size).toBe(1)
    expect(rig.seen('a')).toEqual(['say'])
    expect(rig.bus.log('ops.alert_event')).toHaveLength(1)
  })
})

describe('records', () => {
  it('that nobody can read are dead letters without an actor, and the next ones are taken', async () => {
    const { rig } = await begun()
    const headers = { 'unrip-source': 'feed#2', 'unrip-incarnation': '019b0000-0000-7000-8000-000000000002' }
    const write = (value: string, more: Record<string, string>): void =>
      rig.bus.write([{ topic: 'norm.swap_demand', partition: 0, key: null, value: Buffer.from(value), headers: more }])
    write('no json', { ...headers, 'unrip-position': '1' })
    write('{"event_id":"x"}', { ...headers, 'unrip-position': '2' })
    write('{}', {})
    write('{}', { ...headers, 'unrip-source': 'a\0b', 'unrip-position': '1' })
    rig.put('a', { type: 'note' })
    await rig.pass(500)
    const from = ' from feed#2 019b0000-0000-7000-8000-000000000002 '
    expect(rig.lane.parked.map(({ kind, origin }) => [kind, origin])).toEqual(
      [`0${from}1`, `1${from}2`, '2', '3'].map((at) => ['', `record norm.swap_demand/0@${at}`]),
    )
    expect(rig.seen('a')).toEqual(['note'])
  })

  it('that came twice are taken once', async () => {
    const { rig, running } = await begun()
    rig.put('a', { type: 'note' })
    rig.put('a', { type: 'note' }, { position: 1 })
    rig.put('a', { type: 'note' })
    await rig.pass(50)
    expect(rig.seen('a')).toEqual(['note', 'note'])
    expect(running.host.counters()['repeated.norm.swap_demand']).toBe(1)
  })
})
