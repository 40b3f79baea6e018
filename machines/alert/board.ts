import { assign, setup } from 'xstate'
import type { Stamp } from '../contracts/stamp.ts'

export type Severity = 'info' | 'warning' | 'critical'

/** One board a lane: what is raised now and what changed last, so that nobody has to ask every alert. */
export const BOARD = { kind: 'alert-board', key: 'lane' } as const

export interface BoardEvent {
  readonly type: 'alert.raised' | 'alert.cleared'
  readonly alert_id: string
  readonly severity: Severity
  readonly reason: string
}

export interface Active {
  readonly alert_id: string
  readonly severity: Severity
  readonly reason: string
  readonly since_ms: number
}

interface Context {
  /** the newest first, at most `KEPT` */
  readonly active: readonly Active[]
  /** raised and not shown above; the alerts themselves are actors */
  readonly more: number
  readonly last: {
    readonly alert_id: string
    readonly transition: 'raised' | 'cleared'
    readonly reason: string
    readonly at_ms: number
  } | null
  readonly raised: number
  readonly cleared: number
}

const KEPT = 8

export const alertBoardMachine = setup({
  types: { context: {} as Context, events: {} as Stamp & BoardEvent },
  actions: {
    noteRaised: assign(({ context, event: { alert_id, severity, reason, now } }) => {
      const known = context.active.find((one) => one.alert_id === alert_id)
      const active = [{ alert_id, severity, reason, since_ms: known?.since_ms ?? now }, ...context.active.filter((one) => one !== known)]
      return {
        active: active.slice(0, KEPT),
        more: context.more + Math.max(0, active.length - KEPT),
        last: { alert_id, transition: 'raised' as const, reason, at_ms: now },
        raised: context.raised + (known ? 0 : 1),
      }
    }),
    noteCleared: assign(({ context, event: { alert_id, reason, now } }) => {
      const active = context.active.filter((one) => one.alert_id !== alert_id)
      return {
        active,
        more: active.length === context.active.length ? Math.max(0, context.more - 1) : context.more,
        last: { alert_id, transition: 'cleared' as const, reason, at_ms: now },
        cleared: context.cleared + 1,
      }
    }),
  },
}).createMachine({
  id: 'alert-board',
  context: { active: [], more: 0, last: null, raised: 0, cleared: 0 },
  on: { 'alert.raised': { actions: 'noteRaised' }, 'alert.cleared': { actions: 'noteCleared' } },
})
