import { addressOf } from '#actors/runtime/lane/memory.ts'
import { CLOCK_LIMIT_MS } from '#actors/runtime/ownership.ts'
import type { JournalRow } from '#actors/runtime/rows.ts'
import type { Output } from '#actors/runtime/machine/xstate-names.ts'
import type { StoredLane } from '../twins/store-lane.ts'

interface Armed {
  readonly event: string
  readonly dueMs: number
}

type Turned = Pick<JournalRow, 'kind' | 'key' | 'nowMs' | 'outcome' | 'event'> & { readonly turn: number }

/** What waits in a lane, as its turns say: armed timers, and the events of an actor behind its parked one. */
export class Waiting {
  readonly #timers = new Map<string, Map<string, Armed>>()
  /** timers' events that were parked, and come once more when somebody says so */
  readonly #letters = new Set<string>()

  /** The lane stands where it once stood. */
  goBack({ timers }: StoredLane): void {
    this.#timers.clear()
    for (const { kind, key, timer, dueMs, event } of timers.values()) {
      const { type } = (JSON.parse(Buffer.from(event).toString()) as { event: { type: string } }).event
      this.#of(kind, key).set(timer, { event: type, dueMs })
    }
  }

  /**
   * A turn was committed.
   * @param outputs of what was taken
   * @param parked of its lane
   * @returns what it should not have tried: a timer's event without an armed timer that is due, or one that has to wait
   */
  turned({ kind, key, nowMs, outcome, turn, event: bytes }: Turned, outputs: readonly Output[], parked: StoredLane['parked']): string[] {
    if (kind === '') return []
    const { type: event } = JSON.parse(Buffer.from(bytes).toString()) as { type: string }
    const armed = this.#of(kind, key)
    const letter = `${addressOf({ kind, key })}\n${event}`
    const isTimer = event.startsWith(AFTER) && !this.#letters.delete(letter)
    const wrong = isTimer ? fired(armed, event, nowMs) : []
    if (event.startsWith(AFTER) && (outcome === 'p' || outcome === 'q')) this.#letters.add(letter)
    for (const output of outputs) {
      if (output.does === 'set timer')
        armed.set(output.timer, { event: output.event.type, dueMs: nowMs + Math.max(0, Math.round(output.delayMs)) })
      if (output.does === 'cancel timer') armed.delete(output.timer)
    }
    const isTried = outcome === 't' || outcome === 'i' || (outcome === 'p' && isParkedOfItself(parked, turn))
    if (isTried && !event.startsWith('order.') && isBehind(parked, kind, key, turn))
      wrong.push(`I4 ${event} was tried, and an earlier event of its actor is parked`)
    return wrong
  }

  #of(kind: string, key: string): Map<string, Armed> {
    const address = addressOf({ kind, key })
    const known = this.#timers.get(address) ?? new Map<string, Armed>()
    this.#timers.set(address, known)
    return known
  }
}

/** What XState calls the event of an `after`. */
const AFTER = 'xstate.after.'

const fired = (armed: Map<string, Armed>, event: string, nowMs: number): string[] => {
  const found = [...armed].find(([, timer]) => timer.event === event)
  if (!found) return [`${event} fired, and no such timer is armed`]
  const [name, { dueMs }] = found
  armed.delete(name)
  // A batch that was refused is computed again, and its owner's clock may have been mended since.
  return dueMs <= nowMs + CLOCK_LIMIT_MS ? [] : [`${event} fired ${dueMs - nowMs} ms before it was due`]
}

/** Not what storage had refused: that is parked untried, wherever its actor stands. */
const isParkedOfItself = (parked: StoredLane['parked'], turn: number): boolean =>
  parked.some((row) => row.turn === turn && row.kind !== '' && !row.cause.startsWith('storage refused it'))

const isBehind = (parked: StoredLane['parked'], kind: string, key: string, turn: number): boolean =>
  parked.some((row) => row.done === null && row.kind === kind && row.key === key && row.turn < turn)
