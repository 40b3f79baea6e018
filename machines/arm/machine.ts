import { assign, setup } from 'xstate'
import { tell } from '../contracts/actions.ts'
import type { Address, Stamp } from '../contracts/stamp.ts'

/** The release of the process that has the lane, and the lane's incarnation. */
export interface Running {
  readonly release: string
  readonly incarnation: string
}

export type ArmEvent = Stamp &
  (
    | {
        type: 'order.arm'
        by: string
        reason: string
        order_id: string
        /** what the order is for; absent: whatever runs when it is taken */
        release?: string | undefined
        incarnation?: string | undefined
      }
    | { type: 'order.disarm'; by: string; reason: string; order_id: string }
    /** sent whenever a process takes the lane, ahead of everything else */
    | ({ type: 'released' } & Running)
    | { type: 'actor.parked'; parked: Address }
  )

export interface ArmContext {
  /** hears `armed` and `disarmed`, each with `by` and `reason` */
  tells: Address
  /** who has the lane; null before the first */
  running: Running | null
  /** what it was armed for; null when disarmed */
  armed_for: Running | null
  by: string
  reason: string
  /** ms: since when it is as it is */
  since_ms: number
  /** the last arm order that was for something else than what runs */
  refused: { by: string; release: string | null; at_ms: number } | null
}

const named = (event: ArmEvent): { by: string; reason: string } =>
  'by' in event ? { by: event.by, reason: event.reason } : { by: 'release', reason: 'not the release that it was armed for' }

/**
 * Whether side effects are allowed in one lane. It survives a crash, and a fresh release starts disarmed (I7): an arm holds
 * only for the release and incarnation that it was given for.
 */
export const armMachine = setup({
  types: { input: {} as { tells: Address }, context: {} as ArmContext, events: {} as ArmEvent },
  guards: {
    isForWhatRuns: ({ context, event }) => event.type === 'order.arm' && isFor(event, context.running),
    isForSomethingElse: ({ context, event }) => event.type === 'released' && !isSame(context.armed_for, event),
  },
  actions: {
    noteArmed: assign(({ context, event }) =>
      event.type !== 'order.arm'
        ? {}
        : {
            armed_for: context.running,
            ...named(event),
            since_ms: event.now,
            refused: null,
          },
    ),
    noteRunning: assign(({ event }) =>
      event.type === 'released' ? { running: { release: event.release, incarnation: event.incarnation } } : {},
    ),
    noteDisarmed: assign(({ event }) => ({ armed_for: null, ...named(event), since_ms: event.now })),
    noteRefused: assign(({ event }) =>
      event.type === 'order.arm' ? { refused: { by: event.by, release: event.release ?? null, at_ms: event.now } } : {},
    ),
    tellListener: tell<{ type: 'armed' | 'disarmed'; by: string; reason: string }>(),
  },
}).createMachine({
  id: 'arm',
  context: ({ input }) => ({
    tells: input.tells,
    running: null,
    armed_for: null,
    by: 'start',
    reason: 'a lane starts disarmed',
    since_ms: 0,
    refused: null,
  }),
  initial: 'disarmed',
  on: { 'actor.parked': {} },
  states: {
    disarmed: {
      on: {
        'order.arm': [
          {
            guard: 'isForWhatRuns',
            target: 'armed',
            actions: [
              'noteArmed',
              { type: 'tellListener', params: ({ context, event }) => ({ to: context.tells, event: { type: 'armed', ...named(event) } }) },
            ],
          },
          { actions: 'noteRefused' },
        ],
        'order.disarm': { actions: 'noteDisarmed' },
        released: { actions: 'noteRunning' },
      },
    },
    armed: {
      on: {
        'order.arm': [{ guard: 'isForWhatRuns', actions: 'noteArmed' }, { actions: 'noteRefused' }],
        'order.disarm': {
          target: 'disarmed',
          actions: [
            'noteDisarmed',
            { type: 'tellListener', params: ({ context, event }) => ({ to: context.tells, event: { type: 'disarmed', ...named(event) } }) },
          ],
        },
        released: [
          {
            guard: 'isForSomethingElse',
            target: 'disarmed',
            actions: [
              'noteRunning',
              'noteDisarmed',
              {
                type: 'tellListener',
                params: ({ context, event }) => ({ to: context.tells, event: { type: 'disarmed', ...named(event) } }),
              },
            ],
          },
          { actions: 'noteRunning' },
        ],
      },
    },
  },
})

const isFor = (order: { release?: string | undefined; incarnation?: string | undefined }, running: Running | null): boolean =>
  running !== null &&
  (order.release === undefined || order.release === running.release) &&
  (order.incarnation === undefined || order.incarnation === running.incarnation)

const isSame = (armed: Running | null, { release, incarnation }: Running): boolean =>
  armed !== null && armed.release === release && armed.incarnation === incarnation
