import { z } from 'zod'
import type { Draft } from './draft.ts'
import type { LaneMemory } from './memory.ts'
import { withoutNul } from './parked.ts'
import type { OrderRow, ParkedActor } from '../rows.ts'

const at = (iso: string): number => Date.parse(iso)

/** Which dead letters an order is about: exactly one of these. `turn` names one, together with its `lane`. */
export const WhichLetters = z
  .object({
    lane: z.int().min(0).optional().describe('of this lane only; needed with turn'),
    turn: z.int().min(1).optional().describe('the one that was parked at this turn of the lane'),
    kind: z.string().max(200).optional().describe("the actor's kind; '' with key '' are records that no actor was found for"),
    key: z.string().max(4_000).optional().describe("the actor's key"),
    since: z.iso.datetime({ offset: true }).optional().describe('those held since this time or later'),
    all: z.literal(true).optional().describe('every one'),
  })
  .refine(({ turn, kind, since, all }) => [turn, kind, since, all].filter((one) => one !== undefined).length === 1, {
    error: 'name exactly one of turn, kind and key, since, all',
    path: ['turn'],
  })
  .refine(({ kind, key }) => (kind === undefined) === (key === undefined), { error: 'kind and key go together', path: ['key'] })
  .refine(({ lane, turn }) => turn === undefined || lane !== undefined, { error: 'a turn is one of a lane', path: ['lane'] })

type Which = z.infer<typeof WhichLetters>

/** One batch's share; the answer says how many are left, and the next order takes those. */
const AT_ONCE = 10_000

/**
 * Lets go what holds its actor, or drops it. Letting go is a row that waits for its turn again: the next batches take it and what waited
 * behind it, whoever owns the lane by then.
 * @returns what the lane answers: how many, and how many more it holds that the order means
 */
export const resolveLetters = (draft: Draft, memory: LaneMemory, { id, by, reason, body }: OrderRow): Resolved => {
  const { order, ...rest } = body
  const which = WhichLetters.safeParse(rest)
  if (!which.success) return { outcome: 'refused', detail: z.prettifyError(which.error) }
  const meant = memory.parked.held().filter((actor) => means(which.data, actor))
  if (which.data.turn !== undefined && meant.length === 0)
    return { outcome: 'refused', detail: `turn ${which.data.turn} is not a parked event that holds an actor of this lane` }
  const who = withoutNul(`${by} (order ${id}): ${reason}`)
  const now = meant.slice(0, AT_ONCE)
  const asOf = { turn: memory.turn, at: draft.nowIso }
  let waiting = 0
  for (const actor of now) {
    waiting += actor.open - 1
    if (order === 'replay-dead-letters') {
      draft.letter(actor.turn, { waits: true, ordered: who })
      memory.parked.letGo(actor, actor.turn)
    } else {
      draft.letter(actor.turn, { done: `dropped at ${draft.nowIso} by ${who}` })
      memory.parked.resolved(actor, actor.turn)
    }
  }
  return {
    outcome: 'taken',
    letters: now.length,
    waiting,
    left: meant.length - now.length,
    as_of: asOf,
    actors: now.slice(0, NAMED).map(nameOf),
  }
}

type Resolved = {
  outcome: string
  detail?: string
  letters?: number
  waiting?: number
  left?: number
  /** what is held of this turn or an earlier one, since this time or later, was parked again */
  as_of?: { turn: number; at: string }
  actors?: string[]
}

/** Actors that the answer names. */
const NAMED = 50
const nameOf = ({ kind, key, turn }: ParkedActor): string => (kind === '' ? `record of turn ${turn}` : `${kind}/${key}`)

const means = ({ turn, kind, key, since }: Which, actor: ParkedActor): boolean => {
  if (turn !== undefined) return actor.turn === turn
  if (kind !== undefined) return actor.kind === kind && actor.key === key
  return since === undefined || actor.sinceMs >= at(since)
}
