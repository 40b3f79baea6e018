import { describe, expect, it } from 'vitest'
import { Marks } from '#actors/runtime/lane/marks.ts'
import type { InputRow } from '#actors/runtime/rows.ts'

const NOW = 1_767_312_000_000
const [OLD, NEW] = ['019b0000-0000-7000-8000-000000000001', '019b0000-0001-7000-8000-000000000002']
const DRAWN_MS = Number.parseInt('019b00000000', 16)
const fromStart: InputRow = { topic: 't', entered: 0, enteredAtMs: DRAWN_MS + 1_000_000, next: 0 }
const entered = (at: number, ms: number): InputRow => ({ topic: 't', entered: at, enteredAtMs: ms, next: at })

const verdict = (marks: Marks, source: string, incarnation: string, position: number, input = fromStart): string =>
  marks.judge('t', source, incarnation, position, input).verdict

describe('marks', () => {
  it('drop what is at or below, take the next, and call anything higher lost data (M1)', () => {
    const marks = new Marks([])
    marks.take('t', 's/0', OLD, 7, 100, NOW)
    expect([6, 7, 8, 9].map((position) => verdict(marks, 's/0', OLD, position))).toEqual(['repeat', 'repeat', 'take', 'gap'])
    expect(marks.judge('t', 's/0', OLD, 12, fromStart)).toEqual({ verdict: 'gap', expected: 8 })
  })

  it('want a source never seen to begin at 1 (M2)', () => {
    expect(verdict(new Marks([]), 's/0', OLD, 1)).toBe('take')
    expect(verdict(new Marks([]), 's/0', OLD, 2)).toBe('gap')
  })

  it('let it begin anywhere only if the lane entered above the first offset after the incarnation was drawn (M2)', () => {
    const marks = new Marks([])
    expect(verdict(marks, 's/0', OLD, 5, entered(40, DRAWN_MS + 1))).toBe('take')
    expect(verdict(marks, 's/0', OLD, 5, entered(40, DRAWN_MS))).toBe('gap')
    expect(verdict(marks, 's/0', OLD, 5, entered(0, DRAWN_MS + 1))).toBe('gap')
    // A uuid of another version does not say when it was drawn.
    expect(verdict(marks, 's/0', '019b0000-0000-4000-8000-000000000001', 5, entered(40, Number.MAX_SAFE_INTEGER - 1))).toBe('gap')
  })

  it('drop a lane source that is older than one already seen, also where its mark is known (M3)', () => {
    const marks = new Marks([])
    marks.take('t', 's/0', OLD, 3, 1, NOW)
    expect(verdict(marks, 's/0', OLD, 4)).toBe('take')
    marks.take('t', 's/0', NEW, 1, 2, NOW)
    expect(verdict(marks, 's/0', OLD, 4)).toBe('outdated')
    expect(
      verdict(new Marks([{ topic: 't', source: 's/0', incarnation: NEW, position: 1, atOffset: 1, jump: false }]), 's/0', OLD, 1),
    ).toBe('outdated')
  })

  it('let two processes alive at once not disturb each other, whichever was drawn first', () => {
    const marks = new Marks([])
    marks.take('t', 'feed#a', NEW, 1, 1, NOW)
    expect(verdict(marks, 'feed#a', OLD, 1)).toBe('take')
    expect(verdict(marks, 'feed#b', OLD, 1)).toBe('take')
  })

  it('jump once after an accepted loss, in their topic only, and still drop what is below', () => {
    const marks = new Marks([])
    marks.take('t', 's/0', OLD, 3, 1, NOW)
    marks.take('u', 's/0', OLD, 3, 1, NOW)
    expect(marks.letJump('t')).toEqual([{ topic: 't', source: 's/0', incarnation: OLD, position: 3, atOffset: 1, jump: true }])
    expect(verdict(marks, 's/0', OLD, 3)).toBe('repeat')
    expect(verdict(marks, 's/0', OLD, 9)).toBe('take')
    marks.take('t', 's/0', OLD, 9, 2, NOW)
    expect(verdict(marks, 's/0', OLD, 11)).toBe('gap')
    expect(marks.judge('u', 's/0', OLD, 5, fromStart).verdict).toBe('gap')
  })

  it('say how many there are of each topic, and when one last moved since the lane was taken', () => {
    const marks = new Marks([{ topic: 't', source: 's/0', incarnation: OLD, position: 1, atOffset: 0, jump: false }])
    expect(marks.describe()).toEqual({ t: { count: 1, moved_ms: null } })
    marks.take('t', 's/0', OLD, 2, 1, NOW)
    marks.take('t', 's/1', NEW, 1, 2, NOW + 5)
    expect(marks.describe()).toEqual({ t: { count: 2, moved_ms: NOW + 5 } })
    marks.forget({ topic: 't', source: 's/0', incarnation: OLD })
    expect(marks.describe()).toEqual({ t: { count: 1, moved_ms: NOW + 5 } })
  })
})
