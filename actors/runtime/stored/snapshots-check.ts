import type { StoredEffect, StoredEvent, StoredSnapshot } from '#machines/contracts/migration.ts'
import { textOf } from '../faults.ts'
import { fromBytes } from '../json.ts'
import { machinesOf, structureOf, structuresOf } from '../machine/machines.ts'
import type { ActorRow, EffectRow, ParkedRow, TimerRow } from '../rows.ts'
import type { ServiceDefinition } from '../service.ts'
import type { Found, StoredActor } from '../machine/snapshots.ts'
import { readSnapshot, SnapshotMismatch } from '../machine/snapshots.ts'
import { storedEffect, storedTimer } from '../lane/snapshots-up.ts'
import type { Machine } from '../machine/xstate.ts'

/** Everything that is stored of one actor and goes on. */
export interface StoredRows {
  readonly kind: string
  readonly key: string
  /** null: nothing but a parked event, or a timer, is left of it */
  readonly actor: ActorRow | null
  readonly timers: readonly TimerRow[]
  /** pending and uncertain */
  readonly effects: readonly EffectRow[]
  /** not resolved, in the order of their turns */
  readonly parked: readonly (ParkedRow & { readonly day: string })[]
}

/** Something stored that the code at hand could not go on with. */
export interface Finding {
  /** `mark`: what a lane may hold. No host takes it that cannot load that, though nothing of it is left */
  readonly what: 'snapshot' | 'timer' | 'effect' | 'parked event' | 'mark'
  readonly kind: string
  readonly key: string
  /** the timer's name, the effect's id, the parked turn; '' for a snapshot */
  readonly name: string
  /** what the actor's snapshot was written by; version 0 where there is none or it cannot be read */
  readonly version: number
  readonly hash: string
  readonly reason: string
}

/** Dry-runs what is stored through the machines, migrations and effects of a service. Nothing is connected or changed. */
export class SnapshotCheck {
  readonly #definition: Pick<ServiceDefinition, 'kinds' | 'effects'>
  readonly #machines: ReadonlyMap<string, Machine>
  /** `<kind> <version> <structure hash>` → actors */
  readonly structures = new Map<string, number>()
  readonly #loads: ReadonlySet<string>
  readonly counts = { actors: 0, timers: 0, effects: 0, parked: 0 }

  constructor(definition: Pick<ServiceDefinition, 'kinds' | 'effects'>) {
    this.#definition = definition
    this.#machines = machinesOf(definition)
    this.#loads = new Set(structuresOf(this.#machines).loads)
  }

  look(rows: StoredRows): Finding[] {
    const { kind, key, actor } = rows
    this.counts.actors += actor ? 1 : 0
    this.counts.timers += rows.timers.length
    this.counts.effects += rows.effects.length
    this.counts.parked += rows.parked.length
    const found = actor ? foundIn(actor) : NOTHING
    if (actor) {
      const structure = structureOf(kind, found)
      this.structures.set(structure, (this.structures.get(structure) ?? 0) + 1)
    }
    const machine = this.#machines.get(kind)
    const problems = machine ? this.#problems(machine, rows) : [of('snapshot', '', `no machine of kind ${kind}`)]
    return problems.map((problem) => ({ ...problem, kind, key, version: found.version, hash: found.hash }))
  }

  /** A lane's mark, once all that is stored was looked at: what is stored of it has been named there. */
  mark(structure: string): Finding[] {
    if (this.structures.has(structure) || this.#loads.has(structure)) return []
    const [kind = '', version, hash = ''] = structure.split(' ')
    const reason =
      'nothing of it is left, but no host that cannot load it takes the lane: unrip snapshots down, from a release that still loads it, to the version that one runs'
    return [{ ...of('mark', '', reason), kind, key: '', version: Number(version), hash }]
  }

  #problems(machine: Machine, rows: StoredRows): Problem[] {
    const parkedAs = (state: StoredSnapshot | null): Problem[] => rows.parked.flatMap((row) => parkedProblem(machine, row, state))
    let snapshot: StoredSnapshot | null = null
    let effects: readonly StoredEffect[] = rows.effects.map(storedEffect)
    if (rows.actor) {
      try {
        machine.load(rows.actor.body)
      } catch (error) {
        return [of('snapshot', '', textOf(error)), ...parkedAs(null)]
      }
      try {
        const timers = rows.timers.map(storedTimer)
        const up: StoredActor = machine.upgrade(rows.actor.body, { timers, effects })
        effects = up.effects
        snapshot = up.snapshot
      } catch (error) {
        return [of('timer', rows.timers.map(({ timer }) => timer).join(' '), textOf(error)), ...parkedAs(null)]
      }
    }
    return [...rows.effects.flatMap((row, index) => this.#effectProblem(machine, row, effects[index]!)), ...parkedAs(snapshot)]
  }

  #effectProblem(machine: Machine, row: EffectRow, { name, invoke }: StoredEffect): Problem[] {
    const handler = this.#definition.effects[name]
    if (!handler) return [of('effect', row.effect, `the service has no effect ${name}`)]
    if (handler.mode !== row.mode)
      return [of('effect', row.effect, `${name} is ${row.mode} in the ledger, and ${handler.mode} in the code at hand`)]
    const unheard = endsOf(name, row.mode, invoke).filter((type) => !machine.knows(type))
    return unheard.length === 0 ? [] : [of('effect', row.effect, `the machine takes no ${unheard.join(', ')}`)]
  }
}

type Problem = Pick<Finding, 'what' | 'name' | 'reason'>
const of = (what: Finding['what'], name: string, reason: string): Problem => ({ what, name, reason })

const NOTHING: Found = { version: 0, hash: '' }

const foundIn = ({ body }: ActorRow): Found => {
  try {
    return readSnapshot(body)
  } catch (error) {
    if (error instanceof SnapshotMismatch) return error.found
    throw error
  }
}

const endsOf = (name: string, mode: EffectRow['mode'], invoke: string | undefined): string[] => {
  if (invoke !== undefined) return [`xstate.done.actor.${invoke}`, `xstate.error.actor.${invoke}`]
  const ends = mode === 'ask first' ? ['happened', 'never', 'not_sent', 'uncertain', 'answered'] : ['done', 'failed']
  return ends.map((end) => `${name}.${end}`)
}

/** What was parked because nobody knew it is no worse than it was. */
const parkedProblem = (machine: Machine, { turn, event, cause }: ParkedRow, snapshot: StoredSnapshot | null): Problem[] => {
  if (cause.includes('knows no event')) return []
  try {
    const { type } = machine.lineage.event(fromBytes(event) as StoredEvent, snapshot)
    return machine.knows(type) ? [] : [of('parked event', String(turn), `the machine knows no event ${type}`)]
  } catch (error) {
    return [of('parked event', String(turn), textOf(error))]
  }
}
