import { addressOf } from '#actors/runtime/lane/memory.ts'
import type { JournalTurn, Replayed } from '#actors/runtime/stored/replay.ts'
import { Replay } from '#actors/runtime/stored/replay.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import type { LaneReplay } from '#control/cli/replay.ts'

/** Turns between two words of progress. */
const TELL_EVERY = 20_000
const NAMED_MOST = 10
/** Actors whose stored state is asked for at a time. */
const COMPARED_AT_ONCE = 500

interface Actor {
  readonly kind: string
  readonly key: string
}

interface Journal {
  readonly turns: AsyncIterable<JournalTurn>
  /** what is stored of these actors, of those that are */
  readonly stored: (actors: readonly Actor[]) => Promise<readonly (Actor & { readonly body: Uint8Array; readonly updatedAtMs: number })[]>
}

/**
 * Plays a lane's journal through the code at hand, up to the first turn that comes out otherwise than it was written, and compares
 * what each actor came to with what is stored of it. Memory holds the actors that have not ended.
 */
export const replayLane = async (
  lane: number,
  { turns, stored }: Journal,
  definition: ServiceDefinition,
  onProgress: (played: number) => void,
): Promise<LaneReplay> => {
  const replay = new Replay(definition, { forgetsEnded: true })
  const begun = performance.now()
  const skipped = { nothing_taken: 0, state_not_known: 0, not_loadable: 0 }
  const unloadable: { turn: number; actor: string; why: string | null }[] = []
  let [from, to, read, played, otherCode]: [number | null, number | null, number, number, number] = [null, null, 0, 0, 0]
  let [difference, compared]: [LaneReplay['difference'], number] = [null, 0]
  /** actor → its last turn: those that live on, and those that have ended since the last look at the store */
  const [living, ended] = [new Map<string, Replayed>(), new Map<string, Replayed>()]
  const compare = async (last: ReadonlyMap<string, Replayed>): Promise<void> => {
    const found: LaneReplay['difference'][] = []
    for (const row of await stored([...last.values()].map(({ turn: { kind, key } }) => ({ kind, key })))) {
      const replayed = last.get(addressOf(row))
      // Its turns since are not in what was played; nor is another life of one that was swept and has begun anew.
      if (!replayed?.after || row.updatedAtMs !== replayed.turn.nowMs) continue
      const against = replay.against(row, replayed.after)
      if (against === undefined) continue
      compared++
      found.push(differenceOf({ ...replayed, difference: against }))
    }
    difference ??= found.filter((one) => one !== null).toSorted((a, b) => a.turn - b.turn)[0] ?? null
  }
  for await (const turn of turns) {
    from ??= turn.turn
    to = turn.turn
    if (++read % TELL_EVERY === 0) onProgress(read)
    const replayed = replay.play(turn)
    if (replayed.skipped !== null) skipped[COUNTED[replayed.skipped]]++
    else {
      played++
      if (replayed.code === 'other') otherCode++
    }
    if (replayed.skipped === 'not loadable' && unloadable.length < NAMED_MOST)
      unloadable.push({ turn: turn.turn, actor: `${turn.kind}/${turn.key}`, why: replayed.why })
    difference = differenceOf(replayed)
    if (difference) break
    const address = addressOf(turn)
    if (replayed.after?.state.status === 'done') {
      living.delete(address)
      ended.set(address, replayed)
    } else if (replayed.skipped === null) living.set(address, replayed)
    if (ended.size < COMPARED_AT_ONCE) continue
    await compare(ended)
    if (difference) break
    ended.clear()
  }
  const rest = [...ended, ...living]
  for (let at = 0; at < rest.length && !difference; at += COMPARED_AT_ONCE) await compare(new Map(rest.slice(at, at + COMPARED_AT_ONCE)))
  const seconds = (performance.now() - begun) / 1_000
  return {
    lane,
    from,
    to,
    turns: read,
    played,
    other_code: otherCode,
    compared,
    skipped,
    not_loadable: unloadable,
    seconds: Math.round(seconds * 1_000) / 1_000,
    turns_per_second: Math.round(read / Math.max(seconds, 0.001)),
    difference,
  }
}

const COUNTED = { 'nothing taken': 'nothing_taken', 'state not known': 'state_not_known', 'not loadable': 'not_loadable' } as const

const differenceOf = ({ turn, event, outputs, code, difference }: Replayed): LaneReplay['difference'] => {
  if (!difference) return null
  const { turn: number, batch, kind, key, sequence, nowMs } = turn
  return { turn: number, batch, actor: `${kind}/${key}`, sequence, at: new Date(nowMs).toISOString(), event, code, ...difference, outputs }
}
