/** `npm run chaos`: see USAGE in options.ts. Whatever ends it, nothing that it started goes on running. */
import { endEverything } from '#deploy/local/child.ts'
import { runPlan } from './chaos.ts'
import type { Ran } from './chaos.ts'
import { readOptions, USAGE, UsageFault } from './options.ts'
import type { ChaosOptions } from './options.ts'
import { planOf, wordsOf } from './plan.ts'
import { isClean, progressText, reportOf, reportText } from './report.ts'
import { openStage } from './stage.ts'
import { judge } from './verdict.ts'

/** npm forwards an interrupt, so two within a second are one. */
const SAME_INTERRUPT_MS = 1_000

const main = async (options: ChaosOptions): Promise<number> => {
  const tell = (text: string): void => void (options.json ? process.stderr : process.stdout).write(`${text}\n`)
  const plan = planOf(options.seed, options.kills, options.others)
  const interrupts = listen()
  const began = performance.now()
  tell(`${plan.length} steps from seed ${options.seed}; starting the system ...`)
  const stage = await openStage(`chaos-${options.seed}`)
  const ran: Ran[] = []
  const note = (one: Ran): void => {
    ran.push(one)
    tell(progressText(one, ran.length, plan.length, wordsOf(one.step.fault)))
  }
  await Promise.race([runPlan(stage, plan, interrupts.seen, note), interrupts.second])
  if (!interrupts.seenTwice()) tell('letting everything come to its end ...')
  const verdict = (await Promise.race([judge(stage.deployment), interrupts.second])) ?? null
  const run = { seed: options.seed, steps: plan.length, seconds: (performance.now() - began) / 1_000, ran, verdict }
  const faults = await stage.close(!isClean(reportOf({ ...run, faults: [] })))
  await endEverything()
  const report = reportOf({ ...run, faults })
  tell(reportText(report))
  if (!isClean(report)) tell(`the services' logs are kept in ${stage.logDir}`)
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`)
  return interrupts.seenTwice() ? 130 : isClean(report) ? 0 : 1
}

const listen = () => {
  const { promise: second, resolve } = Promise.withResolvers<undefined>()
  let seenAt: number | undefined
  let twice = false
  const interrupt = (): void => {
    seenAt ??= performance.now()
    if (performance.now() - seenAt <= SAME_INTERRUPT_MS) return
    twice = true
    resolve(undefined)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  return { second, seen: () => seenAt !== undefined, seenTwice: () => twice }
}

const read = (): ChaosOptions | undefined => {
  try {
    return readOptions(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof UsageFault)) throw error
    process.stderr.write(`${error.message}\n`)
    return undefined
  }
}

const options = read()
if (options === undefined) process.exitCode = 2
else if (options.help) process.stdout.write(`${USAGE}\n`)
else {
  process.exitCode = await main(options).catch(async (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    await endEverything()
    return 1
  })
  process.exit()
}
