import { addressOf } from '#actors/runtime/lane/memory.ts'
import type { Batch } from '#actors/runtime/rows.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import type { Output } from '#actors/runtime/machine/xstate-names.ts'
import type { Machine, MachineState } from '#actors/runtime/machine/xstate.ts'
import { machinesOf, outputHashOf } from '#actors/runtime/machine/machines.ts'
import type { StoredLane } from '../twins/store-lane.ts'
import { Waiting } from './waiting.ts'

interface Played {
  readonly state: MachineState
  readonly sequence: number
}

/**
 * Plays what a lane commits once more through `turn()`, as it is committed (I5): every output hash, every base snapshot and every
 * stored snapshot has to come out as it was written.
 */
export class Replay {
  readonly #definition: ServiceDefinition
  readonly #machines: ReadonlyMap<string, Machine>
  readonly #actors = new Map<string, Played>()
  readonly #waiting = new Waiting()

  constructor(definition: ServiceDefinition) {
    this.#definition = definition
    this.#machines = machinesOf(definition)
  }

  /** The lane stands where it once stood: what was played since is forgotten. */
  goBack(row: StoredLane): void {
    this.#actors.clear()
    this.#waiting.goBack(row)
    for (const { kind, key, body } of row.actors.values()) {
      const machine = this.#machines.get(kind)
      if (machine) this.#actors.set(addressOf({ kind, key }), machine.load(body))
    }
  }

  /**
   * @param parked of the lane
   * @returns what did not come out as it was written, and what should have waited
   */
  play(batch: Batch, parked: StoredLane['parked']): string[] {
    const wrong: string[] = []
    const attached = batch.attached ? (JSON.parse(text(batch.attached)) as unknown[]) : []
    for (const [index, row] of batch.journal.entries()) {
      const turn = { ...row, turn: batch.turn - batch.journal.length + 1 + index }
      const at = `${this.#definition.name} turn ${turn.turn} ${row.kind}/${row.key}`
      if (row.outcome !== 't' && row.outcome !== 'i') {
        wrong.push(...this.#waiting.turned(turn, [], parked).map((what) => `${at}: ${what}`))
        continue
      }
      const machine = this.#machines.get(row.kind)
      if (!machine) {
        wrong.push(`${at}: no such kind`)
        continue
      }
      const address = `${row.kind}\n${row.key}`
      const outputs: Output[] = []
      let before = this.#actors.get(address)
      if (row.base && (!before || !isSame(row.base, machine.store(before.state, before.sequence)))) wrong.push(`${at}: another base`)
      if (!before) {
        const begun = machine.begin(this.#definition.kinds[row.kind]!.input(row.key))
        outputs.push(...begun.outputs)
        before = { state: begun.state, sequence: 0 }
      }
      const { $ago: _ago, ...event } = JSON.parse(text(row.event)) as { $ago?: number; type: string; attached?: { $attached: number } }
      if (event.attached) Object.assign(event, { attached: attached[event.attached.$attached] })
      const turned = machine.turn(before.state, event)
      outputs.push(...turned.outputs)
      if (!isSame(outputHashOf(outputs), row.outputHash)) wrong.push(`${at} ${event.type}: other outputs`)
      wrong.push(...this.#waiting.turned(turn, outputs, parked).map((what) => `${at}: ${what}`))
      if (row.sequence !== before.sequence + 1) wrong.push(`${at}: sequence ${row.sequence} after ${before.sequence}`)
      this.#actors.set(address, { state: turned.state, sequence: row.sequence })
    }
    for (const { kind, key, body } of batch.actors) {
      const played = this.#actors.get(addressOf({ kind, key }))
      const machine = this.#machines.get(kind)
      const again = played && machine ? machine.store(played.state, played.sequence) : NOTHING
      if (!isSame(again, body)) wrong.push(`${this.#definition.name} ${kind}/${key}: stored ${text(body)}, played ${text(again)}`)
    }
    return wrong
  }
}

const NOTHING = new Uint8Array(0)
const isSame = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0
const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
