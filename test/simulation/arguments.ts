/** What `npm run sim` is told. */
import { parseArgs } from 'node:util'

export interface Arguments {
  readonly seed: number
  readonly runs: number
  readonly steps: number
  /** processes that run worlds side by side */
  readonly jobs: number
  /** the whole event trace of each world */
  readonly trace: boolean
  readonly keepGoing: boolean
  readonly mode: 'worlds' | 'mutants' | 'find seeds'
  /** names; none: all of them */
  readonly mutants: readonly string[]
  readonly help: boolean
}

export const USAGE = `npm run sim [-- OPTIONS]

Runs the runtime, its services and machines in worlds where everything fails, and stops at the first world that is wrong: prints its
seed, the shortest prefix that still fails, the event trace of that prefix, and the command that shows it again.

  --seed S        the first world (1); the same seed gives the same bytes on any machine
  --runs N        so many worlds, of one seed after another (100)
  --steps M       things that the world does in each; what follows from one takes many steps (300)
  --jobs J        processes that run worlds side by side (1)
  --trace         print every event of every world
  --keep-going    do not stop at a world that is wrong
  --mutants       run each mutant, an edit of the source that breaks one promise, until a checker finds it out, at most N worlds (2000);
                  exit 1 if one survives
  --mutant NAME   that one only; more than once: those
  --find-seeds    look for each mutant's known seed anew and write them down in test/simulation/seeds.ts
  --help          this text`

/** What was typed makes no sense. */
export class BadArguments extends Error {
  readonly code = 'BAD_ARGUMENTS'
}

const MUTANT_RUNS = 2_000

/** @throws {BadArguments} naming the argument that is wrong */
export const readArguments = (argv: readonly string[]): Arguments => {
  const { values } = parse(argv)
  const mode = values['find-seeds'] ? 'find seeds' : values.mutants || values.mutant ? 'mutants' : 'worlds'
  return {
    seed: whole('--seed', values.seed, { default: 1, least: 0, most: 2 ** 31 - 1 }),
    runs: whole('--runs', values.runs, { default: mode === 'worlds' ? 100 : MUTANT_RUNS, least: 1, most: 1e9 }),
    steps: whole('--steps', values.steps, { default: 300, least: 0, most: 1e6 }),
    jobs: whole('--jobs', values.jobs, { default: 1, least: 1, most: 256 }),
    trace: values.trace,
    keepGoing: values['keep-going'],
    mode,
    mutants: values.mutant ?? [],
    help: values.help,
  }
}

const parse = (argv: readonly string[]) => {
  const [flag, text] = [{ type: 'boolean', default: false } as const, { type: 'string' } as const]
  const names = {
    seed: text,
    runs: text,
    steps: text,
    jobs: text,
    mutant: { ...text, multiple: true } as const,
    trace: flag,
    mutants: flag,
  }
  try {
    return parseArgs({
      args: [...argv],
      options: { ...names, 'keep-going': flag, 'find-seeds': flag, help: { ...flag, short: 'h' } },
    })
  } catch (cause) {
    throw new BadArguments(`${cause instanceof Error ? cause.message : String(cause)} (npm run sim -- --help lists the options)`, { cause })
  }
}

const whole = (name: string, text: string | undefined, of: { default: number; least: number; most: number }): number => {
  if (text === undefined) return of.default
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= of.least && value <= of.most))
    throw new BadArguments(`${name} wants a whole number from ${of.least} to ${of.most}, not ${JSON.stringify(text)}`)
  return value
}
