import type { JournalTurn, Replayed } from '#actors/runtime/replay.ts'
import { Replay } from '#actors/runtime/replay.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import type { LaneReplay } from '#control/cli/replay.ts'

/** Turns between two words of progress. */
const TELL_EVERY = 20_000
const NAMED_MOST = 10

/**
 * Plays a lane's journal through the code at hand, up to the first turn that comes out otherwise than it was written. Memory
 * holds the actors that have not ended.
 */
export const replayLane = async (
  lane: number,
  turns: AsyncIterable<JournalTurn>,
  definition: ServiceDefinition,
  onProgress: (played: number) => void,
): Promise<LaneReplay> => {
  const replay = new Replay(definition, { forgetsEnded: true })
  const begun = performance.now()
  const skipped = { nothing_taken: 0, state_not_known: 0, not_loadable: 0 }
  const unloadable: { turn: number; actor: string; why: string | null }[] = []
  let [from, to, read, played, otherCode]: [number | null, number | null, number, number, number] = [null, null, 0, 0, 0]
  let difference: LaneReplay['difference'] = null
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
  }
  const seconds = (performance.now() - begun) / 1_000
  return {
    lane,
    from,
    to,
    turns: read,
    played,
    other_code: otherCode,
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
