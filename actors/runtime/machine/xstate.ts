import { createHash } from 'node:crypto'
import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate'
import type { Migration, StoredSnapshot } from '#machines/contracts/migration.ts'
import { canonical, mermaid, plain } from './diagram.ts'
import { textOf } from '../faults.ts'
import type { Found, StoredActor } from './snapshots.ts'
import { Lineage, readSnapshot, SnapshotMismatch, writeSnapshot } from './snapshots.ts'
import type { Collected, Output } from './xstate-names.ts'
import { collect, declarations, nodesOf, refuseUnknown, TurnFailed, UnknownAction, vocabulary } from './xstate-names.ts'
import { plansOf } from './xstate-plans.ts'
import type { Scope } from './xstate-scope.ts'
import { createScope, stubs } from './xstate-scope.ts'

/**
 * Runs stock XState 5 machines as pure data. The `xstate*.ts` files alone know XState's internals; each of them is pinned by
 * `test/actors/runtime/machine/xstate.unit.test.ts`, and the version of XState is exact.
 *
 * X1. A turn depends on its snapshot and event alone: no clock, no actor is ever started, no custom action is called.
 * X2. `machine.transition` runs with one reused scope whose executor only collects. (The exported `transition()` builds
 *     a whole actor at every call: 7 to 10 us against 3.)
 *     Most turns do not even need that: their plan is known (xstate-plans.ts).
 * X3. What an action means is declared on it (`unrip`); an action, guard, delay or actor that is neither declared nor
 *     built in is refused when the machine is loaded, never skipped in a turn.
 */
export interface Machine {
  readonly id: string
  readonly version: number
  /** 16 hex digits over the machine's structure: states, transitions, names. Not the bodies of guards and assigns. */
  readonly hash: string
  /** Event types as the machine writes them, wildcards included, without XState's own. */
  readonly events: ReadonlySet<string>
  /** True for what the machine writes or a wildcard covers, and for its own timers and reads; any other `xstate.` is refused. */
  knows(type: string): boolean
  /** @throws {TurnFailed} the context factory, an entry action's params or an `always` guard threw */
  begin(input: unknown): Turn
  /** @throws {TurnFailed} a guard, an assign or an action's params threw: the state is as before  @throws {ActorEnded} */
  turn(state: MachineState, event: { readonly type: string }): Turn & { readonly changed: boolean }
  /** JSON `{v, h, s, value, c, hist?}`. @throws {TurnFailed} the context is not JSON (a bigint, a cycle) */
  store(state: MachineState, sequence: number): Uint8Array
  /**
   * A snapshot of this version, or of an older one that the migrations lead up from. `isOld`: so may be its timers and effects.
   * @throws {SnapshotMismatch} of any other version or structure, or in a state that this machine does not have
   */
  load(bytes: Uint8Array): Loaded
  /** All that is stored of an actor, as this version would have stored it. @throws {SnapshotMismatch} */
  upgrade(bytes: Uint8Array, stored: Pick<StoredActor, 'timers' | 'effects'>): StoredActor & Pick<Loaded, 'state' | 'sequence'>
  /** This version and the older ones that it can be brought up from and taken down to. */
  readonly lineage: Lineage
  /** The definition as JSON; Stately opens it. */
  readonly config: unknown
  mermaid(): string
}

export interface MachineState {
  readonly value: unknown
  readonly context: unknown
  readonly status: 'active' | 'done'
  /** XState's own, in memory only */
  readonly snapshot: unknown
}

export interface Turn {
  readonly state: MachineState
  /** in the order in which the machine asked */
  readonly outputs: readonly Output[]
}

/** An event for an actor whose machine has reached its final state. */
export class ActorEnded extends Error {
  readonly code = 'actor_ended'
}

interface Loaded {
  readonly state: MachineState
  readonly sequence: number
  readonly isOld: boolean
}

/**
 * @param migrations from older versions, see `Migration`
 * @throws {UnknownAction} naming everything that is not declared  @throws {Error} migrations that do not lead to this version
 */
export const runnable = (machine: AnyStateMachine, version: number, migrations: readonly Migration[] = []): Machine => {
  refuseUnknown(machine)
  const own = machine.provide({ actors: stubs(machine) } as never)
  // An `always` loop would hang the process; XState's default is Infinity.
  own.options.maxIterations = 1_000
  const nodes = nodesOf(own)
  const invokes = new Map(nodes.flatMap((node) => node.invoke.map((invoke) => [String(invoke.id), String(invoke.src)])))
  const { knows, events } = vocabulary(nodes, invokes)
  const config = plain(machine.config)
  const hash = createHash('sha256')
    .update(canonical({ config, declared: declarations(machine) }))
    .digest('hex')
    .slice(0, 16)

  let outputs: Output[] = []
  const ask = (action: Collected): void => collect(outputs, action, own.id)
  const scope = createScope(ask)
  const plans = plansOf(own, scope)
  /** P2: what cannot be planned, or throws, is XState's. */
  const planned = (step: () => AnyMachineSnapshot | null): AnyMachineSnapshot | null => {
    outputs = []
    try {
      return step()
    } catch {
      return null
    }
  }

  const run = (what: string, step: () => AnyMachineSnapshot): { snapshot: AnyMachineSnapshot; outputs: Output[] } => {
    outputs = []
    let snapshot: AnyMachineSnapshot
    try {
      snapshot = step()
    } catch (cause) {
      if (cause instanceof UnknownAction || cause instanceof TurnFailed) throw cause
      throw new TurnFailed(`${own.id}: ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
    if (snapshot.status === 'error') {
      const cause: unknown = snapshot.error
      if (cause instanceof UnknownAction) throw cause
      throw new TurnFailed(`${own.id}: ${what}: ${cause instanceof Error ? cause.message : JSON.stringify(cause)}`, { cause })
    }
    // `spawn` inside an assign returns no action; the new child is all that shows it.
    for (const id in snapshot.children) if (!invokes.has(id)) throw new UnknownAction(`${own.id}: spawned '${id}'; only invoke is run`)
    return { snapshot, outputs }
  }

  const lineage = new Lineage(own.id, { version, hash }, migrations)
  const brought = (bytes: Uint8Array, { timers, effects }: Pick<StoredActor, 'timers' | 'effects'>) => {
    const { sequence, version: v, hash: h, ...snapshot } = readSnapshot(bytes)
    const found = { version: v, hash: h }
    const isOld = v !== version || h !== hash
    const actor = { snapshot, timers, effects }
    return { found, sequence, isOld, actor: isOld ? lineage.up(found, actor) : actor }
  }
  const resolved = (snapshot: StoredSnapshot, { version: v, hash: h }: Found): MachineState => {
    try {
      return stateOf(revive(own, scope, snapshot))
    } catch (cause) {
      const message = `${own.id}: no state ${JSON.stringify(snapshot.value)} in version ${version} (stored by ${v}, ${h}): ${textOf(cause)}`
      throw new SnapshotMismatch(message, { version: v, hash: h }, { cause })
    }
  }

  return {
    id: own.id,
    version,
    hash,
    events,
    knows,
    config,
    mermaid: () => mermaid(config),
    begin: (input) => {
      const quick = planned(() => plans.begin(input, ask))
      const begun = quick ? { snapshot: quick, outputs } : run('begin', () => own.getInitialSnapshot(scope as never, input as never))
      return { state: stateOf(begun.snapshot), outputs: begun.outputs }
    },
    turn: (state, event) => {
      // XState moves a done machine all the same.
      if (state.status === 'done') throw new ActorEnded(`${own.id}: ended, refuses ${event.type}`)
      const before = state.snapshot as AnyMachineSnapshot
      const quick = planned(() => plans.transition(before, event, ask))
      const after = quick ? { snapshot: quick, outputs } : run(event.type, () => own.transition(before, event, scope as never))
      const unchanged = after.snapshot === before
      return {
        state: unchanged ? state : stateOf(after.snapshot),
        outputs: after.outputs,
        changed: !unchanged || after.outputs.length > 0,
      }
    },
    store: (state, sequence) => {
      try {
        return writeSnapshot({ version, hash, sequence, value: state.value, context: state.context, ...historyOf(state) })
      } catch (cause) {
        throw new TurnFailed(`${own.id}: context is not JSON`, { cause })
      }
    },
    load: (bytes) => {
      const { found, sequence, actor, isOld } = brought(bytes, { timers: [], effects: [] })
      return { state: resolved(actor.snapshot, found), sequence, isOld }
    },
    upgrade: (bytes, stored) => {
      const { found, sequence, actor } = brought(bytes, stored)
      const unknown = actor.timers.find(({ event }) => !knows(event.type))
      if (unknown) throw new SnapshotMismatch(`${own.id}: no event ${unknown.event.type} for timer ${unknown.timer}`, found)
      return { ...actor, state: resolved(actor.snapshot, found), sequence }
    },
    lineage,
  }
}

const historyOf = ({ snapshot }: MachineState): Pick<StoredSnapshot, 'history'> => {
  const remembered = Object.entries((snapshot as { historyValue: Record<string, { id: string }[]> }).historyValue)
  if (remembered.length === 0) return {}
  return { history: Object.fromEntries(remembered.map(([id, list]) => [id, list.map((node) => node.id)])) }
}

const stateOf = (snapshot: AnyMachineSnapshot): MachineState => ({
  value: snapshot.value,
  context: snapshot.context,
  status: snapshot.status === 'done' ? 'done' : 'active',
  snapshot,
})

/**
 * `resolveState` costs 0.6 us at any size of context; only history needs `restoreSnapshot`, which walks the context.
 * Reads under way become bare markers, so that leaving their state still says which read to stop.
 */
const revive = (machine: AnyStateMachine, scope: Scope, { value, context, history }: StoredSnapshot): AnyMachineSnapshot => {
  const resolved = machine.resolveState({ value: value as never, context: context as never })
  const snapshot = history
    ? machine.restoreSnapshot(persisted(resolved.status, value, context, history) as never, scope as never)
    : resolved
  for (const node of snapshot._nodes) {
    for (const { id } of node.invoke) Object.assign(snapshot.children, { [String(id)]: { id: String(id) } })
  }
  return snapshot
}

const persisted = (status: string, value: unknown, context: unknown, history: NonNullable<StoredSnapshot['history']>): object => ({
  status,
  value,
  context,
  children: {},
  historyValue: Object.fromEntries(Object.entries(history).map(([id, ids]) => [id, ids.map((each) => ({ id: each }))])),
})
