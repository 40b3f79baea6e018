import type { Arguments } from './arguments.ts'
import type { Crew } from './crew.ts'
import type { Mutant } from './mutants.ts'
import type { Progress } from './progress.ts'

/** Where a mutant was found out; `caught` null: it survived all of the runs. */
export interface Found {
  readonly mutant: Mutant
  readonly runs: number
  readonly caught: { readonly seed: number; readonly said: string } | null
}

/** Each mutant in one world after another until a checker says something; a line of the table each, as they end. */
export const runMutants = async (mutants: readonly Mutant[], args: Arguments, crew: Crew, progress: Progress): Promise<Found[]> => {
  const width = Math.max(...mutants.map(({ name }) => name.length))
  progress.line(`${'mutant'.padEnd(width)}  ${'seed'.padStart(6)}  ${'runs'.padStart(5)}  what the checker said`)
  const waiting = [...mutants]
  const found: Found[] = []
  const huntOn = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
      const one = await huntOne(mutant, args, crew, progress)
      found.push(one)
      const { caught } = one
      const at = `${mutant.name.padEnd(width)}  ${String(caught?.seed ?? '').padStart(6)}  ${String(one.runs).padStart(5)}`
      progress.line(`${at}  ${caught ? firstLine(caught.said) : `SURVIVED: nobody checks that ${mutant.breaks}`}`)
    }
  }
  await Promise.all(Array.from({ length: crew.size }, huntOn))
  return mutants.flatMap((mutant) => found.find((one) => one.mutant === mutant) ?? [])
}

const huntOne = async (mutant: Mutant, { seed: first, runs, steps }: Arguments, crew: Crew, progress: Progress): Promise<Found> => {
  for (let seed = first; seed < first + runs; seed++) {
    const { ran } = await crew.run({ seed, steps, mutant: mutant.name })
    progress.ran(ran.counts['steps'] ?? 0)
    const [said] = ran.violations
    // A world that is wrong without the mutant as well has found out nothing.
    if (said !== undefined && (await crew.run({ seed, steps })).ran.violations.length === 0)
      return { mutant, runs: seed - first + 1, caught: { seed, said } }
  }
  return { mutant, runs, caught: null }
}

const firstLine = (text: string): string => text.split('\n', 1)[0]!.slice(0, 160)
