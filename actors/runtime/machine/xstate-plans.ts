import type { AnyMachineSnapshot, AnyStateMachine, AnyStateNode } from 'xstate'
import { evaluateGuard } from 'xstate/guards'

/**
 * What XState works out anew in every microstep (which states are left and entered, which actions that means, the next value)
 * depends only on the active states and the transition taken, and for a new actor on nothing. Here it is worked out once and kept: a
 * third of the host's time and half of its garbage were that.
 *
 * P1. Planned is only what is one microstep along one path: one atomic state before and after, no parallel, history or final
 *     state, no read started or stopped, no `always`, no event raised at once. Everything else is XState's own to do.
 * P2. Whatever throws or turns out otherwise is done again by XState from the same snapshot: faults are XState's, word for word.
 * P3. Guards, assigns and params are called as XState calls them, in its order, with the same arguments.
 */
export interface Plans {
  /** Of a new actor. Null: not planned. `ask` may have been called before a null. */
  begin(input: unknown, ask: (asked: Asked) => void): AnyMachineSnapshot | null
  /** Null: not planned. The snapshot itself where the event changes nothing. `ask` may have been called before a null. */
  transition(snapshot: AnyMachineSnapshot, event: { readonly type: string }, ask: (asked: Asked) => void): AnyMachineSnapshot | null
}

/** An action as XState hands it to its executor. */
export interface Asked {
  readonly type: string
  readonly params: unknown
  readonly exec: object | undefined
}

type Arguments = { context: unknown; event: { type: string } }
type Resolve = (
  scope: object,
  snapshot: object,
  args: object,
  params: unknown,
  action: object,
  extra: object,
) => [unknown, unknown, unknown]
type Action = object & { type?: string; resolve?: Resolve; assignment?: Assignment; name?: string }
type Assignment =
  | ((args: object, params: unknown) => object)
  | Readonly<Record<string, ((args: object, params: unknown) => unknown) | string | number | boolean | object | null>>
type Reference = string | (object & { type: string; params?: unknown }) | Action

interface Transition {
  readonly source: AnyStateNode
  readonly target?: readonly AnyStateNode[]
  readonly reenter: boolean
  readonly guard?: unknown
  readonly actions: readonly Reference[]
}

interface Step {
  readonly does: 'assign' | 'resolve' | 'ask'
  readonly type: string
  readonly action: Action
  readonly params: unknown
}

interface Plan {
  readonly steps: readonly Step[]
  /** what the snapshot gets; null: its states stay */
  readonly moves: Pick<AnyMachineSnapshot, '_nodes' | 'value' | 'tags'> | null
}

/** The path from the root to one atomic state. */
interface Place {
  readonly path: readonly AnyStateNode[]
  readonly isQuiet: boolean
  /** by type of event: the candidates, innermost state first */
  readonly candidates: Map<string, readonly Transition[]>
  readonly plans: Map<Transition, Plan | null>
}

/** A wildcard may meet any number of types; beyond this they are XState's. */
const TYPES_KEPT = 1_000
const NEVER_PLANNED = /^xstate\.(?!after\.)/

export const plansOf = (machine: AnyStateMachine, scope: Readonly<Record<string, unknown>>): Plans => {
  const places = new Map<AnyStateNode, Place>()
  const { self, system } = scope
  const spawn = (): never => {
    throw new Error('an assign that spawns is not planned')
  }

  const placeOf = (nodes: readonly AnyStateNode[]): Place | null => {
    const leaf = nodes.at(-1)
    if (!leaf || leaf.type !== 'atomic' || nodes.length !== leaf.path.length + 1) return null
    let place = places.get(leaf)
    if (!place) {
      const path = pathOf(leaf)
      place = { path, isQuiet: path.every(isQuiet), candidates: new Map(), plans: new Map() }
      places.set(leaf, place)
    }
    return place.isQuiet ? place : null
  }

  const candidatesIn = (place: Place, type: string): readonly Transition[] | null => {
    const known = place.candidates.get(type)
    if (known) return known
    if (place.candidates.size >= TYPES_KEPT) return null
    const found = place.path.toReversed().flatMap((node) => candidatesOf(node, type))
    place.candidates.set(type, found)
    return found
  }

  const planIn = (place: Place, transition: Transition): Plan | null => {
    const known = place.plans.get(transition)
    if (known !== undefined) return known
    const plan = planOf(machine, place.path, transition)
    place.plans.set(transition, plan)
    return plan
  }

  const assigned = ({ assignment }: Action, context: object, event: { type: string }, params: unknown): object => {
    const args = { context, event, spawn, self, system }
    if (typeof assignment === 'function') return { ...context, ...assignment(args, params) }
    const update: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(assignment ?? {})) update[key] = typeof value === 'function' ? value(args, params) : value
    return { ...context, ...update }
  }

  /** The context after them; null: it is XState's. */
  const carriedOut = (
    steps: readonly Step[],
    snapshot: AnyMachineSnapshot,
    event: { type: string },
    ask: (asked: Asked) => void,
  ): object | null => {
    let { context } = snapshot as { context: object }
    for (const { does, type, action, params } of steps) {
      const given: unknown = typeof params === 'function' ? (params as (args: Arguments) => unknown)({ context, event }) : params
      if (does === 'ask') ask({ type, params: given, exec: action })
      else if (does === 'assign') context = assigned(action, context, event, given)
      else {
        const raisedAtOnce: unknown[] = []
        const resolved = action.resolve!(scope, snapshot, { context, event, self, system }, given, action, {
          internalQueue: raisedAtOnce,
          deferredActorIds: undefined,
        })
        if (raisedAtOnce.length > 0) return null
        ask({ type, params: resolved[1], exec: undefined })
      }
    }
    return context
  }

  let first: Plan | null | undefined

  return {
    begin: (input, ask) => {
      first ??= firstPlan(machine)
      if (!first?.moves) return null
      const { context: declared } = machine.config as { context?: object | ((args: object) => object) }
      const context = typeof declared === 'function' ? { ...declared({ spawn, input, self }) } : (declared ?? {})
      const snapshot = { ...(first.moves as AnyMachineSnapshot), context, children: {}, historyValue: {} } as AnyMachineSnapshot
      const after = carriedOut(first.steps, snapshot, { type: 'xstate.init', input } as { type: string }, ask)
      if (!after) return null
      snapshot.context = after as never
      return snapshot
    },
    transition: (snapshot, event, ask) => {
      const place = snapshot.status === 'active' && !NEVER_PLANNED.test(event.type) ? placeOf(snapshot._nodes) : null
      const candidates = place && candidatesIn(place, event.type)
      if (!place || !candidates) return null
      const { context: before } = snapshot as { context: object }
      const taken = candidates.find(
        ({ guard }) => guard === undefined || evaluateGuard(guard as never, before as never, event as never, snapshot),
      )
      if (!taken) return snapshot
      const plan = planIn(place, taken)
      const context = plan && before && carriedOut(plan.steps, snapshot, event, ask)
      if (!plan || !context) return null
      if (!plan.moves && context === snapshot.context) return snapshot
      const { _nodes, value, tags } = plan.moves ?? snapshot
      // In the order of XState's own literal, so that both are of one shape.
      return {
        status: 'active',
        output: undefined,
        error: undefined,
        machine: snapshot.machine,
        context,
        _nodes,
        value,
        tags,
        children: snapshot.children,
        historyValue: snapshot.historyValue,
        matches: snapshot.matches,
        hasTag: snapshot.hasTag,
        can: snapshot.can,
        getMeta: snapshot.getMeta,
        toJSON: snapshot.toJSON,
      } as unknown as AnyMachineSnapshot
    },
  }
}

// --- what is worked out once -----------------------------------------------------------------------------------------

const pathOf = (leaf: AnyStateNode): AnyStateNode[] => {
  const path = [leaf]
  for (let node = leaf.parent; node; node = node.parent) path.unshift(node)
  return path
}

const isQuiet = (node: AnyStateNode): boolean => !node.always && node.type !== 'parallel' && node.type !== 'final'

/** As XState's `getCandidates`: the written type first, then wildcards, the longest first. */
const candidatesOf = (node: AnyStateNode, type: string): Transition[] => {
  const written = node.transitions as unknown as Map<string, Transition[]>
  const wild = [...written.keys()].filter((key) => key !== type && covers(key, type)).toSorted((a, b) => b.length - a.length)
  return [...(written.get(type) ?? []), ...wild.flatMap((key) => written.get(key)!)]
}

/** XState's `matchesEventDescriptor`: `*` alone, or as the last token of a dotted name. */
const covers = (descriptor: string, type: string): boolean => {
  if (descriptor === '*') return true
  if (!descriptor.endsWith('.*')) return false
  const [own, other] = [descriptor.split('.'), type.split('.')]
  return own.every((token, index) => (token === '*' ? index === own.length - 1 : token === other[index]))
}

const planOf = (machine: AnyStateMachine, path: readonly AnyStateNode[], transition: Transition): Plan | null => {
  const move = moveOf(path, transition)
  if (!move) return null
  const { exited, entered } = move
  const after = [...path.filter((node) => !exited.includes(node)), ...entered.map(({ node }) => node)]
  const leaf = after.at(-1)!
  if (leaf.type !== 'atomic' || after.length !== leaf.path.length + 1 || !after.every(isQuiet)) return null
  const actions = [...exited.flatMap(({ exit }) => exit as Reference[]), ...transition.actions, ...entered.flatMap(enteringOf)]
  const steps = actions.map((action) => stepOf(machine, action))
  if (!steps.every((step) => step !== null)) return null
  return { steps, moves: leaf === path.at(-1) ? null : machine.resolveState({ value: valueOf(leaf), context: {} }) }
}

/** Everything that is entered at first; null: it is not one path. */
const firstPlan = (machine: AnyStateMachine): Plan | null => {
  const entered = [{ node: machine.root, begins: machine.root.type === 'compound' }]
  if (!descend(machine.root, entered) || !entered.every(({ node }) => isPlain(node) && isQuiet(node))) return null
  const steps = entered.flatMap(enteringOf).map((action) => stepOf(machine, action))
  if (!steps.every((step) => step !== null)) return null
  return { steps, moves: machine.resolveState({ value: valueOf(entered.at(-1)!.node), context: {} }) }
}

const valueOf = ({ path }: AnyStateNode): never =>
  (path.length === 0 ? {} : path.slice(0, -1).reduceRight<unknown>((inner, key) => ({ [key]: inner }), path.at(-1))) as never

/** `begins`: the actions of its initial transition belong to it. */
interface Entered {
  readonly node: AnyStateNode
  readonly begins: boolean
}

interface Move {
  /** innermost first */
  readonly exited: readonly AnyStateNode[]
  /** outermost first */
  readonly entered: readonly Entered[]
}

const enteringOf = ({ node, begins }: Entered): Reference[] => [...node.entry, ...(begins ? node.initial.actions : [])] as Reference[]

/** On to an atomic state. False: there is no one way. */
const descend = (from: AnyStateNode, entered: Entered[]): boolean => {
  for (let node = from; node.type === 'compound';) {
    const initial = node.initial.target as readonly AnyStateNode[]
    if (initial.length !== 1 || initial[0]!.parent !== node) return false
    node = initial[0]!
    entered.push({ node, begins: node.type === 'compound' })
  }
  return true
}

const isPlain = ({ type, invoke, states }: AnyStateNode): boolean =>
  (type === 'atomic' || type === 'compound') && invoke.length === 0 && Object.values(states).every((child) => child.type !== 'history')

/** SCXML's exit and entry sets where all is one path. Null: it is not. */
const moveOf = (path: readonly AnyStateNode[], { source, target: targets = [], reenter }: Transition): Move | null => {
  const [target] = targets
  if (!target) return { exited: [], entered: [] }
  if (targets.length > 1 || !target.parent || (reenter && !source.parent)) return null
  const isInside = target === source || isWithin(target, source)
  const domain = !reenter && isInside ? source : pathOf(target).findLast((node) => node !== target && isWithin(source, node))
  if (!domain) return null
  const exited = path.filter((node) => isWithin(node, domain)).toReversed()
  const entered = pathOf(target)
    .filter((node) => node !== target && isWithin(node, domain))
    .map((node) => ({ node, begins: false }))
  if (target !== source || source !== domain) entered.push({ node: target, begins: target.type === 'compound' })
  if (!descend(target, entered)) return null
  return [...exited, ...entered.map(({ node }) => node)].every(isPlain) ? { exited, entered } : null
}

const isWithin = (node: AnyStateNode, ancestor: AnyStateNode): boolean => {
  for (let at = node.parent; at; at = at.parent) if (at === ancestor) return true
  return false
}

const stepOf = (machine: AnyStateMachine, reference: Reference): Step | null => {
  const isInline = typeof reference === 'function'
  const type = typeof reference === 'string' ? reference : (reference as { type?: string }).type
  const actions = machine.implementations.actions as unknown as Record<string, Action>
  const action = isInline ? (reference as Action) : actions[type ?? '']
  if (!action || type === undefined) return null
  const params = isInline || typeof reference === 'string' ? undefined : (reference as { params?: unknown }).params
  if (!('resolve' in action)) return isInline ? null : { does: 'ask', type, action, params }
  switch (action.type) {
    case 'xstate.assign':
      return { does: 'assign', type, action, params }
    case 'xstate.raise':
    case 'xstate.cancel':
      return { does: 'resolve', type: action.type, action, params }
    default:
      return null
  }
}
