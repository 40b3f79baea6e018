import { globSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { getInitialMicrosteps, getMicrosteps } from 'xstate'
import type { AnyMachineSnapshot, AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'
import { getAdjacencyMap, getShortestPaths } from 'xstate/graph'
import { ActorEnded, runnable } from '#actors/runtime/xstate.ts'
import { topics } from '#machines/contracts/topics.ts'
import { MODELS } from './models.ts'
import type { Case, Model } from './models.ts'

type Graph = Readonly<
  Record<string, { state: AnyMachineSnapshot; transitions: Record<string, { event: Case; state: AnyMachineSnapshot }> }>
>

/** More states than this and the graph is not finite. */
const LIMIT = 5_000

/** The graph from one input, and a sequence of events for every edge of it. */
const generate = ({ machine, events, apart, can }: Model, input: unknown) => {
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

const nameOf = (transition: AnyTransitionDefinition, index: number): string =>
  `${transition.source.id}: ${transition.eventType || 'always'}[${index}]`

const nodesOf = (node: AnyStateNode): AnyStateNode[] => [node, ...Object.values(node.states).flatMap(nodesOf)]
const namedTransitions = (machine: AnyStateMachine): Map<AnyTransitionDefinition, string> =>
  new Map(
    nodesOf(machine.root).flatMap((node) =>
      [...node.transitions.values(), node.always ?? []].flatMap((list) => list.map((one, index) => [one, nameOf(one, index)] as const)),
    ),
  )

/** The states passed through on the way, and every `always` between two of them. */
const passed = (steps: readonly AnyMachineSnapshot[], states: Set<AnyStateNode>, taken: Set<AnyTransitionDefinition>): void => {
  for (const [index, { _nodes }] of steps.entries()) {
    for (const node of _nodes) {
      states.add(node)
      const next = steps[index + 1]
      if (next && !next._nodes.includes(node))
        for (const always of node.always ?? []) if (always.target?.every((to: AnyStateNode) => next._nodes.includes(to))) taken.add(always)
    }
  }
}

const lines: string[] = []
afterAll(() => void process.stdout.write(`${lines.join('\n')}\n`))

/**
 * Paths generated from each machine's own graph: a shortest path to every state, extended by every event there. Each is
 * driven through the runtime's `turn()` with a round trip through storage after every step, and must end where stock
 * XState ends. Every state and every transition of every machine is taken, or is named in `untaken` with why.
 */
describe.each(MODELS.map((model) => [model.machine.id, model] as const))('every path of %s', (id, model) => {
  const { machine, inputs = [undefined], untaken = {} } = model
  const generated = inputs.map((input) => ({ input, ...generate(model, input) }))

  it('ends in production where it ends in the graph, through storage after every step', () => {
    const run = runnable(machine, 1)
    for (const { input, graph, key, paths, edges } of generated) {
      expect(paths).toHaveLength(edges)
      for (const path of paths) {
        let { state } = run.begin(input)
        let at = key(state.snapshot as AnyMachineSnapshot)
        for (const [index, event] of path.entries()) {
          const told = path.slice(0, index + 1).map(({ type }) => type)
          const turned = run.turn(state, event)
          for (const output of turned.outputs)
            if (output.does === 'message')
              expect(topics[output.topic].schema.safeParse(output.params.payload).error, `${told}`).toBeUndefined()
          const stored = run.load(run.store(turned.state, index + 1))
          expect(stored.sequence).toBe(index + 1)
          state = stored.state
          const expected = Object.values(graph[at]?.transitions ?? {}).find((edge) => edge.event === event)?.state
          expect({ value: state.value, context: state.context, status: state.status }, `${told}`).toEqual({
            value: expected?.value,
            context: expected?.context,
            status: expected?.status,
          })
          at = key(expected as AnyMachineSnapshot)
        }
        if (state.status === 'done') for (const event of model.events) expect(() => run.turn(state, event)).toThrow(ActorEnded)
      }
    }
  })

  it('together they reach every state and take every transition', () => {
    const states = new Set<AnyStateNode>()
    const taken = new Set<AnyTransitionDefinition>()
    for (const { input, graph } of generated) {
      passed(
        getInitialMicrosteps(machine, input as never).map(([snapshot]) => snapshot),
        states,
        taken,
      )
      for (const { state, transitions } of Object.values(graph))
        for (const { event } of Object.values(transitions)) {
          for (const one of machine.getTransitionData(state as never, event)) taken.add(one)
          passed(
            getMicrosteps(machine, state as never, event).map(([snapshot]) => snapshot),
            states,
            taken,
          )
        }
    }
    const all = namedTransitions(machine)
    const nodes = nodesOf(machine.root)
    const paths = generated.reduce((sum, one) => sum + one.paths.length, 0)
    const took = [...all.keys()].filter((one) => taken.has(one)).length
    lines.push(`${id.padEnd(16)} states ${states.size}/${nodes.length}, transitions ${took}/${all.size}, paths ${paths}`)
    expect(nodes.filter((node) => !states.has(node)).map((node) => node.id)).toEqual([])
    expect([...all].filter(([one]) => !taken.has(one)).map(([, name]) => name)).toEqual(Object.keys(untaken))
  })
})

it('every machine that is written has its paths', () => {
  const root = new URL('../../machines/', import.meta.url)
  const sources = globSync('**/*.ts', { cwd: root }).map((file) => readFileSync(new URL(file, root), 'utf8'))
  const written = sources.flatMap((source) => [...source.matchAll(/createMachine\(\{\s+id: '([^']+)'/g)].map(([, id]) => id))
  expect(MODELS.map(({ machine }) => machine.id).toSorted()).toEqual(written.toSorted())
})
