import { enqueueActions, setup } from 'xstate'
import { tell } from '../contracts/actions.ts'
import type { Address } from '../contracts/stamp.ts'

export interface LifecycleInput {
  /** `process`: in memory, through every phase. `lane`: a durable actor (key `lane`) that is either running or paused. */
  readonly of: 'process' | 'lane'
  /** actors that have something to stop by themselves: they get `paused` and `resumed` */
  readonly tells?: readonly Address[]
}

type LifecycleEvent =
  | { type: 'started' }
  | { type: 'recovered' }
  | { type: 'order.pause'; by: string; reason: string }
  | { type: 'order.resume'; by: string; reason: string }
  | { type: 'drain' }
  | { type: 'drained' }

/**
 * The life of every host. `pause` stops work inputs and keeps the process; `drain` finishes what is under way and ends.
 * A pause is an order about the service, so it outlives processes; a drain is about one process and does not.
 */
export const lifecycleMachine = setup({
  types: {
    input: {} as LifecycleInput,
    context: {} as { of: LifecycleInput['of']; tells: readonly Address[] },
    events: {} as LifecycleEvent,
  },
  guards: { isLane: ({ context }) => context.of === 'lane' },
  actions: {
    tell: tell<{ type: 'paused' } | { type: 'resumed' }>(),
    tellPaused: enqueueActions(({ context, enqueue }) => {
      for (const to of context.tells) enqueue({ type: 'tell', params: { to, event: { type: 'paused' } } })
    }),
    tellResumed: enqueueActions(({ context, enqueue }) => {
      for (const to of context.tells) enqueue({ type: 'tell', params: { to, event: { type: 'resumed' } } })
    }),
  },
}).createMachine({
  id: 'lifecycle',
  context: ({ input }) => ({ of: input.of, tells: input.tells ?? [] }),
  initial: 'starting',
  // Known in every state: an order that changes nothing is answered, never parked.
  on: { 'order.pause': {}, 'order.resume': {}, started: {}, recovered: {}, drain: '.draining', drained: {} },
  states: {
    starting: { always: { guard: 'isLane', target: 'running' }, on: { started: 'recovering' } },
    recovering: { on: { recovered: 'running' } },
    running: { on: { 'order.pause': { target: 'paused', actions: 'tellPaused' } } },
    paused: { on: { 'order.resume': { target: 'running', actions: 'tellResumed' } } },
    draining: { on: { drained: 'drained', drain: {} } },
    drained: { type: 'final' },
  },
})
