import { parseArgs } from 'node:util'
import type { Mutant } from './mutants.ts'
import { MUTANTS } from './mutants.ts'
import { run } from './world.ts'

/** `npm run sim -- --seed 7 --runs 100 --steps 300`: worlds one after another, until one is wrong. */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '100' },
    steps: { type: 'string', default: '300' },
    mutant: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
  },
})
const [first, runs, steps] = [values.seed, values.runs, values.steps].map(Number) as [number, number, number]
const mutant = MUTANTS.find((name): name is Mutant => name === values.mutant) ?? null
const write = (line: string): void => void process.stdout.write(`${line}\n`)

let failed = 0
let worldSteps = 0
const begun = performance.now()
for (let seed = first; seed < first + runs; seed++) {
  const ran = await run({ seed, steps, mutant, ...(values.verbose ? { log: write } : {}) })
  worldSteps += ran.counts['steps'] ?? 0
  const seconds = (performance.now() - begun) / 1_000
  if (ran.violations.length > 0) {
    failed++
    write(`seed ${seed}, ${steps} steps: FAILED\n  ${ran.violations.slice(0, 12).join('\n  ')}`)
    if (!values['keep-going']) break
  } else if (values.verbose || (seed - first) % 10 === 9 || seed === first + runs - 1) {
    const each = ((seed - first + 1) / seconds).toFixed(1)
    write(`seed ${seed} ${ran.trace}: ${each} worlds/s, ${Math.round(worldSteps / seconds)} steps/s ${JSON.stringify(ran.counts)}`)
  }
}
process.exitCode = failed > 0 ? 1 : 0
