import { assign, setup } from 'xstate'
import type { AnyStateMachine } from 'xstate'
import { message } from '#machines/contracts/actions.ts'
import type { Stamp } from '#machines/contracts/stamp.ts'

/** W1: five events an actor, a context of about 400 bytes, one message out a turn. */
export const EVENTS_AN_ACTOR = 5
export const STEPS = ['opened', 'priced', 'checked', 'signed', 'settled'] as const
type Step = (typeof STEPS)[number]

export interface OrderContext {
  readonly order: string
  readonly note: string
  readonly steps: number
  readonly last: string
}

const PADDING = 'x'.repeat(300)
export const freshContext = (order: string): OrderContext => ({ order, note: PADDING, steps: 0, last: '' })

type OrderEvent = Stamp & { type: Step; amount: string }

/** A payload of about 300 bytes. */
export const alertOf = ({ order, steps }: OrderContext, { id, now, amount }: { id: string; now: number; amount: string }) => ({
  payload: {
    alert_id: order,
    alert: 'bench',
    subject: `${order} step ${steps}`,
    pair: 'BTC/EURe',
    severity: 'info',
    transition: 'raised',
    reason: `amount ${amount}, turn ${id}`,
    since: new Date(now).toISOString(),
  },
})

export const orderMachine: AnyStateMachine = setup({
  types: { input: {} as { order: string }, context: {} as OrderContext, events: {} as OrderEvent },
  actions: {
    note: assign({ steps: ({ context }) => context.steps + 1, last: ({ event }) => event.amount }),
    say: message<object>('ops.alert_event'),
  },
}).createMachine({
  id: 'order',
  context: ({ input }: { input: { order: string } }) => freshContext(input.order),
  initial: 'new',
  states: Object.fromEntries(
    ['new', ...STEPS].map((state, index) => {
      const next = STEPS[index]
      const actions = [
        'note',
        { type: 'say', params: ({ context, event }: { context: OrderContext; event: OrderEvent }) => alertOf(context, event) },
      ]
      return [state, next ? { on: { [next]: { target: next, actions } } } : {}]
    }),
  ),
} as never) as unknown as AnyStateMachine
