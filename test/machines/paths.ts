import { getInitialMicrosteps, getMicrosteps } from 'xstate'
import type { AnyMachineSnapshot, AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'
import { getAdjacencyMap, getShortestPaths } from 'xstate/graph'
import type { Case, Model } from './models.ts'

type Graph = Readonly<
  Record<string, { state: AnyMachineSnapshot; transitions: Record<string, { event: Case; state: AnyMachineSnapshot }> }>
>

/** More states than this and the graph is not finite. */
const LIMIT = 5_000

/** The graph from one input, and a sequence of events for every edge of it: a shortest path to each state, and each event there. */
export const generate = ({ machine, events, apart, can }: Model, input: unknown) => {
  const key = ({ value, context }: AnyMachineSnapshot) => JSON.stringify([value, apart?.(context as never)])
  const options = {
    input,
    events: () => events,
    serializeState: key,
    limit: LIMIT,
    filterEvents: ({ status, context }: AnyMachineSnapshot, event: Case) => status === 'active' && (can?.(context as never, event) ?? true),
  }
  const graph = getAdjacencyMap(machine, options as never) as unknown as Graph
  const shortest = getShortestPaths(machine, options as never) as unknown as { state: AnyMachineSnapshot; steps: { event: Case }[] }[]
  const paths = shortest.flatMap(({ state, steps }) => {
    const way = steps.map(({ event }) => event).filter(({ type }) => type !== 'xstate.init')
    return Object.values(graph[key(state)]?.transitions ?? {}).map(({ event }) => [...way, event])
  })
  const edges = Object.values(graph).reduce((sum, { transitions }) => sum + Object.keys(transitions).length, 0)
  return { graph, key, paths, edges }
}

/** The states and transitions of a machine that turns have gone through, by name: the runtime's copy of a machine counts as itself. */
export class Coverage {
  readonly #machine: AnyStateMachine
  readonly #states = new Set<string>()
  readonly #taken = new Set<string>()

  constructor(machine: AnyStateMachine) {
    this.#machine = machine
  }

  begun(input: unknown): void {
    this.#pass(getInitialMicrosteps(this.#machine, input as never).map(([snapshot]) => snapshot))
  }

  took(state: AnyMachineSnapshot, event: { readonly type: string }): void {
    for (const one of this.#machine.getTransitionData(state as never, event)) this.#taken.add(nameOf(one))
    this.#pass(getMicrosteps(this.#machine, state as never, event).map(([snapshot]) => snapshot))
  }

  missing(): { states: string[]; transitions: string[] } {
    const nodes = nodesOf(this.#machine.root)
    return {
      states: nodes.flatMap(({ id }) => (this.#states.has(id) ? [] : [id])),
      transitions: transitionsOf(nodes).filter((name) => !this.#taken.has(name)),
    }
  }

  said(): string {
    const { states, transitions } = this.missing()
    const nodes = nodesOf(this.#machine.root)
    const all = transitionsOf(nodes).length
    return `states ${nodes.length - states.length}/${nodes.length}, transitions ${all - transitions.length}/${all}`
  }

  /** The states passed through on the way, and every `always` between two of them. */
  #pass(steps: readonly AnyMachineSnapshot[]): void {
    for (const [index, { _nodes }] of steps.entries()) {
      for (const node of _nodes) {
        this.#states.add(node.id)
        const next = steps[index + 1]?._nodes.map(({ id }) => id)
        if (next && !next.includes(node.id))
          for (const always of node.always ?? [])
            if (always.target?.every(({ id }: AnyStateNode) => next.includes(id))) this.#taken.add(nameOf(always))
      }
    }
  }
}

/** `<source>: <event>[<which of those for this event>]` */
const nameOf = (transition: AnyTransitionDefinition): string => {
  const { source, eventType } = transition
  const among = eventType ? source.transitions.get(eventType) : source.always
  return `${source.id}: ${eventType || 'always'}[${among?.indexOf(transition as never)}]`
}

const nodesOf = (node: AnyStateNode): AnyStateNode[] => [node, ...Object.values(node.states).flatMap(nodesOf)]
const transitionsOf = (nodes: readonly AnyStateNode[]): string[] =>
  nodes.flatMap((node) => [...node.transitions.values(), node.always ?? []].flatMap((list) => list.map(nameOf)))
