import { describe, expect, it } from 'vitest'
import { KNOWN_SEEDS } from './seeds.ts'
import { run } from './world.ts'

const STEPS = 300
const FRESH_SEEDS = Array.from({ length: 60 }, (_, index) => 5_000 + index)

/** What to type to see it again. */
const again = (seed: number): string => `npm run sim -- --seed ${seed} --runs 1 --steps ${STEPS}`

describe('the kernel in a world where everything fails', () => {
  it.each(KNOWN_SEEDS)('is right in the world of seed %i, which was wrong once', async (seed) => {
    const { violations } = await run({ seed, steps: STEPS })
    expect(violations, again(seed)).toEqual([])
  })

  it.each(FRESH_SEEDS)('sends nothing twice, loses nothing and replays to the same bytes in the world of seed %i', async (seed) => {
    const { violations } = await run({ seed, steps: STEPS })
    expect(violations, again(seed)).toEqual([])
  })

  it('does the same in the same world, step for step', async () => {
    const [one, other] = [await run({ seed: 7, steps: 150 }), await run({ seed: 7, steps: 150 })]
    expect(one).toEqual(other)
    expect((await run({ seed: 8, steps: 150 })).trace).not.toBe(one.trace)
  })

  it('does something in it: demands become commands, sends and settlements, and processes die on the way', async () => {
    const all = await Promise.all([1, 2, 3, 4, 5].map((seed) => run({ seed, steps: STEPS })))
    for (const what of ['demands', 'commands', 'sends', 'settled', 'crashes', 'freezes', 'orders'])
      expect(all.filter(({ counts }) => (counts[what] ?? 0) > 0).length, what).toBeGreaterThan(2)
  })
})
