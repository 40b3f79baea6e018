import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { EffectRow, LaneStore, Recovered, TimerRow } from '#actors/runtime/ports.ts'
import { actorRow, bytesOf, historyRow, journalRow, registered, takeFree, textOf } from '#test/storage/lane.ts'
import type { OwnedLane } from '#test/storage/lane.ts'

/** What the suite is run on: one database and as many processes as asked for. */
export interface StoreUnderTest {
  /** A store of a process of `service`. */
  connect(service: string): LaneStore
  /** Lets time pass on the store's own clock. */
  pass(ms: number): Promise<void>
  /** payloads of a history table's rows by event_id, for a topic */
  historyIds(topic: string): Promise<string[]>
  close(): Promise<void>
}

const KEYED = 'strategy-engine'
const OTHER = 'trade-executor'
const LANES = 4
/** Short: nobody inherits within one of his own leases of the server's start. */
export const HEIR_LEASE_MS = 4_000

/** What every store owes the runtime; run on the twin and on PostgreSQL. */
export const storeContract = (name: string, begin: () => Promise<StoreUnderTest>): unknown =>
  describe(`the store contract on ${name}`, () => {
    let under: StoreUnderTest
    let store: LaneStore
    const opened: LaneStore[] = []
    const connect = (service = KEYED): LaneStore => {
      const made = under.connect(service)
      opened.push(made)
      return made
    }
    const held: OwnedLane[] = []
    const own = async (lane: number): Promise<OwnedLane> => {
      const owned = await takeFree(store, KEYED, lane)
      held.push(owned)
      return owned
    }

    const expire = async (process: string): Promise<void> => {
      await store.renew(process, 'live', 1)
      await under.pass(10)
    }

    beforeAll(async () => {
      under = await begin()
    })
    afterAll(() => under.close())
    beforeEach(async () => {
      store = connect()
      await store.lanes(KEYED, LANES)
    })
    afterEach(async () => {
      for (const { process } of held.splice(0)) await store.deregister(process)
      for (const made of opened.splice(0)) await made.close()
    })

    describe('lanes', () => {
      test('are made on first use, and the same number is answered again', async () => {
        expect(await store.lanes(KEYED, LANES)).toBe(LANES)
      })

      test('another number than the stored one is refused', async () => {
        await expect(store.lanes(KEYED, LANES + 1)).rejects.toMatchObject({ code: 'broken_contract' })
        await expect(store.lanes(KEYED, 1)).rejects.toMatchObject({ code: 'broken_contract' })
      })

      test('a service without keyed input has one lane', async () => {
        expect(await connect('inventory-sync').lanes('inventory-sync', 1)).toBe(1)
      })

      test('a lane that does not exist is refused', async () => {
        const process = await registered(store, KEYED)
        await expect(store.take(process, KEYED, 99, 'free', 10)).rejects.toMatchObject({ code: 'broken_contract' })
        await store.deregister(process)
      })

      test('a lane that was never owned is taken with nothing in it', async () => {
        await connect(OTHER).lanes(OTHER, LANES)
        const fresh = await takeFree(connect(OTHER), OTHER, 3)
        expect(fresh.recovered).toMatchObject({
          lane: { lane: 3, epoch: 1, batch: 0, turn: 0, published: 0, halted: null },
          inputs: [],
          marks: [],
          sent: [],
          timers: [],
          moreTimers: false,
          effects: [],
          outbox: [],
          parkedActors: [],
        })
        expect(fresh.recovered.lane.incarnation).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
        await fresh.store.deregister(fresh.process)
      })
    })

    describe('ownership', () => {
      test('a lane that somebody owns is not free, and not taken while its owner lives', async () => {
        const owner = await own(0)
        const other = await registered(store, KEYED)
        expect(await store.take(other, KEYED, 0, 'free', 10)).toBeNull()
        expect(await store.take(other, KEYED, 0, 'expired', 10)).toBeNull()
        const { lanes } = await store.renew(other, 'live', 60_000)
        expect(lanes[0]).toEqual({ lane: 0, owner: owner.process, expired: false, epoch: owner.epoch })
        await store.deregister(other)
      })

      test('a lane whose owner has expired is taken with a higher epoch, and is not free', async () => {
        const owner = await own(0)
        await expire(owner.process)
        const heir = await registered(store, KEYED, HEIR_LEASE_MS)
        expect((await store.renew(heir, 'live', HEIR_LEASE_MS)).lanes[0]).toMatchObject({ owner: owner.process, expired: true })
        expect(await store.take(heir, KEYED, 0, 'free', 10)).toBeNull()
        expect(await store.take(heir, KEYED, 0, 'expired', 10)).toMatchObject({ lane: { epoch: owner.epoch + 1 } })
        await store.deregister(heir)
      })

      test('a lane that was released is free at once', async () => {
        const owner = await own(1)
        await store.release(KEYED, 1, owner.epoch)
        const heir = await own(1)
        expect(heir.epoch).toBe(owner.epoch + 1)
      })

      test('a release of an older epoch changes nothing', async () => {
        const owner = await own(1)
        await store.release(KEYED, 1, owner.epoch - 1)
        expect((await store.renew(owner.process, 'live', 60_000)).lanes[1]).toMatchObject({ owner: owner.process })
      })

      test('a process that is gone leaves its lanes free', async () => {
        const owner = await takeFree(store, KEYED, 2)
        await store.deregister(owner.process)
        expect((await own(2)).epoch).toBe(owner.epoch + 1)
      })

      test('a process may take again what it owns: the answer to its first take was lost', async () => {
        const owner = await own(2)
        expect(await store.take(owner.process, KEYED, 2, 'free', 10)).toMatchObject({ lane: { epoch: owner.epoch + 1 } })
      })

      test('a process whose own lease has run out takes nothing', async () => {
        const late = await registered(store, KEYED)
        await expire(late)
        expect(await store.take(late, KEYED, 3, 'free', 10)).toBeNull()
        await store.deregister(late)
      })

      test('a draining process and an expired one do not count for the fair share', async () => {
        const living = await registered(store, KEYED)
        const draining = await registered(store, KEYED)
        await store.renew(draining, 'draining', 60_000)
        const expired = await registered(store, KEYED)
        await expire(expired)
        expect(await store.renew(living, 'live', 60_000)).toMatchObject({ live: 1 })
        expect(await store.renew(draining, 'draining', 60_000)).toMatchObject({ live: 1 })
        for (const process of [living, draining, expired]) await store.deregister(process)
      })

      test('an unknown process cannot renew', async () => {
        await expect(store.renew(randomUUID(), 'live', 1_000)).rejects.toMatchObject({ code: 'broken_contract' })
      })
    })

    describe('a commit', () => {
      test('of what a zombie computed raises, and leaves nothing behind', async () => {
        const zombie = await own(0)
        await expire(zombie.process)
        const heir = await registered(store, KEYED, HEIR_LEASE_MS)
        const taken = await store.take(heir, KEYED, 0, 'expired', 10)
        await expect(zombie.commitNext({ actors: [actorRow('zombie')], journal: [journalRow('zombie')] })).rejects.toMatchObject({
          code: 'stale_epoch',
        })
        expect(await store.load(KEYED, 0, [{ kind: 'counter', key: 'zombie' }])).toEqual([])
        expect((await store.recover(KEYED, 0, taken?.lane.epoch ?? 0, 10)).lane).toEqual(taken?.lane)
        await store.deregister(heir)
      })

      test('after a release raises', async () => {
        const owner = await own(0)
        await store.release(KEYED, 0, owner.epoch)
        await expect(owner.commitNext()).rejects.toMatchObject({ code: 'stale_epoch' })
      })

      test('that is already in is answered with "again" and changes nothing', async () => {
        const owner = await own(0)
        const batch = await owner.commitNext({ journal: [journalRow('twice')], actors: [actorRow('twice')] })
        expect(await owner.commit(batch)).toBe('again')
        expect((await store.recover(KEYED, 0, owner.epoch, 10)).lane).toMatchObject({ batch: batch.batch, turn: batch.turn })
      })

      test('of other content under a used number is a conflict', async () => {
        const owner = await own(0)
        const batch = await owner.commitNext()
        await expect(store.commit(KEYED, { ...batch, digest: bytesOf('other') })).rejects.toMatchObject({ code: 'batch_conflict' })
        await expect(store.commit(KEYED, { ...batch, batch: batch.batch - 1 })).rejects.toMatchObject({ code: 'batch_conflict' })
      })

      test('whose predecessor is not stored says that storage went back', async () => {
        const owner = await own(0)
        const batch = owner.next()
        await expect(store.commit(KEYED, { ...batch, batch: batch.batch + 1 })).rejects.toMatchObject({ code: 'went_back' })
      })

      test('whose turns do not add up breaks the contract', async () => {
        const owner = await own(0)
        await expect(store.commit(KEYED, { ...owner.next(), turn: 999_999 })).rejects.toMatchObject({ code: 'broken_contract' })
      })

      test.each([
        ['a NUL in a key', { actors: [actorRow('a\0b')] }],
        ['a NUL in a parked cause', { parked: [{ turn: 1, kind: 'k', key: 'k', cause: 'a\0b', origin: 'o', event: bytesOf('e') }] }],
        ['a key of 100,000 random characters', { actors: [actorRow(randomText(100_000))] }],
      ])('with %s is bad data, and the number is free for another batch', async (_what, patch) => {
        const owner = await own(0)
        await expect(owner.commitNext(patch)).rejects.toMatchObject({ code: 'bad_data' })
        await owner.commitNext({ journal: [journalRow('next')] })
      })

      test('stores snapshots that load again, each under its address', async () => {
        const owner = await own(0)
        await owner.commitNext({ actors: [actorRow('a'), actorRow('b', { status: 'done', endedAtMs: 5 })] })
        const binary = Uint8Array.from({ length: 256 }, (_, index) => index)
        await owner.commitNext({ actors: [actorRow('a', { sequence: 2, body: binary })] })
        const loaded = await store.load(
          KEYED,
          0,
          ['b', 'a', 'none'].map((key) => ({ kind: 'counter', key })),
        )
        const byKey = Object.fromEntries(loaded.map((row) => [row.key, { ...row, body: Buffer.from(row.body).toString('hex') }]))
        expect(Object.keys(byKey).toSorted()).toEqual(['a', 'b'])
        expect(byKey.a).toMatchObject({ sequence: 2, status: 'active', endedAtMs: null, body: Buffer.from(binary).toString('hex') })
        expect(byKey.b).toMatchObject({ status: 'done', endedAtMs: 5 })
        expect(await store.load(KEYED, 1, [{ kind: 'counter', key: 'a' }])).toEqual([])
      })

      test('is what its successor recovers: inputs, marks, sent, effects, outbox and halt', async () => {
        const owner = await own(3)
        const incarnation = owner.recovered.lane.incarnation
        const input = { topic: 'norm.swap_demand', entered: 10, enteredAtMs: 1_234, next: 12 }
        const mark = { topic: 'norm.swap_demand', source: 'near-intents-ingest/0', incarnation, position: 4, atOffset: 11, jump: false }
        const sent = { topic: 'cmd.execute_trade', partition: 2, incarnation, position: 5 }
        const open = [
          effectRow('e1', { state: 'pending' }),
          effectRow('e2', { state: 'uncertain', mode: 'ask first', notAfterMs: 9, askAtMs: 8 }),
        ]
        const halted = { topic: 'norm.swap_demand', code: 'gap', detail: 'expected 5', since_ms: 7 }
        const first = await owner.commitNext({
          inputs: [input],
          marks: [mark],
          sent: [sent],
          effects: [...open, effectRow('e3', { state: 'pending' })],
          halted,
          outbox: bytesOf('blob 1'),
        })
        const second = await owner.commitNext({
          outbox: bytesOf('blob 2'),
          inputs: [{ ...input, next: 13 }],
          effects: [effectRow('e3', { state: 'not_sent' })],
        })
        await owner.commitNext({ published: first.batch, marks: [{ ...mark, position: 5, jump: true }] })
        const recovered = await successor(owner)
        expect(recovered).toMatchObject({
          lane: { incarnation, epoch: owner.epoch + 1, published: first.batch, halted, nowMs: expect.any(Number) },
          inputs: [{ ...input, next: 13 }],
          marks: [{ ...mark, position: 5, jump: true }],
          sent: [sent],
        })
        expect(recovered.effects.map((row) => ({ ...row, body: textOf(row.body) }))).toEqual(
          open.map((row) => ({ ...row, body: textOf(row.body) })),
        )
        expect(recovered.outbox.map(({ batch, blob }) => [batch, textOf(blob)])).toEqual([[second.batch, 'blob 2']])
      })

      test('leaves a halt as it is unless it says otherwise', async () => {
        const owner = await own(1)
        const halted = { topic: null, code: 'test', detail: 'test', since_ms: 1 }
        await owner.commitNext({ halted })
        await owner.commitNext()
        expect((await store.recover(KEYED, 1, owner.epoch, 10)).lane.halted).toEqual(halted)
        await owner.commitNext({ halted: null })
        expect((await store.recover(KEYED, 1, owner.epoch, 10)).lane.halted).toBeNull()
      })

      test('counts the parked events of an actor, and none for a record without actor', async () => {
        const owner = await own(2)
        const parked = (turn: number, kind: string, key: string) => ({
          turn,
          kind,
          key,
          cause: 'throws',
          origin: 'timer t',
          event: bytesOf('{}'),
        })
        const { turn } = owner.next()
        const rows = [parked(turn + 1, 'quote', 'q1'), parked(turn + 2, 'quote', 'q1'), parked(turn + 3, '', 'q2')]
        await owner.commitNext({ journal: rows.map(({ key }) => journalRow(key, { outcome: 'p' })), parked: rows })
        const { parkedActors } = await store.recover(KEYED, 2, owner.epoch, 10)
        expect(parkedActors).toEqual([{ kind: 'quote', key: 'q1', waiting: 2 }])
      })

      test('of history rows writes each event once, also when it is replayed', async () => {
        const writer = connect('history-writer')
        await writer.lanes('history-writer', LANES)
        const owner = await takeFree(writer, 'history-writer', 0)
        const ids = [randomUUID(), randomUUID()]
        const [first, second] = ids.map((id) => historyRow('decision.trade_decision', id, { quote_id: `q-${id}`, decision: 'skip' }))
        if (!first || !second) throw new Error('two rows')
        const batch = await owner.commitNext({ history: [first] })
        expect(await owner.commit(batch)).toBe('again')
        await owner.commitNext({ history: [first, second] })
        const stored = await under.historyIds('decision.trade_decision')
        expect(stored.filter((id) => ids.some((known) => known === id)).toSorted()).toEqual(ids.toSorted())
        await expect(
          owner.commitNext({ history: [{ ...second, text: second.text.replace('"skip"', '"\\u0000"') }] }),
        ).rejects.toMatchObject({
          code: 'bad_data',
        })
        await expect(owner.commitNext({ history: [{ ...second, text: '{"event_id":' }] })).rejects.toMatchObject({ code: 'bad_data' })
        await writer.deregister(owner.process)
      })
    })

    describe('timers', () => {
      test('come in the order of due time, kind, key and name, a window at a time', async () => {
        const owner = await own(0)
        const rows = [
          timerRow('b', 't', 20),
          timerRow('a', 't', 20),
          timerRow('a', 's', 20),
          timerRow('z', 't', 10),
          timerRow('c', 't', 30),
        ]
        await owner.commitNext({ timersSet: rows })
        const ordered = ['z t', 'a s', 'a t', 'b t', 'c t']
        const { timers, moreTimers } = await store.recover(KEYED, 0, owner.epoch, 3)
        expect([timers.map(nameOf), moreTimers]).toEqual([ordered.slice(0, 3), true])
        const last = timers.at(-1)
        if (!last) throw new Error('three timers')
        expect((await store.timers(KEYED, 0, last, 10)).map(nameOf)).toEqual(ordered.slice(3))
        expect((await store.timers(KEYED, 0, last, 1)).map(nameOf)).toEqual(ordered.slice(3, 4))
        expect(await store.recover(KEYED, 0, owner.epoch, 5)).toMatchObject({ moreTimers: false })
      })

      test('that are set again move, and those switched off are gone', async () => {
        const owner = await own(1)
        await owner.commitNext({ timersSet: [timerRow('a', 't', 10), timerRow('b', 't', 20)] })
        await owner.commitNext({ timersSet: [timerRow('a', 't', 40, 2)], timersOff: [{ kind: 'counter', key: 'b', timer: 't' }] })
        const { timers } = await store.recover(KEYED, 1, owner.epoch, 10)
        expect(timers.map(({ key, dueMs, token }) => [key, dueMs, token])).toEqual([['a', 40, 2]])
      })
    })

    describe('orders', () => {
      const order = { by: 'ada', reason: 'a test', body: { order: 'arm', release: 'r1' }, expiresInMs: 10_000 }

      test('fan out to one row a lane and stay open until that lane has committed them', async () => {
        const owner = await own(0)
        const { id } = await store.insertOrder(KEYED, order)
        expect((await store.renew(owner.process, 'live', 60_000)).openOrders).toEqual([0, 1, 2, 3])
        const [row] = await store.orders(KEYED, 0)
        expect(row).toMatchObject({ id, lane: 0, by: 'ada', reason: 'a test', body: order.body })
        expect((row?.expiresAtMs ?? 0) - (row?.atMs ?? 0)).toBe(10_000)
        await owner.commitNext({ orders: [{ id, answer: { armed: true } }] })
        expect(await store.orders(KEYED, 0)).toEqual([])
        expect(await store.orderAnswers(KEYED, id)).toEqual(
          [0, 1, 2, 3].map((lane) => ({ lane, answer: lane === 0 ? { armed: true } : null })),
        )
        expect((await store.renew(owner.process, 'live', 60_000)).openOrders).toEqual([1, 2, 3])
        await takeAllOrders()
      })

      test('for one lane go to that lane, and a lane that does not exist is refused', async () => {
        const { id } = await store.insertOrder(KEYED, { ...order, expiresInMs: null, lane: 2 })
        expect(await store.orderAnswers(KEYED, id)).toEqual([{ lane: 2, answer: null }])
        expect(await store.orders(KEYED, 2)).toMatchObject([{ id, expiresAtMs: null }])
        await expect(store.insertOrder(KEYED, { ...order, lane: 99 })).rejects.toMatchObject({ code: 'broken_contract' })
        await takeAllOrders()
      })

      test('keep their first answer, and one that the lane does not have breaks the contract', async () => {
        const owner = await own(0)
        const { id } = await store.insertOrder(KEYED, { ...order, lane: 0 })
        await owner.commitNext({ orders: [{ id, answer: { first: true } }] })
        await owner.commitNext({ orders: [{ id, answer: { first: false } }] })
        expect(await store.orderAnswers(KEYED, id)).toEqual([{ lane: 0, answer: { first: true } }])
        await expect(owner.commitNext({ orders: [{ id: id + 1_000, answer: {} }] })).rejects.toMatchObject({ code: 'broken_contract' })
      })

      test('call back who listens, when one is inserted and when one is committed', async () => {
        const owner = await own(0)
        let heard = signal()
        const stop = await connect().onOrder(KEYED, () => heard.give())
        const { id } = await store.insertOrder(KEYED, { ...order, lane: 0 })
        expect(await heard.given).toBe('heard')
        heard = signal()
        await owner.commitNext({ orders: [{ id, answer: {} }] })
        expect(await heard.given).toBe('heard')
        await stop()
      })

      const takeAllOrders = async (): Promise<void> => {
        for (const { process } of held.splice(0)) await store.deregister(process)
        for (let lane = 0; lane < LANES; lane++) {
          const open = await store.orders(KEYED, lane)
          const owner = await takeFree(store, KEYED, lane)
          await owner.commitNext({ orders: open.map(({ id }) => ({ id, answer: {} })) })
          await store.deregister(owner.process)
        }
      }
    })

    const successor = async (owner: OwnedLane): Promise<Recovered> => {
      await store.release(KEYED, owner.lane, owner.epoch)
      return (await own(owner.lane)).recovered
    }
  })

const effectRow = (effect: string, patch: Partial<EffectRow>): EffectRow => ({
  effect,
  kind: 'command',
  key: 'cmd-1',
  name: 'sendOffer',
  mode: 'idempotent',
  state: 'pending',
  token: 3,
  notAfterMs: null,
  askAtMs: null,
  asked: 1,
  body: bytesOf('{"params":{}}'),
  ...patch,
})

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

/** Without pattern, so that it does not compress below the longest index entry. */
const randomText = (length: number): string =>
  Array.from({ length: length / 10 }, () => Math.random().toString(36).slice(2, 12).padEnd(10, 'x')).join('')
