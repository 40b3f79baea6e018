import type { JournalTurn, Replayed } from './replay.ts'
import { Replay } from './replay.ts'
import type { ServiceDefinition } from '../service.ts'
import type { Output } from '../machine/xstate-names.ts'

/** An actor after one of its turns, as the code at hand makes it out of the journal. */
export interface Then {
  /** its own count of turns; 0: before its first */
  readonly sequence: number
  readonly state: unknown
  readonly context: unknown
  readonly status: 'active' | 'done' | null
  /** null at 0, and where only the snapshot after it is kept */
  readonly turn: TurnThen | null
}

export interface TurnThen {
  readonly sequence: number
  /** of the lane */
  readonly turn: number
  readonly batch: number
  readonly at: string
  readonly event: unknown
  readonly outcome: 'taken' | 'no transition'
  readonly outputs: readonly Output[]
  /** `other`: it was computed by machines of another version or structure than those at hand */
  readonly code: 'same' | 'other'
  /** what the code at hand makes of it otherwise than was recorded */
  readonly difference: Replayed['difference']
}

export interface Change {
  /** `state`, `context.ledger.open`, `context.list[2]` */
  readonly path: string
  /** absent: it was not there */
  readonly before?: unknown
  readonly after?: unknown
}

export type Travelled =
  | { readonly outcome: 'at'; readonly actor: Then }
  | {
      readonly outcome: 'diff'
      readonly from: Then
      readonly to: Then
      readonly changes: readonly Change[]
      readonly turns: readonly TurnThen[]
    }
  /** it has not had that many turns */
  | { readonly outcome: 'not yet'; readonly sequence: number }
  /** its state is known from this sequence on; null: of none */
  | { readonly outcome: 'not kept'; readonly from: number | null }
  | { readonly outcome: 'not loadable'; readonly sequence: number; readonly why: string }

/** After a turn; after the last turn up to a time, ms; or after two turns, and what changed between. */
export type Wish = { readonly at: number } | { readonly until: number } | { readonly from: number; readonly to: number }

/** Of a turn on the way back from an actor's latest: whether a wish needs it, and whether it needs none that is older. */
export interface Step {
  readonly needed: boolean
  readonly last: boolean
}

/** Turns of an actor, newest first. Those after the wish are not kept, but for what says from where on its state is known: they may be a day's. */
export const wayBack = (wish: Wish): ((turn: JournalTurn) => Step) => {
  // The turn that is asked for is told too; of the earlier of two only what it came to.
  let first = 'at' in wish ? wish.at : 'from' in wish ? wish.from + 1 : null
  const end = 'at' in wish ? wish.at : 'from' in wish ? wish.to : null
  return ({ outcome, sequence, base, nowMs }) => {
    if (outcome !== 't' && outcome !== 'i') return { needed: false, last: false }
    if (first === null && 'until' in wish && nowMs <= wish.until) first = sequence
    const isAfter = end === null ? first === null : sequence > end + 1
    return {
      needed: !isAfter || base !== null || sequence === 1,
      last: sequence === 1 || (first !== null && base !== null && sequence <= first),
    }
  }
}

/**
 * Goes back to a turn of an actor, or to two of them.
 * @param turns  of the actor alone, oldest first, those that `wayBack` needs, as far as they are kept
 * @param sequence  how many turns it has had by now
 */
export const travel = (
  definition: Pick<ServiceDefinition, 'kinds'>,
  turns: readonly JournalTurn[],
  sequence: number,
  wish: Wish,
): Travelled => {
  const [first, last] = 'from' in wish ? [wish.from, wish.to] : Array<number>(2).fill('at' in wish ? wish.at : lastUntil(turns, wish.until))
  if (first === undefined || last === undefined || last > sequence) return { outcome: 'not yet', sequence }
  const replay = new Replay(definition)
  const known = new Map<number, Then>()
  const on: TurnThen[] = []
  for (const turn of turns) {
    if (turn.sequence > last + 1) break
    const replayed = replay.play(turn)
    if (replayed.skipped === 'not loadable' || (replayed.after === null && replayed.skipped === null))
      return { outcome: 'not loadable', sequence: turn.sequence, why: replayed.why ?? replayed.difference?.computed ?? '' }
    const { before, after } = replayed
    if (before && !known.has(before.sequence)) known.set(before.sequence, thenOf(before, null))
    if (turn.sequence === 1) known.set(0, { sequence: 0, state: null, context: null, status: null, turn: null })
    if (!after) continue
    const told = turnOf(replayed)
    known.set(turn.sequence, thenOf(after, told))
    if (turn.sequence > first && turn.sequence <= last) on.push(told)
  }
  const [from, to] = [known.get(first), known.get(last)]
  if (!from || !to) return { outcome: 'not kept', from: firstKnown(turns) }
  if (!('from' in wish)) return { outcome: 'at', actor: to }
  return { outcome: 'diff', from, to, changes: changesOf(from, to), turns: on }
}

const firstKnown = (turns: readonly JournalTurn[]): number | null => {
  const first = turns.find(({ outcome, base, sequence }) => (outcome === 't' || outcome === 'i') && (base !== null || sequence === 1))
  return first ? first.sequence - 1 : null
}

/** How many turns it had had by then; below all that is kept: none that is known. */
const lastUntil = (turns: readonly JournalTurn[], ms: number): number => {
  const taken = turns.filter(({ outcome }) => outcome === 't' || outcome === 'i')
  const last = taken.findLast(({ nowMs }) => nowMs <= ms)
  return last?.sequence ?? (taken[0]?.sequence === 1 ? 0 : -1)
}

const thenOf = ({ state, sequence }: NonNullable<Replayed['after']>, turn: TurnThen | null): Then => ({
  sequence,
  state: state.value,
  context: state.context,
  status: state.status,
  turn,
})

const turnOf = ({ turn, event, outputs, code, difference }: Replayed): TurnThen => ({
  sequence: turn.sequence,
  turn: turn.turn,
  batch: turn.batch,
  at: new Date(turn.nowMs).toISOString(),
  event,
  outcome: turn.outcome === 'i' ? 'no transition' : 'taken',
  outputs,
  code,
  difference,
})

/** What differs between two states, leaf by leaf, in the order of their paths. */
export const changesOf = (before: Pick<Then, 'state' | 'context'>, after: Pick<Then, 'state' | 'context'>): Change[] => [
  ...changes('state', before.state ?? undefined, after.state ?? undefined),
  ...changes('context', before.context ?? undefined, after.context ?? undefined),
]

const changes = (path: string, before: unknown, after: unknown): Change[] => {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (!isTree(before) || !isTree(after) || Array.isArray(before) !== Array.isArray(after))
    return [{ path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }]
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names.flatMap((name) => changes(Array.isArray(after) ? `${path}[${name}]` : `${path}.${name}`, before[name], after[name]))
}

const isTree = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
