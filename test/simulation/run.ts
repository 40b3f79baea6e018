/** `npm run sim`: worlds one after another, until one is wrong; and the mutants, each until a checker finds it out. */
import { setImmediate as breathe } from 'node:timers/promises'
import { BadArguments, readArguments, USAGE } from './arguments.ts'
import type { Arguments } from './arguments.ts'
import { makeCrew } from './crew.ts'
import type { Crew } from './crew.ts'
import { runMutants } from './hunt.ts'
import { mutantNamed } from './mutation.ts'
import { MUTANTS } from './mutants.ts'
import { Progress } from './progress.ts'
import { writeSeeds } from './seeds-file.ts'
import { MUTANT_SEEDS } from './seeds.ts'
import { fewestSteps } from './shrink.ts'
import { work } from './work.ts'
import type { Done, Job } from './work.ts'

const write = (text: string): void => void process.stdout.write(text)
/** On Ctrl-C: what was done so far, as shells count it. */
const INTERRUPTED = 130

const main = async (args: Arguments): Promise<number> => {
  const progress = new Progress(write, process.stdout.isTTY === true)
  // A mutant can go round in circles: only another process can be ended then.
  const crew: Crew = args.mode === 'worlds' && args.jobs === 1 ? { size: 1, run: work, close: () => {} } : makeCrew(args.jobs)
  const stopping = new AbortController()
  const stopped = new Promise<'stopped'>((resolve) => stopping.signal.addEventListener('abort', () => resolve('stopped')))
  const stop = (): void => stopping.abort()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    const worlds = args.mode === 'worlds' ? runWorlds(args, crew, progress, stopping.signal) : hunt(args, crew, progress)
    const outcome = await Promise.race([worlds, stopped])
    if (outcome !== 'stopped') return outcome
    progress.line(`interrupted: ${progress.text}`)
    return INTERRUPTED
  } finally {
    crew.close()
  }
}

const runWorlds = async (args: Arguments, crew: Crew, progress: Progress, stopping: AbortSignal): Promise<number> => {
  const { seed: first, runs, steps, jobs, trace, keepGoing } = args
  let [next, failed, last] = [first, 0, '']
  const runOn = async (): Promise<void> => {
    while (next < first + runs && (failed === 0 || keepGoing)) {
      // A world's own time needs no turn of the event loop: without this one no signal would be heard between two of them.
      await breathe()
      if (stopping.aborted) return
      const seed = next++
      const done = await crew.run({ seed, steps, ...(trace ? { traced: true } : {}) })
      for (const event of done.events) progress.line(event)
      const { ran } = done
      progress.ran(ran.counts['steps'] ?? 0)
      if (seed === first + runs - 1) last = `seed ${seed} trace ${ran.trace} ${JSON.stringify(ran.counts)}`
      if (ran.violations.length === 0) continue
      failed++
      await tellFailure(crew, progress, { seed, steps }, done, trace)
    }
  }
  await Promise.all(Array.from({ length: jobs }, runOn))
  if (stopping.aborted) return INTERRUPTED
  if (failed === 0 && last) progress.line(last)
  progress.line(`${progress.text}, ${failed === 0 ? 'none wrong' : `${failed} wrong`}`)
  return failed === 0 ? 0 : 1
}

/** Events of the prefix that are printed; all of them with `--trace`. */
const EVENTS_SHOWN = 80

const tellFailure = async (crew: Crew, progress: Progress, job: Job, { ran }: Done, wasTraced: boolean): Promise<void> => {
  const { seed, steps } = job
  progress.line(`seed ${seed}, ${steps} steps, trace ${ran.trace}: WRONG\n  ${ran.violations.slice(0, 12).join('\n  ')}`)
  const fewest = await fewestSteps(async (fewer) => (await crew.run({ ...job, steps: fewer })).ran.violations.length > 0, steps)
  const shown = await crew.run({ ...job, steps: fewest, traced: true })
  const events = wasTraced && fewest === steps ? [] : shown.events.slice(-EVENTS_SHOWN)
  progress.line(
    [
      `shortest prefix that still fails: ${fewest} steps, trace ${shown.ran.trace}`,
      `  ${shown.ran.violations.slice(0, 12).join('\n  ')}`,
      `the last ${events.length} of its ${shown.events.length} events:`,
      ...events.map((event) => `  ${event}`),
      `again, with all of them: npm run sim -- --seed ${seed} --runs 1 --steps ${fewest} --trace`,
    ].join('\n'),
  )
}

const hunt = async (args: Arguments, crew: Crew, progress: Progress): Promise<number> => {
  const mutants = args.mutants.length === 0 ? MUTANTS : args.mutants.map(mutantNamed)
  const found = await runMutants(mutants, args, crew, progress)
  if (args.mode === 'find seeds') writeSeeds(found, MUTANT_SEEDS)
  const survivors = found.filter(({ caught }) => caught === null)
  progress.line(`${found.length - survivors.length} of ${found.length} mutants caught; ${progress.text}`)
  return survivors.length === 0 ? 0 : 1
}

try {
  const args = readArguments(process.argv.slice(2))
  if (args.help) write(`${USAGE}\n`)
  else process.exitCode = await main(args)
} catch (error) {
  if (!(error instanceof BadArguments || error instanceof RangeError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
