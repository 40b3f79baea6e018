import type { Address } from '#machines/contracts/stamp.ts'
import { textOf } from '../faults.ts'
import { fromBytes, textOfBytes } from '../json.ts'
import { codeHashOf, machinesOf, outputHashOf } from '../machine/machines.ts'
import { addressOf } from '../lane/memory.ts'
import type { PlainEvent } from '../lane/mailbox.ts'
import type { JournalRow } from '../rows.ts'
import type { ActorKind, ServiceDefinition } from '../service.ts'
import type { Output } from '../machine/xstate-names.ts'
import type { Machine, MachineState } from '../machine/xstate.ts'

/** One turn out of a lane's journal, with what its batch shared. */
export interface JournalTurn extends JournalRow {
  readonly turn: number
  readonly batch: number
  /** of the batch: what `attached` in events refers to by index */
  readonly attached: readonly unknown[]
  /** of the batch: versions and structures of the machines that computed it */
  readonly codeHash: Uint8Array
}

/** An actor after a turn. */
export interface Played {
  readonly state: MachineState
  readonly sequence: number
}

/** What came out otherwise than it was written. */
export interface Difference {
  readonly what: 'outputs' | 'base' | 'sequence' | 'machine' | 'state'
  readonly recorded: string
  readonly computed: string
}

export interface Replayed {
  readonly turn: JournalTurn
  /** as its machine got it; null: a parked record that is no event */
  readonly event: PlainEvent | null
  /** null: not known, or nobody has addressed it yet */
  readonly before: Played | null
  readonly after: Played | null
  readonly outputs: readonly Output[]
  /** whether the code at hand computed it */
  readonly code: 'same' | 'other'
  readonly difference: Difference | null
  /** why it was not played: no fault of the journal's */
  readonly skipped: 'nothing taken' | 'state not known' | 'not loadable' | null
  /** of `not loadable`: what the machine says of the snapshot */
  readonly why: string | null
}

/**
 * Plays turns of a journal once more through the code at hand, in order (I5). An actor's state comes from its base (its
 * first entry of a day or after it was loaded), from its turns before, or, at sequence 1, from the machine's beginning.
 */
export class Replay {
  readonly machines: ReadonlyMap<string, Machine>
  readonly #kinds: Readonly<Record<string, ActorKind>>
  readonly #code: string
  readonly #actors = new Map<string, Played>()
  readonly #forgetsEnded: boolean

  /** @param of.forgetsEnded  an actor is not held beyond its end, for journals of millions */
  constructor(definition: Pick<ServiceDefinition, 'kinds'>, { forgetsEnded = false } = {}) {
    this.#forgetsEnded = forgetsEnded
    this.#kinds = definition.kinds
    this.machines = machinesOf(definition)
    this.#code = hex(codeHashOf(this.machines))
  }

  /** As of the last turn played; null: not known. */
  actor(address: Address): Played | null {
    return this.#actors.get(addressOf(address)) ?? null
  }

  play(turn: JournalTurn): Replayed {
    const { outcome, kind, sequence } = turn
    const address = addressOf(turn)
    const held = this.#actors.get(address) ?? null
    const told = {
      turn,
      code: hex(turn.codeHash) === this.#code ? 'same' : 'other',
      before: held,
      after: held,
      outputs: [],
      why: null,
    } as const
    if (outcome !== 't' && outcome !== 'i') return { ...told, event: eventIfAny(turn), difference: null, skipped: 'nothing taken' }
    const machine = this.machines.get(kind)
    const event: PlainEvent = machine?.lineage.event(eventOf(turn), held?.state ?? null) ?? eventOf(turn)
    const failed = (why: string): Replayed => {
      this.#actors.delete(address)
      return { ...told, event, after: null, difference: { what: 'machine', recorded: 'taken', computed: why }, skipped: null }
    }
    if (!machine) return failed(`no machine of kind ${kind}`)

    let start: Started | null
    try {
      start = this.#startOf(turn, machine, held)
    } catch (error) {
      this.#actors.delete(address)
      return { ...told, event, after: null, difference: null, skipped: 'not loadable', why: textOf(error) }
    }
    if (!start) return { ...told, event, after: null, difference: null, skipped: 'state not known' }
    try {
      if (!machine.knows(event.type)) return failed(`${kind} knows no event ${event.type}`)
      const turned = machine.turn(start.before.state, event)
      const outputs = [...start.outputs, ...turned.outputs]
      const after = { state: turned.state, sequence }
      if (this.#forgetsEnded && after.state.status === 'done') this.#actors.delete(address)
      else this.#actors.set(address, after)
      const difference =
        start.difference ??
        unlike('sequence', String(sequence), String(start.before.sequence + 1)) ??
        unlike('outputs', hex(turn.outputHash).slice(0, OUTPUT_HASH_DIGITS), hex(outputHashOf(outputs)))
      return { ...told, event, before: start.before, after, outputs, difference, skipped: null }
    } catch (error) {
      return failed(textOf(error))
    }
  }

  /**
   * What its turns came to against what is stored of it: a state that asked for nothing yet shows nowhere else.
   * @returns undefined: nothing to compare, for it has had other turns since, or the code at hand does not load it
   */
  against({ kind, body }: { kind: string; body: Uint8Array }, played: Played): Difference | null | undefined {
    const machine = this.machines.get(kind)
    try {
      const stored = machine?.load(body)
      if (!machine || stored?.sequence !== played.sequence) return undefined
      return unlikeSnapshots('state', machine, stored, played)
    } catch {
      return undefined
    }
  }

  /** Null: nothing tells what it was before this turn. @throws what the machine throws that cannot load the base */
  #startOf({ base, sequence, kind, key }: JournalTurn, machine: Machine, held: Played | null): Started | null {
    if (base) {
      const { state, sequence: before } = machine.load(base)
      const stored = { state, sequence: before }
      return { before: stored, outputs: [], difference: held && unlikeSnapshots('base', machine, stored, held) }
    }
    // One that ended and was swept begins anew.
    if (sequence !== 1 || (held && held.state.status !== 'done')) return held && { before: held, outputs: [], difference: null }
    const { state, outputs } = machine.begin(this.#kinds[kind]?.input(key))
    return { before: { state, sequence: 0 }, outputs, difference: null }
  }
}

interface Started {
  readonly before: Played
  /** of the beginning itself */
  readonly outputs: readonly Output[]
  readonly difference: Difference | null
}

/** Journals of earlier releases hold more of each hash. */
const OUTPUT_HASH_DIGITS = 16

const unlike = (what: Difference['what'], recorded: string, computed: string): Difference | null =>
  recorded === computed ? null : { what, recorded, computed }

const unlikeSnapshots = (what: Difference['what'], machine: Machine, recorded: Played, computed: Played): Difference | null => {
  const text = ({ state, sequence }: Played): string => textOfBytes(machine.store(state, sequence))
  return unlike(what, text(recorded), text(computed))
}

/** As the machine got it: what it referred to in its batch is in it again. */
const eventOf = ({ event, attached }: JournalTurn): PlainEvent => {
  const { $ago: _, ...read } = fromBytes(event) as PlainEvent
  const refers = read['attached'] as { $attached?: number } | undefined
  return refers?.$attached === undefined ? read : { ...read, attached: attached[refers.$attached] }
}

/** What was parked may be a record that nobody could read. */
const eventIfAny = (turn: JournalTurn): PlainEvent | null => {
  try {
    return eventOf(turn)
  } catch {
    return null
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
