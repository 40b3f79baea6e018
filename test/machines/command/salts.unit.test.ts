import { describe, expect, it } from 'vitest'
import { SALTS, saltsMachine, withSalts } from '#machines/command/salts.ts'
import type { SaltsContext, SeenSalt } from '#machines/command/salts.ts'
import { TestLane } from '../lane.ts'

const seen = (salt: string, first_seen_ms: number): SeenSalt => ({ salt, first_seen_ms })

describe('the salts that were seen', () => {
  it('are kept since they were first seen, the newest last, whoever saw them', () => {
    expect(withSalts([seen('b', 20), seen('c', 30)], [seen('a', 10), seen('c', 25), seen('b', 40)])).toEqual([
      seen('a', 10),
      seen('b', 20),
      seen('c', 25),
    ])
  })

  it('are the same list where nothing is new, so that nothing is written', () => {
    const known = [seen('a', 10), seen('b', 20)]
    expect(withSalts(known, [seen('a', 11), seen('b', 20)])).toBe(known)
  })

  it('are eight at most: the oldest go', () => {
    const many = Array.from({ length: 12 }, (_, n) => seen(`s${n}`, n))
    expect(withSalts([], many)).toEqual(many.slice(4))
    expect(withSalts(many.slice(4), many.slice(0, 4))).toEqual(many.slice(4))
  })

  it('are stored in a lane as they are told to it', () => {
    const lane = new TestLane({ salts: { machine: saltsMachine, input: () => ({}) } })
    for (const salts of [[seen('a', 10)], [seen('a', 10), seen('b', 20)], [seen('b', 21)]]) lane.send(SALTS, { type: 'salts.seen', salts })
    expect(lane.context<SaltsContext>(SALTS)).toEqual({ recent: [seen('a', 10), seen('b', 20)] })
  })
})
