import { codeHashOf, machinesOf, outputHashOf } from '#actors/runtime/machine/machines.ts'
import type { JournalRow } from '#actors/runtime/rows.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import type { Machine, MachineState } from '#actors/runtime/machine/xstate.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import { bytesOf, journalRow } from './lane.ts'
import type { OwnedLane } from './lane.ts'

/** Turns of one actor, committed one batch each as the runtime would write them, with as much of other actors' between as a test wants. */
export class Recorded {
  readonly #lane: OwnedLane
  readonly #to: Address
  readonly #machine: Machine
  readonly #codeHash: Uint8Array
  readonly #input: unknown
  #held: { state: MachineState; sequence: number; atMs: number } | null = null
  #nowMs: number

  constructor(lane: OwnedLane, { kinds }: ServiceDefinition, to: Address, startMs: number) {
    const machines = machinesOf({ kinds })
    const [kind, machine] = [kinds[to.kind], machines.get(to.kind)]
    if (!kind || !machine) throw new Error(`no kind ${to.kind}`)
    this.#lane = lane
    this.#to = to
    this.#machine = machine
    this.#input = kind.input(to.key)
    this.#codeHash = codeHashOf(machines)
    this.#nowMs = startMs
  }

  /** @param loaded  it has just come back into memory: the entry has its base */
  async turn(event: { type: string }, { loaded = false, afterMs = 1_000 } = {}): Promise<number> {
    this.#nowMs += afterMs
    const begun = this.#held ? null : this.#machine.begin(this.#input)
    const held = this.#held ?? { state: begun!.state, sequence: 0, atMs: this.#nowMs }
    const stamped = { ...event, now: this.#nowMs, id: 'i:1', cause: null }
    const { state, outputs } = this.#machine.turn(held.state, stamped)
    const sequence = held.sequence + 1
    const row: JournalRow = {
      ...this.#to,
      sequence,
      nowMs: this.#nowMs,
      event: bytesOf(JSON.stringify(begun ? stamped : { ...stamped, $ago: this.#nowMs - held.atMs })),
      base: loaded ? this.#machine.store(held.state, held.sequence) : null,
      outcome: 't',
      outputHash: outputHashOf([...(begun?.outputs ?? []), ...outputs]),
    }
    this.#held = { state, sequence, atMs: this.#nowMs }
    const actor = { ...this.#to, sequence, status: state.status, body: this.#machine.store(state, sequence), endedAtMs: null }
    const { turn } = await this.#lane.commitNext({ nowMs: this.#nowMs, actors: [actor], journal: [row], codeHash: this.#codeHash })
    return turn
  }

  /** So many turns of actors that had ended. */
  async others(turns: number): Promise<void> {
    for (let left = turns; left > 0; left -= 500) {
      this.#nowMs += 1
      const journal = Array.from({ length: Math.min(500, left) }, (_, n) => journalRow(`other-${n}`, { outcome: 'd', nowMs: this.#nowMs }))
      await this.#lane.commitNext({ nowMs: this.#nowMs, journal, codeHash: this.#codeHash })
    }
  }
}
