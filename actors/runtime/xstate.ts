import { createHash } from 'node:crypto'
import type { AnyMachineSnapshot, AnyStateMachine, AnyStateNode } from 'xstate'
import type { Declaration, EffectMode, Outgoing } from '#machines/contracts/actions.ts'
import type { Migration, StoredSnapshot } from '#machines/contracts/migration.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { canonical, mermaid, plain } from './diagram.ts'
import { textOf } from './faults.ts'
import type { Found, StoredActor } from './snapshots.ts'
import { Lineage, readSnapshot, SnapshotMismatch, writeSnapshot } from './snapshots.ts'
import { plansOf } from './xstate-plans.ts'
import type { Asked } from './xstate-plans.ts'

/**
 * Runs stock XState 5 machines as pure data. With xstate-plans.ts the only file that knows XState's internals; each of them is pinned by
 * `test/actors/runtime/xstate.unit.test.ts`, and the version of XState is exact.
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

export type Output =
  | { readonly does: 'effect'; readonly name: string; readonly mode: EffectMode; readonly params: unknown }
  /** from `invoke`; ends as `xstate.done.actor.<invoke> {output}` or `xstate.error.actor.<invoke> {error}` */
  | { readonly does: 'read'; readonly name: string; readonly invoke: string; readonly input: unknown }
  | { readonly does: 'stop read'; readonly invoke: string }
  | { readonly does: 'message'; readonly topic: TopicName; readonly params: Outgoing<unknown> }
  | { readonly does: 'tell'; readonly to: Address; readonly event: { readonly type: string } }
  /** replaces a timer of the same name */
  | { readonly does: 'set timer'; readonly timer: string; readonly delayMs: number; readonly event: { readonly type: string } }
  | { readonly does: 'cancel timer'; readonly timer: string }

/** A machine names something that nobody declared: the host must not run it. */
export class UnknownAction extends Error {
  readonly code = 'unknown_action'
}

/** The turn threw and is undone; `cause` is what was thrown. */
export class TurnFailed extends Error {
  readonly code = 'turn_failed'
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

// --- actions ---------------------------------------------------------------------------------------------------------

interface Collected extends Asked {
  readonly exec: { readonly unrip?: Declaration } | undefined
}

const collect = (outputs: Output[], { type, params, exec }: Collected, machine: string): void => {
  const declared = exec?.unrip
  if (declared) {
    if (declared.does === 'effect') outputs.push({ does: 'effect', name: type, mode: declared.mode, params })
    else if (declared.does === 'message') outputs.push({ does: 'message', topic: declared.topic, params: params as Outgoing<unknown> })
    else outputs.push({ does: 'tell', ...(params as { to: Address; event: { type: string } }) })
    return
  }
  switch (type) {
    case 'xstate.raise': {
      const { event, id, delay } = params as { event: { type: string }; id: string | undefined; delay: number | undefined }
      if (typeof delay === 'number' && Number.isFinite(delay) && delay >= 0)
        outputs.push({ does: 'set timer', timer: id ?? event.type, delayMs: delay, event })
      // Without a delay it has already been taken in this turn. An `after` whose delay is no number would be taken at once.
      else if (delay !== undefined || id?.startsWith('xstate.after.')) throw new TurnFailed(`${machine}: no delay for ${id ?? event.type}`)
      return
    }
    case 'xstate.cancel':
      outputs.push({ does: 'cancel timer', timer: (params as { sendId: string }).sendId })
      return
    case 'xstate.spawnChild': {
      const { actorRef, src, input } = params as { actorRef: { id: string }; src: string; input: unknown }
      outputs.push({ does: 'read', name: src, invoke: actorRef.id, input })
      return
    }
    case 'xstate.stopChild':
      // Undefined: the read had ended and its child is gone.
      if (params) outputs.push({ does: 'stop read', invoke: (params as { id: string }).id })
      return
    default:
      throw new UnknownAction(`${machine}: action '${type}' is not declared`)
  }
}

const RUN = new Set(['xstate.assign', 'xstate.raise', 'xstate.cancel', 'xstate.enqueueActions'])

/** What can be seen before any turn; actions enqueued by name are seen in theirs. */
const refuseUnknown = (machine: AnyStateMachine): void => {
  const { actions, guards, delays, actors } = machine.implementations as unknown as Record<string, Record<string, unknown>>
  const refused = new Set<string>()
  const check = (what: string, among: Record<string, unknown> | undefined, name: unknown): void => {
    if (typeof name === 'string' && !(among && Object.hasOwn(among, name))) refused.add(`${what} '${name}'`)
  }
  const checkAction = (action: unknown): void => {
    const name = nameOf(action)
    const found = (typeof action === 'function' ? action : actions?.[name]) as
      | { unrip?: Declaration; type?: string; resolve?: unknown }
      | undefined
    const known = found && (found.unrip || ('resolve' in found && RUN.has(String(found.type))))
    if (!known) refused.add(`action '${found && 'resolve' in found ? found.type : name}'`)
    check('delay', delays, (found as { delay?: unknown } | undefined)?.delay)
  }
  for (const node of nodesOf(machine)) {
    const transitions = [...[...node.transitions.values()].flat(), ...(node.always ?? [])] as unknown as {
      actions: unknown[]
      guard?: unknown
    }[]
    for (const transition of transitions) {
      transition.actions.forEach(checkAction)
      if (transition.guard !== undefined && typeof transition.guard !== 'function') check('guard', guards, nameOf(transition.guard))
    }
    for (const action of [...node.entry, ...node.exit] as unknown[]) checkAction(action)
    if (node.type === 'compound') (node.initial.actions as unknown[]).forEach(checkAction)
    for (const { src, onError } of node.invoke as { src: unknown; onError?: unknown }[]) {
      check('actor', actors, src)
      if (!onError) refused.add(`invoke '${String(src)}' without onError`)
    }
  }
  if (refused.size > 0) throw new UnknownAction(`${machine.id}: not declared: ${[...refused].join(', ')}`)
}

const nameOf = (reference: unknown): string =>
  typeof reference === 'string'
    ? reference
    : String((reference as { type?: unknown; name?: unknown }).type ?? (reference as { name?: unknown }).name)

const declarations = (machine: AnyStateMachine): object =>
  Object.fromEntries(
    Object.entries(machine.implementations.actions as Record<string, { unrip?: Declaration }>).map(([name, { unrip }]) => [
      name,
      unrip ?? null,
    ]),
  )

// --- events ----------------------------------------------------------------------------------------------------------

const nodesOf = (machine: AnyStateMachine): AnyStateNode[] => [
  ...(machine as unknown as { idMap: Map<string, AnyStateNode> }).idMap.values(),
]

/** XState keeps a memo for every event type that it ever sees, and obeys `xstate.stop` from anybody: both end here. */
const vocabulary = (nodes: AnyStateNode[], invokes: Map<string, string>): Pick<Machine, 'knows' | 'events'> => {
  const written = new Set(nodes.flatMap((node) => [...node.transitions.keys()]))
  const events = new Set([...written].filter((type) => !type.startsWith('xstate.')))
  const exact = new Set([...events].filter((type) => !type.endsWith('*')))
  for (const type of written) if (type.startsWith('xstate.after.')) exact.add(type)
  for (const id of invokes.keys()) exact.add(`xstate.done.actor.${id}`).add(`xstate.error.actor.${id}`)
  // A delayed raise comes back as an ordinary event; its type is among the written ones or nobody takes it.
  const wildcards = [...events].filter((type) => type.endsWith('*')).map((type) => type.slice(0, -1))
  const covered = (type: string): boolean => wildcards.some((prefix) => type.startsWith(prefix) || `${type}.` === prefix)
  return { events, knows: (type) => exact.has(type) || (!type.startsWith('xstate.') && covered(type)) }
}

// --- the scope -------------------------------------------------------------------------------------------------------

type Scope = Readonly<Record<string, unknown>>

/** A logic that holds its input and does nothing: no promise, callback or child machine can ever run in a turn. */
const stub = {
  transition: (snapshot: unknown) => snapshot,
  getInitialSnapshot: (_: unknown, input: unknown) => ({ status: 'active', output: undefined, error: undefined, input }),
  getPersistedSnapshot: (snapshot: unknown) => snapshot,
  restoreSnapshot: (snapshot: unknown) => snapshot,
}

const stubs = (machine: AnyStateMachine): Record<string, typeof stub> =>
  Object.fromEntries(Object.keys(machine.implementations.actors as object).map((name) => [name, stub]))

const nothing = (): void => {}

/** What XState 5.33 reads of an actor scope: underscored names are its own and pinned by test. */
const createScope = (actionExecutor: (action: Collected) => void): Scope => {
  const system = {
    _bookId: () => 'turn',
    _register: (sessionId: string) => sessionId,
    _unregister: nothing,
    _set: nothing,
    _relay: nothing,
    _sendInspectionEvent: nothing,
    _logger: nothing,
    _clock: { setTimeout: nothing, clearTimeout: nothing },
    get: () => undefined,
    getAll: () => ({}),
    scheduler: { schedule: nothing, cancel: nothing, cancelAll: nothing },
  }
  const self = { id: 'turn', sessionId: 'turn', system, send: nothing, getSnapshot: () => undefined, _parent: undefined }
  return { self, id: 'turn', sessionId: 'turn', logger: nothing, defer: nothing, emit: nothing, stopChild: nothing, system, actionExecutor }
}
