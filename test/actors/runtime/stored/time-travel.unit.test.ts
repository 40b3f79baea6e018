import { describe, expect, test } from 'vitest'
import { changesOf, travel, wayBack } from '#actors/runtime/stored/time-travel.ts'
import type { Travelled, Wish } from '#actors/runtime/stored/time-travel.ts'
import type { JournalTurn } from '#actors/runtime/stored/replay.ts'
import { turnsOf } from '../../../twins/journal.ts'
import { Rig } from '../rig.ts'
import { outside, workerService } from '../worker.ts'

const definition = workerService(outside())
const EVENTS = ['note', 'say', 'wait', 'note', 'look', 'note', 'say', 'end']

/** One worker among others, two takeovers, and its stored snapshot after each of its turns. */
const lived = async () => {
  const rig = new Rig(definition)
  const stored: { value: unknown; c: unknown }[] = []
  let running = await rig.start()
  for (const [index, type] of EVENTS.entries()) {
    rig.put('other', { type: 'note' })
    rig.put('a', { type })
    await rig.pass(50)
    const row = [...rig.lane.actors.values()].find(({ key }) => key === 'a')!
    stored[row.sequence] = JSON.parse(Buffer.from(row.body).toString()) as { value: unknown; c: unknown }
    if (index % 3 !== 2) continue
    running.process.kill()
    running = await rig.start()
    while (running.host.lanes().length === 0) await rig.pass(100)
  }
  const turns = turnsOf(rig.lane).filter(({ key }) => key === 'a')
  return { turns, stored, sequence: turns.at(-1)!.sequence }
}

/** As storage hands them on: newest first until it needs no older one, then turned round. */
const read = (turns: readonly JournalTurn[], wish: Wish): JournalTurn[] => {
  const stepOf = wayBack(wish)
  const kept: JournalTurn[] = []
  for (const turn of turns.toReversed()) {
    const { needed, last } = stepOf(turn)
    if (needed) kept.unshift(turn)
    if (last) break
  }
  return kept
}

const after = (found: Travelled) => {
  if (found.outcome !== 'at') throw new Error(found.outcome)
  return found.actor
}

describe('an actor as it was', () => {
  test('is what was stored then, after every one of its turns, from no more of the journal than that takes', async () => {
    const { turns, stored, sequence } = await lived()
    expect(sequence).toBeGreaterThanOrEqual(EVENTS.length)
    expect(turns.filter(({ base }) => base !== null).length).toBeGreaterThanOrEqual(2)
    for (let at = 1; at <= sequence; at++) {
      const journal = read(turns, { at })
      const then = after(travel(definition, journal, sequence, { at }))
      const was = stored[at]
      if (was) expect(then).toMatchObject({ sequence: at, state: was.value, context: was.c })
      expect(then.turn).toMatchObject({ sequence: at, code: 'same', difference: null })
    }
    expect(read(turns, { at: sequence }).length).toBeLessThan(turns.length)
    const isBase = ({ base, sequence: own }: JournalTurn): boolean => base !== null || own === 1
    expect(read(turns, { at: 1 }).filter(({ sequence: own }) => own > 2)).toEqual(turns.filter((turn) => isBase(turn) && turn.sequence > 2))
  })

  test('is told by the time too, and before its first turn is nothing', async () => {
    const { turns, sequence } = await lived()
    const until = turns[2]!.nowMs
    const last = turns.findLast(({ nowMs }) => nowMs <= until)!
    expect(after(travel(definition, read(turns, { until }), sequence, { until })).sequence).toBe(last.sequence)
    expect(after(travel(definition, turns, sequence, { until: turns[0]!.nowMs - 1 }))).toMatchObject({ sequence: 0, state: null })
    expect(after(travel(definition, turns, sequence, { at: 0 }))).toMatchObject({ sequence: 0, state: null, turn: null })
  })

  test('shows what changed between two turns, and by which', async () => {
    const { turns, sequence } = await lived()
    const wish = { from: 1, to: 3 }
    const found = travel(definition, read(turns, wish), sequence, wish)
    expect(found).toMatchObject({
      outcome: 'diff',
      changes: [
        { path: 'state', before: 'idle', after: 'waiting' },
        { path: 'context.seen[1]', after: 'say' },
      ],
      turns: [
        { sequence: 2, event: { type: 'say' }, outputs: [{ does: 'message' }] },
        { sequence: 3, outputs: [{ does: 'set timer' }] },
      ],
    })
  })

  test('that has not come to be, is no longer kept, or that this code does not load, says so', async () => {
    const { turns, sequence } = await lived()
    expect(travel(definition, turns, sequence, { at: sequence + 1 })).toEqual({ outcome: 'not yet', sequence })
    const kept = turns.slice(turns.findIndex(({ base }) => base !== null) - 1)
    const first = kept[1]!.sequence - 1
    expect(travel(definition, kept, sequence, { at: 1 })).toEqual({ outcome: 'not kept', from: first })
    expect(after(travel(definition, kept, sequence, { at: first })).sequence).toBe(first)
    expect(travel(definition, [], sequence, { at: 1 })).toEqual({ outcome: 'not kept', from: null })
    const newer = { kinds: { ...definition.kinds, worker: { ...definition.kinds['worker']!, version: 2, migrations: [] } } }
    expect(travel(newer, kept.slice(1), sequence, { at: sequence })).toMatchObject({ outcome: 'not loadable', sequence: first + 1 })
  })

  test('differs leaf by leaf: what came, what went, what is another', () => {
    const before = { state: { a: 'x', b: 'y' }, context: { n: 1, list: [1, 2], gone: null, same: { deep: [1] } } }
    const now = { state: { a: 'x', b: 'z' }, context: { n: '1', list: [1, 3, 4], same: { deep: [1] }, come: {} } }
    expect(changesOf(before, now)).toEqual([
      { path: 'state.b', before: 'y', after: 'z' },
      { path: 'context.n', before: 1, after: '1' },
      { path: 'context.list[1]', before: 2, after: 3 },
      { path: 'context.list[2]', after: 4 },
      { path: 'context.gone', before: null },
      { path: 'context.come', after: {} },
    ])
  })
})
