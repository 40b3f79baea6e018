import { describe, expect, test } from 'vitest'
import { Cursors, lostAt } from '#bus/cursors.ts'
import type { BusRecord } from '#bus/shapes.ts'

const records = (...offsets: number[]): BusRecord[] =>
  offsets.map((offset) => ({ topic: 't', partition: 0, offset, key: null, value: null, headers: {}, timestampMs: 0 }))
const offsetsOf = (verdict: ReturnType<Cursors['receive']>): number[] =>
  verdict.kind === 'deliver' ? verdict.records.map(({ offset }) => offset) : []

describe('the gate of an input', () => {
  const at = (next: number): Cursors => {
    const cursors = new Cursors()
    cursors.start('t', 0, next, false)
    return cursors
  }

  test('what continues is handed on, and moves it', () => {
    const cursors = at(5)
    expect(offsetsOf(cursors.receive('t', 0, records(5, 6), 5))).toEqual([5, 6])
    expect(offsetsOf(cursors.receive('t', 0, records(7), 7))).toEqual([7])
  })

  test('what kafkajs asked for from elsewhere, before or after, is for the broker to judge', () => {
    const cursors = at(5)
    expect(cursors.receive('t', 0, records(3, 4, 5), 3)).toEqual({ kind: 'judge' })
    expect(cursors.receive('t', 0, records(9), 9)).toEqual({ kind: 'judge' })
    expect(cursors.get('t', 0)?.next).toBe(5)
  })

  test('asked from the right place and answered from further on, the log has a hole', () => {
    expect(at(5).receive('t', 0, records(9), 5)).toEqual({ kind: 'hole', found: 9 })
  })

  test('a hole within what arrives ends it there, and is found by the next', () => {
    const cursors = at(5)
    expect(offsetsOf(cursors.receive('t', 0, records(5, 6, 8), 5))).toEqual([5, 6])
    expect(cursors.get('t', 0)?.next).toBe(7)
    expect(cursors.receive('t', 0, records(9), 9)).toEqual({ kind: 'judge' })
    expect(cursors.receive('t', 0, records(8, 9), 7)).toEqual({ kind: 'hole', found: 8 })
  })

  test('nothing on hold, and nothing that nobody holds, is handed on', () => {
    const cursors = at(5)
    const cursor = cursors.get('t', 0)
    expect(cursors.receive('t', 1, records(0), 0)).toEqual({ kind: 'drop' })
    if (cursor !== undefined) cursors.hold(cursor)
    expect(cursors.receive('t', 0, records(5), 5)).toEqual({ kind: 'drop' })
    if (cursor !== undefined) cursors.remove(cursor)
    expect(cursors.receive('t', 0, records(5), 5)).toEqual({ kind: 'drop' })
  })

  test('every change voids the answer to a question asked before', () => {
    const cursors = at(5)
    const cursor = cursors.get('t', 0)
    if (cursor === undefined) throw new Error('it was started')
    const versions = [cursor.version]
    cursors.hold(cursor)
    versions.push(cursor.version)
    cursors.resume(cursor, 3)
    versions.push(cursor.version)
    cursors.remove(cursor)
    versions.push(cursor.version)
    expect(new Set(versions).size).toBe(4)
  })
})

test('a table takes holes and rewinds as they come and hands nothing on twice', () => {
  const cursors = new Cursors()
  cursors.start('t', 0, 5, true)
  expect(offsetsOf(cursors.receive('t', 0, records(5, 8), 5))).toEqual([5, 8])
  expect(offsetsOf(cursors.receive('t', 0, records(4, 5, 8, 9), 4))).toEqual([9])
  expect(cursors.receive('t', 0, records(8, 9), 8)).toEqual({ kind: 'drop' })
})

test.each([
  ['goes on', 5, { low: 0, high: 9, committed: 5 }, 5, null],
  ['goes on at its very end', 9, { low: 0, high: 9, committed: 5 }, 5, null],
  ['begins later than we are', 5, { low: 7, high: 9, committed: 5 }, 5, 7],
  ['ends before where we are', 5, { low: 0, high: 3, committed: 5 }, 5, 3],
  ['never had a commit of ours', 5, { low: 0, high: 9, committed: null }, null, null],
  ['is longer than where we are, and our commit has gone', 5, { low: 0, high: 9, committed: null }, 5, 0],
])('a log that %s', (_, next, ends, committed, found) => {
  expect(lostAt(next, { topic: 't', ...ends }, committed)).toBe(found)
})
