import { globSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import type { AnyMachineSnapshot } from 'xstate'
import { ActorEnded, runnable } from '#actors/runtime/machine/xstate.ts'
import { topics } from '#machines/contracts/topics.ts'
import { MODELS } from './models.ts'
import { Coverage, generate } from './paths.ts'

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
    const coverage = new Coverage(machine)
    for (const { input, graph } of generated) {
      coverage.begun(input)
      for (const { state, transitions } of Object.values(graph))
        for (const { event } of Object.values(transitions)) coverage.took(state, event)
    }
    const paths = generated.reduce((sum, one) => sum + one.paths.length, 0)
    lines.push(`${id.padEnd(16)} ${coverage.said()}, paths ${paths}`)
    expect(coverage.missing()).toEqual({ states: [], transitions: Object.keys(untaken) })
  })
})

it('every machine that is written has its paths', () => {
  const root = new URL('../../machines/', import.meta.url)
  const sources = globSync('**/*.ts', { cwd: root }).map((file) => readFileSync(new URL(file, root), 'utf8'))
  const written = sources.flatMap((source) => [...source.matchAll(/createMachine\(\{\s+id: '([^']+)'/g)].map(([, id]) => id))
  expect(MODELS.map(({ machine }) => machine.id).toSorted()).toEqual(written.toSorted())
})
