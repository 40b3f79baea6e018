import { describe, expect, test } from 'vitest'
import type { LetterRow, ParkedRow } from '#actors/runtime/rows.ts'
import { actorRow, bytesOf, historyRow, journalRow, takeFree, textOf } from '#test/storage/lane.ts'
import type { OwnedLane } from '#test/storage/lane.ts'
import { KEYED, LANES } from './store-given.ts'
import type { GivenStore } from './store-given.ts'

/** Parked events: how they stand, in which order they are read, and that each is resolved once. */
export const letterContract = (given: GivenStore): void => {
  describe('parked events', () => {
    test('are counted by their actor, and the first of them says whether they are held; records stand alone', async () => {
      const owner = await given.own(2)
      const at = await park(owner, ['quote q1', 'quote q1', 'quote q2', ' ', ' '], [1])
      const { parkedActors } = await given.successor(owner)
      expect(ours(parkedActors, at)).toEqual([
        { kind: '', key: '', turn: at[3], held: true, cause: 'it threw', open: 1 },
        { kind: '', key: '', turn: at[4], held: true, cause: 'it threw', open: 1 },
        { kind: 'quote', key: 'q1', turn: at[0], held: true, cause: 'it threw', open: 2 },
        { kind: 'quote', key: 'q2', turn: at[2], held: true, cause: 'it threw', open: 1 },
      ])
      expect(parkedActors.every(({ sinceMs }) => Number.isSafeInteger(sinceMs))).toBe(true)
    })

    test('that are let go, resolved or parked again are so for the next owner', async () => {
      const owner = await given.own(3)
      const [held, behind, other, record] = await park(owner, ['quote l1', 'quote l1', 'quote l2', ' '], [1])
      await owner.commitNext({ letters: [letter(held!, { waits: true, ordered: 'ada (order 7)' }), letter(other!, { cause: 'again' })] })
      const released = await given.store.recover(KEYED, 3, owner.epoch, 10)
      expect(ours(released.parkedActors, [held!, other!])).toMatchObject([
        { key: 'l1', turn: held, held: false, cause: 'it threw', open: 2 },
        { key: 'l2', turn: other, held: true, cause: 'again', open: 1 },
      ])
      await owner.commitNext({ letters: [letter(held!, { done: 'replayed' }), letter(record!, { done: 'dropped' })] })
      const { parkedActors } = await given.successor(owner)
      expect(ours(parkedActors, [held!, behind!, other!, record!])).toMatchObject([
        { key: 'l1', turn: behind, held: false, open: 1 },
        { key: 'l2', turn: other, held: true },
      ])
    })

    test('that fail again are held since then', async () => {
      const owner = await given.own(3)
      const [again, still] = await park(owner, ['quote s1', 'quote s2'], [])
      const since = async (): Promise<(number | undefined)[]> => {
        const { parkedActors } = await given.store.recover(KEYED, 3, owner.epoch, 10)
        return [again, still].map((turn) => parkedActors.find((actor) => actor.turn === turn)?.sinceMs)
      }
      const [first, other] = await since()
      await given.under.pass(20)
      await owner.commitNext({ letters: [letter(again!, { waits: true, ordered: 'by ada' })] })
      expect(await since()).toEqual([first, other])
      await owner.commitNext({ letters: [letter(again!, { cause: 'again' })] })
      expect(await since()).toEqual([expect.toSatisfy((ms: number) => ms > first!), other])
    })

    test('keep the row of an actor that has ended: without it they would begin it anew', async () => {
      const owner = await given.own(2)
      const [turn] = await park(owner, ['counter ended'], [])
      await owner.commitNext({ actors: [actorRow('ended', { status: 'done', endedAtMs: 1 })] })
      const row = [{ kind: 'counter', key: 'ended' }]
      expect(await given.store.sweep(KEYED, 2, 100)).toBe(0)
      expect(await given.store.load(KEYED, 2, row)).toHaveLength(1)
      await owner.commitNext({ letters: [letter(turn!, { done: 'dropped' })] })
      expect(await given.store.sweep(KEYED, 2, 100)).toBe(1)
      expect(await given.store.load(KEYED, 2, row)).toEqual([])
    })

    test('are read in the order of their turns, a few at a time, and only those asked for', async () => {
      const owner = await given.own(0)
      const at = await park(owner, ['quote r1', 'quote r2', 'quote r1', ' ', ' ', 'quote r3', 'quote r2'], [2, 6])
      await owner.commitNext({ letters: [letter(at[0]!, { waits: true, ordered: 'by ada' })] })
      const asked = [
        { kind: 'quote', key: 'r2', turn: at[1]! },
        { kind: 'quote', key: 'r1', turn: at[0]! },
        { kind: '', key: '', turn: at[4]! },
      ]
      const read = await given.store.letters(KEYED, 0, asked, 10)
      expect(read.map(({ turn }) => turn)).toEqual([at[0], at[1], at[2], at[4], at[6]])
      expect({ ...read[0], event: textOf(read[0]!.event) }).toEqual({
        turn: at[0],
        kind: 'quote',
        key: 'r1',
        origin: 'timer t',
        ordered: 'by ada',
        event: '{"n":0}',
      })
      expect((await given.store.letters(KEYED, 0, asked, 2)).map(({ turn }) => turn)).toEqual([at[0], at[1]])
      await owner.commitNext({ letters: [letter(at[0]!, { done: 'replayed' })] })
      expect((await given.store.letters(KEYED, 0, asked, 2)).map(({ turn }) => turn)).toEqual([at[1], at[2]])
    })

    test('are resolved in the batch that parks them as well, and once: a second time breaks the contract and changes nothing', async () => {
      const owner = await given.own(1)
      const { turn } = owner.next()
      const row = parkedRow(turn + 1, '', '', 0)
      const journal = [journalRow('x', { outcome: 'p' })]
      const batch = await owner.commitNext({ journal, parked: [row], letters: [letter(turn + 1, { done: 'answered' })] })
      expect(await owner.commit(batch)).toBe('again')
      await expect(owner.commitNext({ letters: [letter(turn + 1, { done: 'twice' })] })).rejects.toMatchObject({ code: 'broken_contract' })
      await owner.commitNext()
      expect(ours((await given.store.recover(KEYED, 1, owner.epoch, 10)).parkedActors, [turn + 1])).toEqual([])
    })

    test('are resolved beside history rows, all or nothing', async () => {
      const writer = given.connect('history-writer')
      await writer.lanes('history-writer', LANES)
      const owner = await takeFree(writer, 'history-writer', 1)
      const [turn] = await park(owner, [' '], [])
      const history = [historyRow('decision.trade_decision', `letter-${owner.process}`, { quote_id: 'q', decision: 'skip' })]
      const broken = history.map((row) => ({ ...row, text: '{"event_id":' }))
      const letters = [letter(turn!, { done: 'replayed' })]
      await expect(owner.commitNext({ history: broken, letters })).rejects.toMatchObject({ code: 'bad_data' })
      await owner.commitNext({ history, letters })
      expect(await given.under.historyIds('decision.trade_decision')).toContain(`letter-${owner.process}`)
      await writer.deregister(owner.process)
    })
  })
}

/** Parks one event a word, `kind key`, in one batch; those at `waiting` behind the first of their actor. @returns their turns */
const park = async (owner: OwnedLane, words: readonly string[], waiting: readonly number[]): Promise<number[]> => {
  const { turn } = owner.next()
  const turns = words.map((_, index) => turn + 1 + index)
  const parked = words.map((word, index) => {
    const [kind = '', key = ''] = word.split(' ')
    return parkedRow(turn + 1 + index, kind, key, index)
  })
  await owner.commitNext({
    journal: parked.map(({ key }) => journalRow(key, { outcome: 'p' })),
    parked,
    letters: waiting.map((index) => letter(turns[index]!, { waits: true })),
  })
  return turns
}

const parkedRow = (turn: number, kind: string, key: string, n: number): ParkedRow => {
  return { turn, kind, key, cause: 'it threw', origin: 'timer t', event: bytesOf(`{"n":${n}}`) }
}

const letter = (turn: number, patch: Partial<LetterRow>): LetterRow => {
  return { turn, waits: false, cause: '', ordered: '', done: '', ...patch }
}

/** Without the time, which is the store's own; other tests park on the same lanes. */
const ours = (rows: readonly { kind: string; turn: number; sinceMs: number }[], turns: readonly number[]): object[] =>
  rows
    .filter(({ turn }) => turns.includes(turn))
    .map(({ sinceMs: _, ...rest }) => rest)
    .toSorted((a, b) => (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : a.turn - b.turn))
