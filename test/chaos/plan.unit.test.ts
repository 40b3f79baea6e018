import { expect, test } from 'vitest'
import { SERVICES } from '#machines/contracts/services.ts'
import { OTHER_KINDS, planOf, wordsOf } from './plan.ts'
import type { Step } from './plan.ts'

const killsIn = (plan: readonly Step[]): string[] =>
  plan.flatMap(({ fault, meanwhile }) => [...(fault.kind === 'kill' ? fault.services : []), ...(meanwhile ? [meanwhile.service] : [])])

test('the same seed is the same plan, another seed another one', () => {
  expect(planOf(7, 20, 10)).toEqual(planOf(7, 20, 10))
  expect(planOf(7, 20, 10)).not.toEqual(planOf(8, 20, 10))
})

test.each([1, 2, 3, 4, 5])('a plan from seed %i has as many kills and other faults as were asked for', (seed) => {
  for (const [kills, others] of [
    [0, 0],
    [1, 0],
    [0, 5],
    [20, 10],
    [7, 30],
  ] as const) {
    const plan = planOf(seed, kills, others)
    expect(killsIn(plan)).toHaveLength(kills)
    expect(plan.filter(({ fault }) => fault.kind !== 'kill')).toHaveLength(others)
  }
})

test('a round of other faults has every kind, and eight kills every service', () => {
  const plan = planOf(3, SERVICES.length, OTHER_KINDS.length)
  expect(new Set(plan.map(({ fault }) => fault.kind))).toEqual(new Set(['kill', ...OTHER_KINDS]))
  expect(new Set(killsIn(plan)).size).toBe(SERVICES.length)
})

test('every step can be told in words', () => {
  for (const { fault } of planOf(5, 30, 60)) expect(wordsOf(fault)).not.toMatch(/undefined|NaN/)
})
