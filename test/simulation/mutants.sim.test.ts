import { afterAll, describe, expect, it } from 'vitest'
import { makeCrew } from './crew.ts'
import { MUTANTS } from './mutants.ts'
import { MUTANT_SEEDS } from './seeds.ts'
import { run } from './world.ts'

const STEPS = 300
/** What a seed does changes with every change of what ships; a checker that finds a mutant out does so again a few worlds on. */
const WORLDS = 40

const crew = makeCrew(2)
afterAll(() => crew.close())

describe('the checkers', () => {
  it.concurrent.each(MUTANTS)('find out "$name"', async ({ name }) => {
    const first = MUTANT_SEEDS[name] ?? 1
    for (let seed = first; seed < first + WORLDS; seed++) {
      const { ran } = await crew.run({ seed, steps: STEPS, mutant: name })
      // A world that is wrong without the mutant as well has found out nothing.
      if (ran.violations.length > 0 && (await crew.run({ seed, steps: STEPS })).ran.violations.length === 0) return
    }
    expect.fail(`it survived from seed ${first}; npm run sim -- --mutant '${name}' looks further, and --find-seeds writes down where`)
  })
})

describe('a world', () => {
  it('is the same, byte for byte, in another process, another time zone, another language and with clocks and chance that stand still', async () => {
    const stopped = '--import=data:text/javascript,Math.random=()=>0.5;Date.now=()=>0;performance.now=()=>0'
    const elsewhere = makeCrew(1, { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8', NODE_OPTIONS: stopped })
    try {
      const job = { seed: 7, steps: 150, traced: true }
      const { ran, events } = await elsewhere.run(job)
      const here: string[] = []
      expect(ran).toEqual(await run({ ...job, heard: (line) => void here.push(line) }))
      expect(events).toEqual(here)
    } finally {
      elsewhere.close()
    }
  })
})
