import type { LaneState } from '#machines/contracts/records/operations.ts'
import type { LaneMemory } from './memory.ts'
import type { EffectRow } from '../rows.ts'

/** What somebody has to look at in a lane. */
export type Condition = LaneState['condition']
const CONDITIONS: readonly Condition[] = ['parked', 'halted', 'overdue']

interface Found {
  /** another one is news */
  readonly key: string
  readonly count: number
  readonly sinceMs: number
  readonly reason: string
}

/** The oracle's "no" is final at the first final block after `not_after`: later than this somebody has to look. */
const OVERDUE_MS = 30_000
const REASON_LENGTH = 300
/** Of another owner, or of before a refused batch: whatever is so now is news. */
const UNKNOWN = '?'

/** What has been told of a lane's conditions, as far as its memory knows; '' is "all is well". */
export const toldBefore = (memory: Pick<LaneMemory, 'parked' | 'halted' | 'effects' | 'nowMs'>): Map<Condition, string> =>
  new Map<Condition, string>([
    ['parked', memory.parked.firstHeld() ? UNKNOWN : ''],
    ['halted', memory.halted ? UNKNOWN : ''],
    ['overdue', overdueOf(memory, memory.nowMs).length > 0 ? UNKNOWN : ''],
  ])

/**
 * The conditions that are not as they were told, as of now. `overdue` is looked for apart: it comes with time and not with a turn.
 * What ended since is left out: the batch that ends it says so, or, after its owner's death, nobody would.
 */
export const news = (memory: LaneMemory, overdue: readonly EffectRow[]): { condition: Condition; found: Found | null }[] => {
  const open = overdue.filter(({ effect }) => memory.effects.has(effect))
  return CONDITIONS.flatMap((condition) => {
    const found = FINDERS[condition](memory, open)
    return (found?.key ?? '') === memory.told.get(condition) ? [] : [{ condition, found }]
  })
}

/** Effects whose outcome their oracle should have told by now. */
export const overdueOf = (memory: Pick<LaneMemory, 'effects'>, nowMs: number): EffectRow[] =>
  [...memory.effects.values()].filter(
    ({ mode, notAfterMs }) => mode === 'ask first' && notAfterMs !== null && notAfterMs + OVERDUE_MS < nowMs,
  )

export const stateRecord = (of: { service: string; lane: number }, condition: Condition, found: Found | null): LaneState => ({
  ...of,
  condition,
  holds: found !== null,
  count: found?.count ?? 0,
  since: found ? new Date(found.sinceMs).toISOString() : null,
  reason: (found?.reason ?? WELL[condition]).slice(0, REASON_LENGTH),
})

const WELL: Readonly<Record<Condition, string>> = {
  parked: 'nothing is parked',
  halted: 'no input is halted',
  overdue: 'every outcome that is due is known',
}

// The first of many names them all: news of each would be told once an event in a storm of them.
const FINDERS: Readonly<Record<Condition, (memory: LaneMemory, overdue: readonly EffectRow[]) => Found | null>> = {
  parked: ({ parked }) => {
    const first = parked.firstHeld()
    if (!first) return null
    const { kind, key, turn, sinceMs, cause } = first
    const reason = `${kind === '' ? 'a record that no actor was found for' : `${kind}/${key}`}, turn ${turn}: ${cause}`
    return { key: `${turn} ${cause}`, count: parked.heldCount, sinceMs, reason }
  },
  halted: ({ halted }) =>
    halted && { key: `${halted.code} ${halted.detail}`, count: 1, sinceMs: halted.since_ms, reason: `${halted.code}: ${halted.detail}` },
  overdue: (_, [first, ...rest]) =>
    first
      ? {
          key: first.effect,
          count: 1 + rest.length,
          sinceMs: first.notAfterMs ?? 0,
          reason: `${first.kind}/${first.key}: nobody can say what became of ${first.name} ${first.effect}`,
        }
      : null,
}
