import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assign, cancel, getInitialSnapshot, initialTransition, raise, setup, transition } from 'xstate'
import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate'
import { plansOf } from '#actors/runtime/machine/xstate-plans.ts'
import type { Asked } from '#actors/runtime/machine/xstate-plans.ts'
import { effect } from '#machines/contracts/actions.ts'

/** Leaves of a tree of depth two; `deep` is the compound one. */
const TARGETS = ['#m.a', '#m.b', '#m.deep', '#m.deep.x', '#m.deep.y', '#m.deep.y.k', '#m.deep.y.l'] as const
const TYPES = ['go', 'turn.left', 'turn.right', 'tick'] as const
const DESCRIPTORS = [...TYPES, 'turn.*', '*'] as const

const action = fc.constantFrom<object | string>(
  'count',
  'many',
  'say',
  { type: 'say', params: ({ context, event }: { context: { n: number }; event: { type: string } }) => ({ n: context.n, of: event.type }) },
  { type: 'add', params: { by: 3 } },
  raise({ type: 'tick' }, { id: 'soon', delay: 50 }),
  cancel('soon'),
)
const actions = fc.array(action, { maxLength: 3 })
const taken = fc.record({
  target: fc.option(fc.constantFrom(...TARGETS), { nil: undefined }),
  guard: fc.option(fc.constantFrom('even', 'odd', 'broken'), { nil: undefined, freq: 3 }),
  reenter: fc.boolean(),
  actions,
})
const on = fc.dictionary(fc.constantFrom(...DESCRIPTORS), fc.array(taken, { minLength: 1, maxLength: 2 }), { maxKeys: 3 })
const state = fc.record({ on, entry: actions, exit: actions })
const withTimer = fc.tuple(state, fc.boolean(), taken).map(([own, has, after]) => (has ? { ...own, after: { patience: after } } : own))

const config = fc
  .record({
    root: on,
    a: withTimer,
    b: state,
    deep: state,
    x: withTimer,
    y: state,
    k: state,
    l: withTimer,
    first: fc.constantFrom('x', 'y'),
    initial: fc.constantFrom('a', 'deep'),
    entry: actions,
    context: fc.constantFrom({ n: 0 }, ({ input }: { input: { n: number } | undefined }) => ({ n: input?.n ?? 0 })),
  })
  .map(({ root, a, b, deep, x, y, k, l, first, ...own }) => ({
    id: 'm',
    ...own,
    on: root,
    states: { a, b, deep: { ...deep, initial: first, states: { x, y: { ...y, initial: 'k', states: { k, l } } } } },
  }))

const implementations = {
  actions: {
    count: assign({ n: ({ context }: { context: { n: number } }) => context.n + 1 }),
    many: assign(({ context, event }: { context: { n: number }; event: { type: string } }) => ({ n: context.n * 2, last: event.type })),
    add: assign(({ context }: { context: { n: number } }, { by }: { by: number }) => ({ n: context.n + by })),
    say: effect<object>({ mode: 'idempotent' }),
  },
  guards: {
    even: ({ context }: { context: { n: number } }) => context.n % 2 === 0,
    odd: ({ context }: { context: { n: number } }) => context.n % 2 === 1,
    broken: ({ context }: { context: { n: number } }) => {
      if (context.n > 5) throw new Error('broke')
      return false
    },
  },
  delays: { patience: ({ context }: { context: { n: number } }) => 100 + context.n },
}

const build = (of: object): AnyStateMachine => setup(implementations as never).createMachine(of as never) as unknown as AnyStateMachine

const plainOf = ({ type, params }: { type: string; params: unknown }): object => ({
  type,
  params: JSON.parse(JSON.stringify(params ?? null)) as unknown,
})
const told = (snapshot: AnyMachineSnapshot): object => {
  const { value, context, status, tags, _nodes } = snapshot
  return { value, context: context as unknown, status, tags, nodes: _nodes.map(({ id }) => id) }
}

/** Undefined: XState throws. */
const stock = (machine: AnyStateMachine, before: AnyMachineSnapshot, event: { type: string }) => {
  try {
    const [after, asked] = transition(machine, before as never, event as never) as [AnyMachineSnapshot, Asked[]]
    return { after, asked: asked.map(plainOf) }
  } catch {
    return undefined
  }
}

const begins = (machine: AnyStateMachine, input: unknown) => {
  const asked: Asked[] = []
  const begun = plansOf(machine, { self: {}, system: {} }).begin(input, (one) => asked.push(one))
  return begun && { begun, asked: asked.map(plainOf) }
}

const planned = (machine: AnyStateMachine) => {
  const plans = plansOf(machine, { self: {}, system: {} })
  return (before: AnyMachineSnapshot, event: { type: string }) => {
    const asked: Asked[] = []
    try {
      const after = plans.transition(before, event, (one) => asked.push(one))
      return after && { after, asked: asked.map(plainOf) }
    } catch {
      return null
    }
  }
}

describe('a planned turn', () => {
  it("has the state, the actions and their params of XState's own, whatever the machine, and most turns that do not throw are planned", () => {
    let [ours, all] = [0, 0]
    const events = fc.array(fc.constantFrom(...TYPES, 'turn', 'other', 'timer'), { minLength: 5, maxLength: 25 })
    fc.assert(
      fc.property(config, events, (of, types) => {
        const machine = build(of)
        const turn = planned(machine)
        let at = getInitialSnapshot(machine) as AnyMachineSnapshot
        for (const type of types) {
          const event = { type: type === 'timer' ? `xstate.after.patience.${at._nodes.at(-1)!.id}` : type }
          const [theirs, mine] = [stock(machine, at, event), turn(at, event)]
          if (theirs) all++
          if (mine) {
            ours++
            if (!theirs) expect.fail(`XState throws at ${type}`)
            expect({ ...told(mine.after), asked: mine.asked }).toEqual({ ...told(theirs.after), asked: theirs.asked })
            expect(mine.after === at).toBe(theirs.after === at)
          }
          // Mostly on from the planned one: what it makes must do for what follows.
          at = mine?.after ?? theirs?.after ?? at
        }
      }),
      { numRuns: 300 },
    )
    expect(ours / all).toBeGreaterThan(0.8)
  })

  it("begins an actor with the state, the actions and their params of XState's own, and a turn goes on from there", () => {
    fc.assert(
      fc.property(config, fc.option(fc.record({ n: fc.nat(9) }), { nil: undefined }), fc.constantFrom(...TYPES), (of, input, type) => {
        const machine = build(of)
        const [theirs, asked] = initialTransition(machine, input as never) as [AnyMachineSnapshot, Asked[]]
        const mine = begins(machine, input)
        if (!mine) expect.fail('not planned')
        expect({ ...told(mine.begun), asked: mine.asked }).toEqual({ ...told(theirs), asked: asked.map(plainOf) })
        expect(Object.keys(mine.begun)).toEqual(Object.keys(theirs))
        const [after, stocked] = [stock(machine, mine.begun, { type }), stock(machine, theirs, { type })]
        expect(after && { ...told(after.after), asked: after.asked }).toEqual(stocked && { ...told(stocked.after), asked: stocked.asked })
      }),
      { numRuns: 300 },
    )
  })

  it.each([
    ['a read', { initial: 'a', states: { a: { invoke: { src: 'read' } } } }],
    ['an always', { initial: 'a', states: { a: { always: 'b' }, b: {} } }],
    ['an end', { initial: 'a', states: { a: { type: 'final' } } }],
    ['two paths', { type: 'parallel', states: { a: {}, b: {} } }],
    ['an event raised at once', { entry: raise({ type: 'tick' }), initial: 'a', states: { a: {} } }],
  ])('leaves an actor that begins with %s to XState', (_, of) => {
    expect(begins(build({ id: 'm', context: { n: 0 }, ...of }), undefined)).toBeNull()
  })

  it('begins each actor with children and history of its own', () => {
    const plans = plansOf(build({ id: 'm', context: { n: 0 }, initial: 'a', states: { a: {} } }), { self: {}, system: {} })
    const [one, other] = [1, 2].map(() => plans.begin(undefined, () => undefined)!)
    expect(one!.children).not.toBe(other!.children)
    expect(one!.historyValue).not.toBe(other!.historyValue)
  })

  it.each([
    ['a state with an always', { states: { a: { on: { go: 'b' } }, b: { always: 'c' }, c: {} } }],
    ['a final state', { states: { a: { on: { go: 'b' } }, b: { type: 'final' } } }],
    ['a parallel state', { states: { a: { on: { go: 'b' } }, b: { type: 'parallel', states: { c: {}, d: {} } } } }],
    ['an event raised at once', { states: { a: { on: { go: { target: 'b', actions: raise({ type: 'tick' }) } } }, b: {} } }],
    ['history to keep', { states: { a: { initial: 'c', states: { c: {}, h: { type: 'history' } }, on: { go: 'b' } }, b: {} } }],
    ['an assign that spawns', { states: { a: { on: { go: { actions: assign({ n: ({ spawn }) => spawn('x' as never) as never }) } } } } }],
  ])('leaves %s to XState', (_, of) => {
    const machine = build({ id: 'm', context: { n: 0 }, initial: 'a', ...of })
    const before = getInitialSnapshot(machine) as AnyMachineSnapshot
    expect(planned(machine)(before, { type: 'go' })).toBeNull()
  })

  it('keeps no more than a bounded number of event types', () => {
    const machine = build({ id: 'm', context: { n: 0 }, on: { '*': { actions: 'count' } } })
    const turn = planned(machine)
    let at = getInitialSnapshot(machine) as AnyMachineSnapshot
    const types = Array.from({ length: 1_001 }, (_, n) => `type.${n}`)
    for (const type of types) at = turn(at, { type })?.after ?? at
    expect(at.context).toMatchObject({ n: 1_000 })
  })
})
