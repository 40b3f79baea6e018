import { describe, expect, it } from 'vitest'
import { fewestSteps } from './shrink.ts'

describe('the shortest prefix that still fails', () => {
  it.each([0, 1, 2, 149, 299, 300])('is found where all from %i steps on fail', async (least) => {
    expect(await fewestSteps(async (steps) => steps >= least, 300)).toBe(least)
  })

  it('is found a little below where halving ends, when some of what is longer passes', async () => {
    expect(await fewestSteps(async (steps) => steps === 140 || steps >= 150, 300)).toBe(140)
  })

  it('takes few runs', async () => {
    let runs = 0
    await fewestSteps(async (steps) => {
      runs++
      return steps >= 123
    }, 300)
    expect(runs).toBeLessThan(30)
  })
})
