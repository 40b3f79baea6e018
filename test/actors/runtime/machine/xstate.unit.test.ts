import fc from 'fast-check'
import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate'
import { assign, cancel, enqueueActions, fromPromise, initialTransition, raise, setup, transition } from 'xstate'
import { describe, expect, it } from 'vitest'
import type { Output } from '#actors/runtime/machine/xstate-names.ts'
import { SnapshotMismatch } from '#actors/runtime/machine/snapshots.ts'
import { TurnFailed, UnknownAction } from '#actors/runtime/machine/xstate-names.ts'
import { ActorEnded, runnable } from '#actors/runtime/machine/xstate.ts'
import { effect, message, tell } from '#machines/contracts/actions.ts'

/** A machine that the compiler has not checked. */
const loose = (config: object, implementations: object): AnyStateMachine =>
  setup(implementations as never).createMachine(config as never) as unknown as AnyStateMachine

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

/** Every construct that the runtime carries: guards, assigns, after, delayed raise, cancel, invoke, history, parallel, final. */
const order = setup({
  types: {
    context: {} as { tries: number; note: string; limit: number },
    input: {} as { limit: number },
    events: {} as
      | { type: 'pay'; by: string }
      | { type: 'late' }
      | { type: 'poke' }
      | { type: 'relay.ok' }
      | { type: 'stop' }
      | { type: 'back' }
      | { type: 'break' },
  },
  actors: { readBalance: fromPromise<{ units: string }, { token: string }>(async () => ({ units: '1' })) },
  actions: {
    send: effect<{ amount: string }>({ mode: 'ask first' }),
    read: effect<{ n: number }>({ mode: 'idempotent' }),
    publish: message<{ note: string }>('ops.alert_event'),
    ask: tell<{ type: 'asked' }>(),
    count: assign({ tries: ({ context }) => context.tries + 1 }),
    several: enqueueActions(({ enqueue }) => {
      enqueue('count')
      enqueue({ type: 'send', params: { amount: '5' } })
    }),
  },
  guards: {
    enough: ({ context }) => context.tries >= context.limit,
    throwing: () => {
      throw new Error('guard broke')
    },
  },
  delays: { patience: ({ context }) => 1_000 * (context.tries + 1), nonsense: () => Number.NaN },
}).createMachine({
  id: 'order',
  context: ({ input }) => ({ tries: 0, note: '', limit: input.limit }),
  initial: 'open',
  on: { break: { guard: 'throwing', target: '.ended' }, stop: '.ended' },
  states: {
    open: {
      entry: [{ type: 'read', params: ({ context }) => ({ n: context.limit }) }, raise({ type: 'late' }, { id: 'reminder', delay: 500 })],
      on: {
        pay: { target: 'paying', actions: cancel('reminder') },
        late: { actions: { type: 'ask', params: { to: { kind: 'desk', key: 'd' }, event: { type: 'asked' } } } },
        poke: {},
      },
      after: { patience: 'ended' },
    },
    paying: {
      initial: 'first',
      entry: 'several',
      on: { 'relay.*': { actions: 'count' }, poke: { target: 'paying', reenter: true } },
      invoke: {
        id: 'balance',
        src: 'readBalance',
        input: ({ context }) => ({ token: `t${context.tries}` }),
        onDone: { target: 'both', actions: assign({ note: ({ event }) => event.output.units }) },
        onError: 'open',
      },
      states: { first: { always: { guard: 'enough', target: 'second' } }, second: {}, mem: { type: 'history', history: 'deep' } },
      after: { 100: { actions: 'count' } },
    },
    both: {
      type: 'parallel',
      on: { back: 'paying.mem' },
      states: {
        left: { initial: 'a', states: { a: { on: { poke: 'b' } }, b: {} } },
        right: { initial: 'c', states: { c: { after: { patience: 'd' } }, d: {} } },
      },
    },
    ended: { type: 'final', entry: { type: 'publish', params: ({ context }) => ({ payload: { note: context.note } }) } },
  },
})

const machine = runnable(order, 3)
const begin = (limit = 9) => machine.begin({ limit })
const after = (...events: { type: string }[]) =>
  events.reduce<{ state: ReturnType<typeof begin>['state']; outputs: readonly Output[] }>(
    (at, event) => machine.turn(at.state, event),
    begin(),
  )
const balance = { type: 'xstate.done.actor.balance', output: { units: '7' }, actorId: 'balance' }

describe('what a turn asks for', () => {
  it('a new actor has its effects and timers in the order of the machine', () => {
    expect(begin().outputs).toEqual([
      { does: 'effect', name: 'read', mode: 'idempotent', params: { n: 9 } },
      { does: 'set timer', timer: 'reminder', delayMs: 500, event: { type: 'late' } },
      { does: 'set timer', timer: 'xstate.after.patience.order.open', delayMs: 1_000, event: { type: 'xstate.after.patience.order.open' } },
    ])
  })

  it('leaving a state cancels its timers, entering starts its read with the context of that moment', () => {
    expect(after({ type: 'pay' }).outputs).toEqual([
      { does: 'cancel timer', timer: 'xstate.after.patience.order.open' },
      { does: 'cancel timer', timer: 'reminder' },
      { does: 'effect', name: 'send', mode: 'ask first', params: { amount: '5' } },
      { does: 'set timer', timer: 'xstate.after.100.order.paying', delayMs: 100, event: { type: 'xstate.after.100.order.paying' } },
      { does: 'read', name: 'readBalance', invoke: 'balance', input: { token: 't1' } },
    ])
  })

  it('re-entering a state stops its read and starts it again', () => {
    const outputs = after({ type: 'pay' }, { type: 'poke' }).outputs
    expect(outputs.map(({ does }) => does)).toEqual(['cancel timer', 'stop read', 'effect', 'set timer', 'read'])
    expect(outputs.find(({ does }) => does === 'stop read')).toEqual({ does: 'stop read', invoke: 'balance' })
  })

  it('a message to another actor and a record for a topic come with their params resolved', () => {
    expect(after({ type: 'late' }).outputs).toEqual([{ does: 'tell', to: { kind: 'desk', key: 'd' }, event: { type: 'asked' } }])
    expect(after({ type: 'stop' }).outputs.at(-1)).toEqual({ does: 'message', topic: 'ops.alert_event', params: { payload: { note: '' } } })
  })

  it('the end of a read is taken and moves on', () => {
    const { state } = after({ type: 'pay' }, balance)
    expect(state.value).toEqual({ both: { left: 'a', right: 'c' } })
    expect(state.context).toEqual({ tries: 1, note: '7', limit: 9 })
  })

  it('an event that nothing takes changes nothing and gives the same state', () => {
    const { state } = begin()
    const turn = machine.turn(state, { type: 'relay.ok' })
    expect(turn).toEqual({ state, outputs: [], changed: false })
    expect(turn.state).toBe(state)
  })

  it('a guard that throws undoes the turn', () => {
    const { state } = begin()
    expect(() => machine.turn(state, { type: 'break' })).toThrow(TurnFailed)
    expect(machine.turn(state, { type: 'pay', by: 'x' } as { type: string }).changed).toBe(true)
  })

  it('an ended actor refuses every event', () => {
    const { state } = after({ type: 'stop' })
    expect(state.status).toBe('done')
    expect(() => machine.turn(state, { type: 'stop' })).toThrow(ActorEnded)
  })

  it('an input that the context cannot be made of is a failed turn', () => {
    expect(() => machine.begin(undefined)).toThrow(TurnFailed)
  })

  it('a loop of always transitions ends as a failed turn', () => {
    const loop = setup({}).createMachine({ initial: 'a', states: { a: { on: { go: 'b' } }, b: { always: 'c' }, c: { always: 'b' } } })
    const looping = runnable(loop, 1)
    expect(() => looping.turn(looping.begin({}).state, { type: 'go' })).toThrow(/Infinite loop/)
  })

  it('a delay that is no number is a failed turn and not an immediate one', () => {
    const odd = setup({ delays: { nonsense: () => Number.NaN } }).createMachine({
      initial: 'a',
      states: { a: { after: { nonsense: 'b' } }, b: {} },
    })
    expect(() => runnable(odd, 1).begin({})).toThrow(TurnFailed)
  })
})

describe('what is refused before any turn', () => {
  const refused =
    (config: object, implementations: object = {}): (() => unknown) =>
    () =>
      runnable(loose(config, implementations), 1)

  it('an action, guard, delay or actor that nobody declared', () => {
    expect(refused({ entry: 'missing' })).toThrow(UnknownAction)
    expect(refused({ on: { go: { actions: 'plain' } } }, { actions: { plain: () => {} } })).toThrow(/action 'plain'/)
    expect(refused({ on: { go: { actions: () => {} } } })).toThrow(UnknownAction)
    expect(refused({ on: { go: { guard: 'missing', actions: assign({}) } } })).toThrow(/guard 'missing'/)
    expect(refused({ initial: 'a', states: { a: { after: { missing: 'a' } } } })).toThrow(/delay 'missing'/)
    expect(refused({ invoke: { src: 'missing', onError: {} } })).toThrow(/actor 'missing'/)
    expect(refused({ invoke: { src: 'there' } }, { actors: { there: fromPromise(async () => 1) } })).toThrow(/without onError/)
  })

  it('an action enqueued by name is refused in its turn', () => {
    const hidden = runnable(
      setup({}).createMachine({ on: { go: { actions: enqueueActions(({ enqueue }) => enqueue('missing' as never)) } } }),
      1,
    )
    expect(() => hidden.turn(hidden.begin({}).state, { type: 'go' })).toThrow(UnknownAction)
  })
})

describe('which events are known', () => {
  it('those that the machine writes, also through a wildcard, and its own timers and reads', () => {
    for (const type of [
      'pay',
      'relay.ok',
      'relay.anything.else',
      'xstate.after.patience.order.open',
      'xstate.done.actor.balance',
      'xstate.error.actor.balance',
    ])
      expect([type, machine.knows(type)]).toEqual([type, true])
    expect(machine.events).toContain('relay.*')
  })

  it('nothing else, above all nothing that XState would obey', () => {
    for (const type of [
      'unknown',
      'relayed',
      'xstate.stop',
      'xstate.init',
      'xstate.error.actor.other',
      'xstate.after.1.order.open',
      'xstate.done.state.order.both',
    ])
      expect([type, machine.knows(type)]).toEqual([type, false])
  })
})

describe('a stored snapshot', () => {
  it('gives the same state back, reads and history included', () => {
    const { state } = after({ type: 'pay' }, balance)
    const loaded = machine.load(machine.store(state, 42))
    expect(loaded.sequence).toBe(42)
    expect(machine.turn(loaded.state, { type: 'back' }).state.value).toEqual(machine.turn(state, { type: 'back' }).state.value)
    const paying = machine.load(machine.store(after({ type: 'pay' }).state, 1)).state
    expect(machine.turn(paying, balance).outputs).toContainEqual({ does: 'stop read', invoke: 'balance' })
  })

  it('of an ended actor stays ended', () => {
    expect(machine.load(machine.store(after({ type: 'stop' }).state, 2)).state.status).toBe('done')
  })

  it('without history and reads is the value, the context and nothing more', () => {
    expect(JSON.parse(new TextDecoder().decode(machine.store(begin().state, 1)))).toEqual({
      v: 3,
      h: machine.hash,
      s: 1,
      value: 'open',
      c: { tries: 0, note: '', limit: 9 },
    })
  })

  it('of another version, another structure or an unknown state is refused', () => {
    const good = { v: 3, h: machine.hash, s: 1, value: 'open', c: {} }
    expect(() => machine.load(bytes({ ...good, v: 2 }))).toThrow(SnapshotMismatch)
    expect(() => machine.load(bytes({ ...good, h: '0' }))).toThrow(SnapshotMismatch)
    expect(() => machine.load(bytes({ ...good, value: 'gone' }))).toThrow(/no state "gone"/)
  })

  it('is refused where the context is not JSON', () => {
    const odd = runnable(setup({ types: { events: {} as { type: 'go' } } }).createMachine({ context: () => ({ units: 1n }) }), 1)
    expect(() => odd.store(odd.begin({}).state, 1)).toThrow(TurnFailed)
  })
})

describe('the structure hash', () => {
  const of = (config: object, implementations: object = {}): string => runnable(loose(config, implementations), 1).hash

  it('is 16 hex digits, the same for the same structure whatever the order of keys', () => {
    expect(machine.hash).toMatch(/^[0-9a-f]{16}$/)
    expect(runnable(order, 3).hash).toBe(machine.hash)
    expect(of({ initial: 'a', states: { a: {}, b: {} } })).toBe(of({ states: { b: {}, a: {} }, initial: 'a' }))
  })

  it('differs where a state, a target, an always or the meaning of an action differs', () => {
    const base = of({ initial: 'a', states: { a: { on: { go: 'b' } }, b: {} } })
    expect(of({ initial: 'a', states: { a: { on: { go: 'b' } }, b: {}, c: {} } })).not.toBe(base)
    expect(of({ initial: 'a', states: { a: { on: { go: 'a' } }, b: {} } })).not.toBe(base)
    expect(
      of(
        { initial: 'a', states: { a: { on: { go: 'b' }, always: { guard: 'no', target: 'b' } }, b: {} } },
        { guards: { no: () => false } },
      ),
    ).not.toBe(base)
    const acting = (mode: 'idempotent' | 'ask first') => of({ entry: 'act' }, { actions: { act: effect({ mode }) } })
    expect(acting('idempotent')).not.toBe(acting('ask first'))
  })
})

describe('the definition', () => {
  it('is JSON that keeps the names, and a diagram', () => {
    const config = JSON.parse(JSON.stringify(machine.config)) as { states: Record<string, unknown> }
    expect(Object.keys(config.states)).toEqual(['open', 'paying', 'both', 'ended'])
    expect(machine.mermaid()).toContain('open --> paying: pay')
  })
})

describe("XState's own transition()", () => {
  const types = [
    'pay',
    'late',
    'poke',
    'relay.ok',
    'stop',
    'back',
    'xstate.after.patience.order.open',
    'xstate.after.100.order.paying',
    'xstate.after.patience.order.both.right.c',
    'balance',
  ] as const
  const eventOf = (type: string): { type: string } => (type === 'balance' ? balance : { type })

  it('gives the same states for the same events, also with every step stored and loaded between', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...types), { maxLength: 25 }),
        fc.integer({ min: 0, max: 3 }),
        fc.boolean(),
        (events, limit, cold) => {
          // Its actor is not started: promises are never run here either.
          let theirs = initialTransition(order, { limit })[0] as AnyMachineSnapshot
          let ours = machine.begin({ limit }).state
          for (const type of events) {
            if (theirs.status !== 'active') break
            theirs = transition(order, theirs as never, eventOf(type) as never)[0] as AnyMachineSnapshot
            ours = machine.turn(ours, eventOf(type)).state
            if (cold) ours = machine.load(machine.store(ours, 1)).state
            expect({ value: ours.value, context: ours.context, status: ours.status }).toEqual({
              value: theirs.value,
              context: theirs.context,
              status: theirs.status,
            })
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('asks for the same timers', () => {
    const [snapshot, actions] = initialTransition(order, { limit: 9 })
    const timers = (list: readonly { type: string; params?: unknown }[]) =>
      list.filter(({ type }) => type === 'xstate.raise').map(({ params }) => (params as { id: string }).id)
    expect(timers(actions)).toEqual(
      begin()
        .outputs.filter((output) => output.does === 'set timer')
        .map(({ timer }) => timer),
    )
    expect(snapshot.value).toBe(begin().state.value)
  })
})

describe('internals of XState 5.33.3 that the runtime leans on', () => {
  it('a machine has idMap, options, implementations and transition(snapshot, event, scope)', () => {
    const inside = order as unknown as Record<string, unknown>
    expect(inside['idMap']).toBeInstanceOf(Map)
    expect(inside['options']).toHaveProperty('maxIterations')
    expect(Object.keys(inside['implementations'] as object).sort()).toEqual(['actions', 'actors', 'delays', 'guards'])
    expect((inside['transition'] as { length: number }).length).toBe(3)
  })

  it('built-in actions carry type and resolve, and an assign is never executed', () => {
    for (const builtin of [assign({}), raise({ type: 'x' }), cancel('x'), enqueueActions(() => {})])
      expect(builtin).toEqual(
        expect.objectContaining({ type: expect.stringMatching(/^xstate\./) as string, resolve: expect.any(Function) as () => void }),
      )
    expect(assign({})).not.toHaveProperty('execute')
  })

  it('a snapshot carries _nodes with invoke, children and historyValue', () => {
    const snapshot = begin().state.snapshot as Record<string, unknown>
    expect(snapshot).toEqual(expect.objectContaining({ _nodes: expect.any(Array) as unknown[], children: {}, historyValue: {} }))
  })
})
