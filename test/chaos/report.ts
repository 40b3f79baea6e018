import { availableParallelism, loadavg } from 'node:os'
import { table } from '#deploy/local/screen.ts'
import type { Ran } from './chaos.ts'
import type { Takeover } from './takeover.ts'
import type { Verdict } from './verdict.ts'

/** ms */
export interface Spread {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface Report {
  readonly seed: number
  readonly seconds: number
  /** fewer are done than were planned where it was interrupted, or something was stuck */
  readonly steps: { readonly done: number; readonly planned: number }
  /** kill -9, those in the middle of other faults included */
  readonly kills: number
  /** by kind, done and skipped; the longest time until everything was whole again, ms */
  readonly faults: Readonly<Record<string, { readonly done: number; readonly skipped: number; readonly wholeAfterMaxMs: number }>>
  readonly skipped: readonly string[]
  /** null: not looked for, the run was cut short */
  readonly verdict: Verdict | null
  readonly stuck: readonly string[]
  /** lanes, from the death of their owner: to the next epoch (`taken`), and to the first turn under it (`turn`) */
  readonly takeover: Readonly<Record<'itself anew' | 'another process', { readonly taken: Spread | null; readonly turn: Spread | null }>>
  /** what a process used of a CPU from its start to its first turn */
  readonly startCpu: Spread | null
  /** other work on the machine makes every time longer than it is */
  readonly load: { readonly average: number; readonly cores: number; readonly perCore: number }
}

export const reportOf = (run: {
  seed: number
  steps: number
  seconds: number
  ran: readonly Ran[]
  verdict: Verdict | null
  faults: readonly string[]
}): Report => {
  const { seed, steps, seconds, ran, verdict, faults } = run
  const takeovers = ran.flatMap((one) => one.takeovers)
  const by = (who: Takeover['by']) => {
    const own = takeovers.filter((one) => one.by === who)
    return { taken: spread(own.map(({ takenMs }) => takenMs)), turn: spread(own.map(({ turnMs }) => turnMs)) }
  }
  return {
    seed,
    seconds: Math.round(seconds),
    steps: { done: ran.length, planned: steps },
    kills: ran.reduce((sum, one) => sum + killsIn(one), 0),
    faults: Object.fromEntries(
      [...Map.groupBy(ran, ({ step }) => step.fault.kind)].map(([kind, list]) => [
        kind,
        {
          done: list.filter(({ outcome }) => outcome === 'done').length,
          skipped: list.filter(({ outcome }) => outcome === 'skipped').length,
          wholeAfterMaxMs: Math.max(...list.map(({ wholeAfterMs }) => wholeAfterMs)),
        },
      ]),
    ),
    skipped: [...new Set(ran.flatMap(({ step, why }) => (why === null ? [] : [`${step.fault.kind}: ${why}`])))],
    verdict,
    stuck: [...ran.flatMap((one) => one.stuck), ...(verdict?.stuck ?? []), ...faults],
    takeover: { 'itself anew': by('itself anew'), 'another process': by('another process') },
    startCpu: spread(takeovers.map(({ cpuMs }) => cpuMs)),
    load: loadNow(),
  }
}

/** `perCore` is how much longer everything takes that waits its turn: at least 1. */
const loadNow = (): Report['load'] => {
  const [average, cores] = [Math.round((loadavg()[0] ?? 0) * 10) / 10, availableParallelism()]
  return { average, cores, perCore: Math.max(1, average / cores) }
}

const killsIn = ({ step: { fault, meanwhile }, outcome }: Ran): number =>
  (fault.kind === 'kill' && outcome === 'done' ? fault.services.length : 0) + (meanwhile === null ? 0 : 1)

const spread = (values: readonly (number | null)[]): Spread | null => {
  const sorted = values.filter((value) => value !== null).toSorted((a, b) => a - b)
  const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0)
  return sorted.length === 0 ? null : { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** Whether nothing was found. One that was cut short has not been looked at. */
export const isClean = ({ verdict, stuck }: Report): boolean =>
  verdict !== null && stuck.length === 0 && [verdict.doubles, verdict.losses, verdict.wrong].every((list) => list.length === 0)

const SHOWN = 20

export const reportText = (report: Report): string => {
  const { seed, seconds, steps, kills, faults, skipped, verdict, stuck, takeover, startCpu, load } = report
  const kinds = Object.entries(faults).map(([kind, { done, skipped: not, wholeAfterMaxMs }]) => [
    kind,
    `${done}`,
    `${not}`,
    `${(wholeAfterMaxMs / 1_000).toFixed(1)} s`,
  ])
  const lists: readonly (readonly [string, readonly string[] | undefined])[] = [
    ['doubles', verdict?.doubles],
    ['losses', verdict?.losses],
    ['stuck', stuck],
    ['wrong', verdict?.wrong],
  ]
  const counts = verdict?.counts
  return [
    '',
    table([['fault', 'done', 'skipped', 'whole again after, at most'], ...kinds]),
    '',
    ...skipped.map((line) => `skipped: ${line}`),
    `${steps.done} of ${steps.planned} steps from seed ${seed}, ${kills} kills, ${seconds} s`,
    ...Object.entries(takeover).flatMap(([who, { taken, turn }]) =>
      taken === null ? [] : [`takeover by ${who}: lane taken ${words(taken)}; first turn ${words(turn)}`],
    ),
    ...(startCpu === null ? [] : [`a new process uses ${words(startCpu)} of a CPU until its first turn`]),
    `load average ${load.average} on ${load.cores} cores`,
    counts === undefined
      ? 'cut short: what became of demands and commands was not looked at'
      : `${counts.demands} demands, ${counts.commands} commands, ${counts.answered} answered, ${counts.records} records`,
    ...lists.map(([name, list]) => `${name}: ${list === undefined ? 'not looked for' : list.length}`),
    ...lists.flatMap(([name, list = []]) => list.slice(0, SHOWN).map((line) => `  ${name}: ${line}`)),
    '',
  ].join('\n')
}

const words = (spreadMs: Spread | null): string =>
  spreadMs === null ? 'not seen' : `p50 ${spreadMs.p50}, p99 ${spreadMs.p99}, max ${spreadMs.max} ms (${spreadMs.count})`

/** `  3/30  kill -9 trade-executor: whole after 1.4 s; first turns after 1210, 1214 ms` */
export const progressText = (ran: Ran, index: number, of: number, what: string): string => {
  const turns = ran.takeovers.map(({ turnMs, takenMs }) => Math.round(turnMs ?? takenMs ?? Number.NaN))
  const middle = ran.step.meanwhile === null ? '' : `, kill -9 ${ran.step.meanwhile.service} in the middle`
  const end =
    ran.stuck.length > 0
      ? `STUCK: ${ran.stuck.join('; ')}`
      : ran.why === null
        ? `whole after ${(ran.wholeAfterMs / 1_000).toFixed(1)} s`
        : `skipped: ${ran.why}`
  return `${String(index).padStart(4)}/${of}  ${what}${middle}: ${end}${turns.length > 0 ? `; takeovers ${turns.join(', ')} ms` : ''}`
}
