import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { EffectRow } from '#actors/runtime/rows.ts'
import { actorRow, bytesOf, historyRow, journalRow, registered, takeFree, textOf } from '#test/storage/lane.ts'
import { HEIR_LEASE_MS, KEYED, LANES } from './store-given.ts'
import type { GivenStore } from './store-given.ts'

/** What a commit stores, refuses and repeats. */
export const commitContract = (given: GivenStore): void => {
  describe('a commit', () => {
    test('of what a zombie computed raises, and leaves nothing behind', async () => {
      const zombie = await given.own(0)
      await given.expire(zombie.process)
      const heir = await registered(given.store, KEYED, HEIR_LEASE_MS)
      const taken = await given.store.take(heir, KEYED, 0, 'expired', 10)
      await expect(zombie.commitNext({ actors: [actorRow('zombie')], journal: [journalRow('zombie')] })).rejects.toMatchObject({
        code: 'stale_epoch',
      })
      expect(await given.store.load(KEYED, 0, [{ kind: 'counter', key: 'zombie' }])).toEqual([])
      expect((await given.store.recover(KEYED, 0, taken?.lane.epoch ?? 0, 10)).lane).toEqual(taken?.lane)
      await given.store.deregister(heir)
    })

    test('after a release raises', async () => {
      const owner = await given.own(0)
      await given.store.release(KEYED, 0, owner.epoch)
      await expect(owner.commitNext()).rejects.toMatchObject({ code: 'stale_epoch' })
    })

    test('that is already in is answered with "again" and changes nothing', async () => {
      const owner = await given.own(0)
      const batch = await owner.commitNext({ journal: [journalRow('twice')], actors: [actorRow('twice')] })
      expect(await owner.commit(batch)).toBe('again')
      expect((await given.store.recover(KEYED, 0, owner.epoch, 10)).lane).toMatchObject({ batch: batch.batch, turn: batch.turn })
    })

    test('of other content under a used number is a conflict', async () => {
      const owner = await given.own(0)
      const batch = await owner.commitNext()
      await expect(given.store.commit(KEYED, { ...batch, digest: bytesOf('other') })).rejects.toMatchObject({ code: 'batch_conflict' })
      await expect(given.store.commit(KEYED, { ...batch, batch: batch.batch - 1 })).rejects.toMatchObject({ code: 'batch_conflict' })
    })

    test('whose predecessor is not stored says that storage went back', async () => {
      const owner = await given.own(0)
      const batch = owner.next()
      await expect(given.store.commit(KEYED, { ...batch, batch: batch.batch + 1 })).rejects.toMatchObject({ code: 'went_back' })
    })

    test('whose turns do not add up breaks the contract', async () => {
      const owner = await given.own(0)
      await expect(given.store.commit(KEYED, { ...owner.next(), turn: 999_999 })).rejects.toMatchObject({ code: 'broken_contract' })
    })

    test.each([
      ['a NUL in a key', { actors: [actorRow('a\0b')] }],
      ['a NUL in a parked cause', { parked: [{ turn: 1, kind: 'k', key: 'k', cause: 'a\0b', origin: 'o', event: bytesOf('e') }] }],
      ['a key of 100,000 random characters', { actors: [actorRow(randomText(100_000))] }],
    ])('with %s is bad data, and the number is free for another batch', async (_what, patch) => {
      const owner = await given.own(0)
      await expect(owner.commitNext(patch)).rejects.toMatchObject({ code: 'bad_data' })
      await owner.commitNext({ journal: [journalRow('next')] })
    })

    test('stores snapshots that load again, each under its address', async () => {
      const owner = await given.own(0)
      await owner.commitNext({ actors: [actorRow('a'), actorRow('b', { status: 'done', endedAtMs: 5 })] })
      const binary = Uint8Array.from({ length: 256 }, (_, index) => index)
      await owner.commitNext({ nowMs: 2_000, actors: [actorRow('a', { sequence: 2, body: binary })] })
      const loaded = await given.store.load(
        KEYED,
        0,
        ['b', 'a', 'none'].map((key) => ({ kind: 'counter', key })),
      )
      const byKey = Object.fromEntries(loaded.map((row) => [row.key, { ...row, body: Buffer.from(row.body).toString('hex') }]))
      expect(Object.keys(byKey).toSorted()).toEqual(['a', 'b'])
      expect(byKey.a).toMatchObject({
        sequence: 2,
        status: 'active',
        endedAtMs: null,
        updatedAtMs: 2_000,
        body: Buffer.from(binary).toString('hex'),
      })
      expect(byKey.b).toMatchObject({ status: 'done', endedAtMs: 5 })
      expect(await given.store.load(KEYED, 1, [{ kind: 'counter', key: 'a' }])).toEqual([])
    })

    test('is what its successor recovers: inputs, marks, sent, effects, outbox and halt', async () => {
      const owner = await given.own(3)
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
        nowMs: SINCE_MS,
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
      const recovered = await given.successor(owner)
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

    test('writes a row of the same sequence anew and leaves the time of its last turn, and an effect under another name', async () => {
      const owner = await given.own(1)
      const effect: EffectRow = {
        effect: 'renamed',
        kind: 'counter',
        key: 'rewritten',
        name: 'old name',
        mode: 'ask first',
        state: 'pending',
        token: 0,
        notAfterMs: 7,
        askAtMs: 8,
        asked: 0,
        sinceMs: 0,
        body: bytesOf('{}'),
      }
      const turned = await owner.commitNext({ actors: [actorRow('rewritten')], journal: [journalRow('rewritten')], effects: [effect] })
      await owner.commitNext({
        nowMs: turned.nowMs + 50,
        actors: [actorRow('rewritten', { body: bytesOf('another') })],
        effects: [{ ...effect, name: 'new name' }],
      })
      const [row] = await given.store.load(KEYED, 1, [{ kind: 'counter', key: 'rewritten' }])
      expect(row).toMatchObject({ updatedAtMs: turned.nowMs, body: bytesOf('another') })
      expect((await given.successor(owner)).effects.find(({ key }) => key === 'rewritten')).toMatchObject({ name: 'new name' })
    })

    test('keeps the marks that a record can still come for, and no others', async () => {
      const owner = await given.own(2)
      const [older, newer] = ['019b0000-0000-7000-8000-000000000001', '019b0000-0001-7000-8000-000000000002']
      const mark = (source: string, incarnation: string, atOffset: number, topic = 'norm.swap_demand') => ({
        topic,
        source,
        incarnation,
        position: 1,
        atOffset,
        jump: false,
      })
      const gone = randomUUID()
      const over = [mark('other/0', older, 9), mark(`feed#${gone}`, older, 9)]
      const kept = [
        mark('other/0', newer, 9),
        mark('other/1', older, 10),
        mark('other/1', newer, 12),
        mark(`feed#${owner.process}`, older, 9),
        mark(`feed#${gone}`, newer, 10),
        mark('other/0', older, 0, 'exec.trade_result'),
      ]
      await owner.commitNext({ marks: [...over, ...kept] })
      const names = ({ topic, source, incarnation }: { topic: string; source: string; incarnation: string }) =>
        `${topic} ${source} ${incarnation}`
      const swept = await given.store.sweepMarks(KEYED, 2, { 'norm.swap_demand': 10 })
      expect(swept.map(names).toSorted()).toEqual(over.map(names).toSorted())
      const { marks } = await given.store.recover(KEYED, 2, owner.epoch, 10)
      expect(marks.map(names).toSorted()).toEqual(kept.map(names).toSorted())
    })

    test('leaves a halt as it is unless it says otherwise', async () => {
      const owner = await given.own(1)
      const halted = { topic: null, code: 'test', detail: 'test', since_ms: 1 }
      await owner.commitNext({ halted })
      await owner.commitNext()
      expect((await given.store.recover(KEYED, 1, owner.epoch, 10)).lane.halted).toEqual(halted)
      await owner.commitNext({ halted: null })
      expect((await given.store.recover(KEYED, 1, owner.epoch, 10)).lane.halted).toBeNull()
    })

    test('of history rows writes each event once, also when it is replayed', async () => {
      const writer = given.connect('history-writer')
      await writer.lanes('history-writer', LANES)
      const owner = await takeFree(writer, 'history-writer', 0)
      const ids = [randomUUID(), randomUUID()]
      const [first, second] = ids.map((id) => historyRow('decision.trade_decision', id, { quote_id: `q-${id}`, decision: 'skip' }))
      if (!first || !second) throw new Error('two rows')
      const batch = await owner.commitNext({ history: [first] })
      expect(await owner.commit(batch)).toBe('again')
      await owner.commitNext({ history: [first, second] })
      const stored = await given.under.historyIds('decision.trade_decision')
      expect(stored.filter((id) => ids.some((known) => known === id)).toSorted()).toEqual(ids.toSorted())
      await expect(owner.commitNext({ history: [{ ...second, text: second.text.replace('"skip"', '"\\u0000"') }] })).rejects.toMatchObject({
        code: 'bad_data',
      })
      await expect(owner.commitNext({ history: [{ ...second, text: '{"event_id":' }] })).rejects.toMatchObject({ code: 'bad_data' })
      await writer.deregister(owner.process)
    })
  })
}

const SINCE_MS = 4_242
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
  sinceMs: SINCE_MS,
  body: bytesOf('{"params":{}}'),
  ...patch,
})

/** Without pattern, so that it does not compress below the longest index entry. */

/** Without pattern, so that it does not compress below the longest index entry. */
const randomText = (length: number): string => randomBytes(length / 2).toString('hex')
