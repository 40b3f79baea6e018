import { table } from './print.ts'

/** What came of playing lanes' journals once more through the code at hand. */
export interface ReplayReport {
  readonly service: string
  readonly lanes: readonly LaneReplay[]
}

export interface LaneReplay {
  readonly lane: number
  /** the first and the last turn that were read; null: none is kept */
  readonly from: number | null
  readonly to: number | null
  readonly turns: number
  /** turns whose outputs were compared */
  readonly played: number
  /** of those, recorded by machines of another version or structure */
  readonly other_code: number
  /** actors whose stored state was compared: those that have had no other turn since */
  readonly compared: number
  readonly skipped: {
    /** parked, queued or dropped: they changed nothing */
    readonly nothing_taken: number
    /** before the first snapshot of their actor that is kept */
    readonly state_not_known: number
    readonly not_loadable: number
  }
  /** the first of those that the code at hand does not load */
  readonly not_loadable: readonly { readonly turn: number; readonly actor: string; readonly why: string | null }[]
  readonly seconds: number
  readonly turns_per_second: number
  /** the first turn that came out otherwise; the lane was left there */
  readonly difference: {
    readonly turn: number
    readonly batch: number
    readonly actor: string
    readonly sequence: number
    readonly at: string
    readonly event: unknown
    readonly code: 'same' | 'other'
    readonly what: string
    readonly recorded: string
    readonly computed: string
    readonly outputs: readonly object[]
  } | null
}

export const tellReplay = ({ service, lanes }: ReplayReport): string => {
  const rows = lanes.map(({ lane, from, to, played, other_code, compared, skipped, turns_per_second, difference }) => [
    String(lane),
    from === null ? 'none kept' : `${from}..${to}`,
    String(played),
    String(other_code),
    String(compared),
    String(skipped.nothing_taken),
    String(skipped.state_not_known),
    String(skipped.not_loadable),
    `${turns_per_second}/s`,
    from === null ? '-' : difference === null ? 'agrees' : `differs at ${difference.turn}`,
  ])
  const heading = ['LANE', 'TURNS', 'PLAYED', 'OTHER CODE', 'COMPARED', 'NOTHING TAKEN', 'NOT KNOWN', 'NOT LOADABLE', 'RATE', 'OUTCOME']
  return [
    service,
    table(heading, rows),
    ...lanes.flatMap(({ lane, not_loadable, difference }) => [
      ...not_loadable.map(({ turn, actor, why }) => `lane ${lane}, turn ${turn}, ${actor}: not loadable: ${why ?? ''}`),
      ...(difference === null
        ? []
        : [
            `lane ${lane}, turn ${difference.turn} (batch ${difference.batch}, ${difference.at}), ${difference.actor} turn ${difference.sequence}${difference.code === 'same' ? '' : ', recorded by other code'}`,
            `  event     ${JSON.stringify(difference.event)}`,
            `  ${difference.what.padEnd(8)}  recorded ${difference.recorded}`,
            `            computed ${difference.computed}`,
            ...difference.outputs.map((output) => `  asks      ${JSON.stringify(output)}`),
          ]),
    ]),
  ].join('\n')
}
