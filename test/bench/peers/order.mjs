/** W1's machine in plain XState: five events an actor, a context of about 400 bytes. It publishes nothing, which is in the peers' favour. */
import { assign, createMachine, initialTransition, transition } from 'xstate'

export const STEPS = ['opened', 'priced', 'checked', 'signed', 'settled']
const PADDING = 'x'.repeat(300)

/** @param {string} id */
export const orderMachine = (id) =>
  createMachine({
    id,
    context: ({ input }) => ({ order: input?.order ?? '', note: PADDING, steps: 0, last: '' }),
    initial: 'new',
    states: Object.fromEntries(
      ['new', ...STEPS].map((state, index) => {
        const next = STEPS[index]
        const actions = assign({ steps: ({ context }) => context.steps + 1, last: ({ event }) => event.amount })
        return [state, next ? { on: { [next]: { target: next, actions } } } : {}]
      }),
    ),
  })

const machine = orderMachine('order')

/** The next state from a stored one, or from none. What is stored is as small as ours. */
export const turn = (stored, order, event) => {
  const before = stored ? machine.resolveState({ value: stored.value, context: stored.context }) : initialTransition(machine, { order })[0]
  const [{ value, context }] = transition(machine, before, event)
  return { value, context }
}
