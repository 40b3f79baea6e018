import { Replay } from '#actors/runtime/replay.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { turnsOf } from '../twins/journal.ts'
import type { StoredLane } from '../twins/store-lane.ts'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/**
 * Plays a lane's journal once more through `turn()` (I5): every output hash, every base snapshot and every stored snapshot
 * has to come out as it was written.
 * @returns what did not
 */
export const replay = (lane: StoredLane, definition: ServiceDefinition): string[] => {
  const replayed = new Replay(definition)
  const wrong: string[] = []
  for (const [index, turn] of turnsOf(lane).entries()) {
    const { difference, skipped, why, code, event } = replayed.play(turn)
    const at = `${definition.name} turn ${turn.turn} ${turn.kind}/${turn.key} ${event?.type ?? ''}`
    if (turn.turn !== index + 1) wrong.push(`${at}: number ${index + 1} was due`)
    if (difference) wrong.push(`${at}: recorded ${difference.what} ${difference.recorded}, computed ${difference.computed}`)
    if (skipped !== null && skipped !== 'nothing taken') wrong.push(`${at}: ${skipped}${why === null ? '' : `, ${why}`}`)
    if (code === 'other') wrong.push(`${at}: other code`)
  }
  for (const stored of lane.actors.values()) {
    const played = replayed.actor(stored)
    const machine = replayed.machines.get(stored.kind)
    const body = played && machine ? text(machine.store(played.state, played.sequence)) : null
    if (body !== text(stored.body))
      wrong.push(`${definition.name} ${stored.kind}/${stored.key}: stored ${text(stored.body)}, replayed ${body}`)
  }
  return wrong
}
