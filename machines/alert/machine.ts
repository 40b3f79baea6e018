import { assign, setup } from 'xstate'
import { message, tell } from '../contracts/actions.ts'
import type { Outgoing } from '../contracts/actions.ts'
import type { AlertEvent as AlertRecord } from '../contracts/records/operations.ts'
import type { Stamp } from '../contracts/stamp.ts'
import { BOARD } from './board.ts'
import type { BoardEvent, Severity } from './board.ts'

/**
 * It is well. `good_for_ms`: only so long, counted from `as_of_ms`; without news by then the alert is raised for
 * `reason_if_late`. Null: well until something else is heard. `ends`: nothing more will be heard.
 */
export interface Good {
  readonly type: 'condition.good'
  readonly reason: string
  readonly as_of_ms: number
  readonly good_for_ms: number | null
  readonly reason_if_late: string
  readonly severity: Severity
  readonly ends?: boolean
}

/** It is not. Raised once it has lasted `for_ms`; cleared by itself after `quiet_ms` without another; null: never by itself. */
export interface Bad {
  readonly type: 'condition.bad'
  readonly reason: string
  readonly for_ms: number
  readonly quiet_ms: number | null
  readonly severity: Severity
}

type AlertEvent = Stamp & (Good | Bad)

interface Context {
  readonly key: string
  readonly pair: string
  readonly reason: string
  readonly reason_if_late: string
  readonly severity: Severity
  /** ms: when the present condition began */
  readonly since: number
  /** ms: until when the last good news holds; null: until something else is heard */
  readonly good_until: number | null
  readonly for_ms: number
  readonly quiet_ms: number | null
}

/**
 * One condition on one subject; the key is `<alert>:<subject>`, for instance `stale-price:BTC/EURe`. Inputs are judged
 * where they are routed; here is only time. How long things may last rides on each event, so that it is in the journal.
 */
export const alertMachine = setup({
  types: {
    input: {} as { key: string; pair: string },
    context: {} as Context,
    events: {} as AlertEvent,
  },
  guards: {
    ends: ({ event }) => event.type === 'condition.good' && event.ends === true,
    isForever: ({ context }) => context.good_until === null,
    isLate: ({ event }) => (goodUntil(event) ?? Number.POSITIVE_INFINITY) <= event.now,
    isLonger: ({ context, event }) => context.good_until !== null && (goodUntil(event) ?? 0) >= context.good_until,
    holdsLonger: ({ context, event }) => (context.good_until ?? 0) > event.now,
    isAtOnce: ({ event }) => event.type === 'condition.bad' && event.for_ms <= 0,
    isSame: ({ context, event }) =>
      event.type === 'condition.bad' && event.severity === context.severity && event.reason === context.reason,
    clearsItself: ({ context }) => context.quiet_ms !== null,
  },
  actions: {
    noteGood: assign(({ event }) =>
      event.type !== 'condition.good'
        ? {}
        : {
            reason: event.reason,
            reason_if_late: event.reason_if_late,
            severity: event.severity,
            since: event.now,
            good_until: goodUntil(event),
          },
    ),
    prolong: assign({ good_until: ({ event }) => goodUntil(event) }),
    noteLate: assign(({ event, context }) => ({
      reason: event.type === 'condition.good' ? event.reason_if_late : context.reason_if_late,
      severity: event.type === 'condition.good' ? event.severity : context.severity,
      since: event.now,
      quiet_ms: null,
    })),
    noteBad: assign(({ event }) =>
      event.type !== 'condition.bad'
        ? {}
        : { reason: event.reason, severity: event.severity, since: event.now, for_ms: event.for_ms, quiet_ms: event.quiet_ms },
    ),
    noteQuiet: assign(({ event }) => ({ reason: 'quiet since', since: event.now, good_until: null })),
    publishRaised: message<AlertRecord>('ops.alert_event'),
    publishCleared: message<AlertRecord>('ops.alert_event'),
    tellBoard: tell<BoardEvent>(),
  },
  delays: {
    whileGood: ({ context, event }) => Math.max(0, (context.good_until ?? 0) - event.now),
    whilePending: ({ context }) => context.for_ms,
    whileLoud: ({ context }) => context.quiet_ms ?? 0,
  },
}).createMachine({
  id: 'alert',
  context: ({ input }) => ({
    ...input,
    reason: '',
    reason_if_late: '',
    severity: 'info',
    since: 0,
    good_until: null,
    for_ms: 0,
    quiet_ms: null,
  }),
  initial: 'fine',
  states: {
    fine: {
      initial: 'forever',
      on: {
        'condition.good': [
          { guard: 'ends', target: 'ended', actions: 'noteGood' },
          { guard: 'isLate', target: 'raised', actions: 'noteLate' },
          { target: '.choosing', actions: 'noteGood' },
        ],
        'condition.bad': [
          { guard: 'isAtOnce', target: 'raised', actions: 'noteBad' },
          { target: 'pending', actions: 'noteBad' },
        ],
      },
      states: {
        choosing: { always: [{ guard: 'isForever', target: 'forever' }, { target: 'until' }] },
        forever: {},
        until: {
          // News comes many times a second: it moves a date, and the timer looks at it when it fires.
          on: {
            'condition.good': [
              { guard: 'ends', target: '#alert.ended', actions: 'noteGood' },
              { guard: 'isLate' },
              { guard: 'isLonger', actions: 'prolong' },
              { target: 'choosing', actions: 'noteGood' },
            ],
          },
          after: {
            whileGood: [
              { guard: 'holdsLonger', target: 'until', reenter: true },
              { target: '#alert.raised', actions: 'noteLate' },
            ],
          },
        },
      },
    },
    pending: {
      on: {
        'condition.good': [
          { guard: 'ends', target: 'ended', actions: 'noteGood' },
          { guard: 'isLate' },
          { target: 'fine.choosing', actions: 'noteGood' },
        ],
        // Counted from the first: a condition that repeats itself must not put its own alert off.
        'condition.bad': [{ guard: 'isAtOnce', target: 'raised', actions: 'noteBad' }, {}],
      },
      after: { whilePending: 'raised' },
    },
    raised: {
      entry: [
        { type: 'publishRaised', params: ({ context }) => toRecord(context, 'raised', context.reason) },
        { type: 'tellBoard', params: ({ context }) => toBoard(context, 'raised', context.reason) },
      ],
      exit: [
        { type: 'publishCleared', params: ({ context, event }) => toRecord(context, 'cleared', clearingReason(context, event)) },
        { type: 'tellBoard', params: ({ context, event }) => toBoard(context, 'cleared', clearingReason(context, event)) },
      ],
      initial: 'choosing',
      on: {
        'condition.good': [
          { guard: 'ends', target: 'ended', actions: 'noteGood' },
          { guard: 'isLate' },
          { target: 'fine.choosing', actions: 'noteGood' },
        ],
        'condition.bad': [
          { guard: 'isSame', target: '.choosing' },
          {
            target: '.choosing',
            actions: [
              'noteBad',
              { type: 'publishRaised', params: ({ context }) => toRecord(context, 'raised', context.reason) },
              { type: 'tellBoard', params: ({ context }) => toBoard(context, 'raised', context.reason) },
            ],
          },
        ],
      },
      states: {
        choosing: { always: [{ guard: 'clearsItself', target: 'loud' }, { target: 'open' }] },
        open: {},
        loud: { after: { whileLoud: { target: '#alert.fine.forever', actions: 'noteQuiet' } } },
      },
    },
    ended: { type: 'final' },
  },
})

const goodUntil = (event: AlertEvent): number | null =>
  event.type === 'condition.good' && event.good_for_ms !== null ? event.as_of_ms + event.good_for_ms : null

const clearingReason = (context: Context, event: AlertEvent): string =>
  event.type === 'condition.good' ? event.reason : `quiet since: ${context.reason}`

const toRecord = ({ key, pair, severity, since }: Context, transition: 'raised' | 'cleared', reason: string): Outgoing<AlertRecord> => {
  const at = key.indexOf(':')
  return {
    payload: {
      alert_id: key,
      alert: key.slice(0, at),
      subject: key.slice(at + 1),
      pair,
      severity,
      transition,
      reason: reason.slice(0, 500),
      // of the condition, also where it is cleared: when it was raised
      since: new Date(since).toISOString(),
    },
  }
}

const toBoard = (
  { key, severity }: Context,
  transition: 'raised' | 'cleared',
  reason: string,
): { to: typeof BOARD; event: BoardEvent } => ({
  to: BOARD,
  event: { type: `alert.${transition}`, alert_id: key, severity, reason: reason.slice(0, 200) },
})
