import { hash } from 'node:crypto'
import type { AnyStateMachine } from 'xstate'
import type { Structures } from '../store-port.ts'
import type { ActorKind, ServiceDefinition } from '../service.ts'
import type { Found } from './snapshots.ts'
import { runnable } from './xstate.ts'
import type { Output } from './xstate-names.ts'
import type { Machine } from './xstate.ts'

/** The machines of a service by kind of actor, ready to run. @throws {UnknownAction | Error} as of `runnable` */
export const machinesOf = ({ kinds }: Pick<ServiceDefinition, 'kinds'>): ReadonlyMap<string, Machine> =>
  new Map(Object.entries(kinds).map(([kind, { machine, version, migrations }]) => [kind, loaded({ machine, version, migrations })]))

/** Loading one costs as much as hundreds of turns, and it learns from each: whoever runs it in this process runs the same. */
const loaded = ({ machine, version, migrations }: Omit<ActorKind, 'input' | 'afterEnd'>): Machine => {
  const known = LOADED.get(machine)
  if (known && known.version === version && known.migrations === migrations) return known.runs
  const runs = runnable(machine, version, migrations)
  LOADED.set(machine, { version, migrations, runs })
  return runs
}
const LOADED = new WeakMap<AnyStateMachine, Pick<ActorKind, 'version' | 'migrations'> & { readonly runs: Machine }>()

/** Versions and structures of all machines of a service: what a batch was computed with. */
export const codeHashOf = (machines: ReadonlyMap<string, Machine>): Uint8Array =>
  hash('sha256', JSON.stringify([...machines].map(([kind, { version, hash: structure }]) => [kind, version, structure])), 'buffer')

/** A machine as lanes and processes name it: `<kind> <version> <structure hash>`. */
export const structureOf = (kind: string, { version, hash: structure }: Found): string => `${kind} ${version} ${structure}`

export const structuresOf = (machines: ReadonlyMap<string, Machine>): Structures => ({
  runs: [...machines].map(([kind, machine]) => structureOf(kind, machine)),
  loads: [...machines].flatMap(([kind, { lineage }]) => lineage.loads.map((found) => structureOf(kind, found))),
})

const NOTHING = new Uint8Array(0)

/** What a turn asked for, in 8 bytes: enough to see that something else came out. Empty where it asked for nothing. */
export const outputHashOf = (outputs: readonly Output[]): Uint8Array =>
  outputs.length === 0 ? NOTHING : hashOfText(JSON.stringify(outputs))

/** By way of hex: a hash as a Buffer is memory of its own outside the heap, and takes twice as long. */
export const hashOfText = (text: string): Uint8Array => Buffer.from(hash('sha256', text, 'hex').slice(0, 16), 'hex')
