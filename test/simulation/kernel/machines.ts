import { assign, fromPromise, setup } from 'xstate'
import { effect, message, tell } from '#machines/contracts/actions.ts'
import type { Outgoing } from '#machines/contracts/actions.ts'
import { commandId } from '#machines/contracts/ids.ts'
import type { AlertEvent } from '#machines/contracts/records/operations.ts'
import type { SwapDemand } from '#machines/contracts/records/quote.ts'
import type { ExecuteTrade, ResultCode, TradeResult } from '#machines/contracts/records/trade.ts'
import { isFinal } from '#machines/contracts/records/trade.ts'
import type { Address, Stamp } from '#machines/contracts/stamp.ts'
import type { Submission } from './venue.ts'

/**
 * Small machines that use everything the kernel has: messages, tells within a lane, `after`, an invoked read, idempotent and
 * ask-first effects, configuration, orders, parked actors. What they decide is of no interest.
 */

const DESK: Address = { kind: 'desk', key: 'desk' }
const quoteOf = (quote_id: string): Address => ({ kind: 'quote', key: quote_id })
/** Longer than the cap of a record. */
const HUGE = 'x'.repeat(300 * 1024)

type QuoteEvent = Stamp &
  (
    | { type: 'demand.arrived'; demand: SwapDemand }
    | { type: 'result.arrived'; result: TradeResult }
    | { type: 'granted' }
    | { type: 'denied' }
    | { type: 'actor.parked'; parked: Address }
  )

export const quoteMachine = setup({
  types: {
    input: {} as { quote_id: string },
    context: {} as { quote_id: string; demand: SwapDemand | null; price: string; waited: number; results: number },
    events: {} as QuoteEvent,
  },
  actors: { price: fromPromise<{ price: string }, { quote_id: string }>(async () => ({ price: '1' })) },
  guards: {
    explodes: ({ context }) => {
      if (context.quote_id.startsWith('boom')) throw new Error(`no reading ${context.quote_id}`)
      return false
    },
    isFinal: ({ event }) => event.type === 'result.arrived' && isFinal(event.result.result_code),
  },
  actions: {
    keep: assign(({ event }) => (event.type === 'demand.arrived' ? { demand: event.demand } : {})),
    countResult: assign({ results: ({ context }) => context.results + 1 }),
    countWait: assign({ waited: ({ context }) => context.waited + 1 }),
    tellDesk: tell<{ type: 'asked' | 'freed'; quote_id: string }>(),
    command: message<ExecuteTrade>('cmd.execute_trade'),
    alert: message<AlertEvent>('ops.alert_event'),
  },
}).createMachine({
  id: 'quote',
  context: ({ input }) => ({ quote_id: input.quote_id, demand: null, price: '0', waited: 0, results: 0 }),
  initial: 'idle',
  on: { 'demand.arrived': {}, 'result.arrived': {}, granted: {}, denied: {}, 'actor.parked': '.ended' },
  states: {
    idle: {
      on: {
        'demand.arrived': [
          { guard: 'explodes', target: 'ended' },
          { target: 'pricing', actions: 'keep' },
        ],
      },
    },
    pricing: {
      invoke: {
        id: 'price',
        src: 'price',
        input: ({ context }) => ({ quote_id: context.quote_id }),
        onDone: { target: 'asking', actions: assign({ price: ({ event }) => event.output.price }) },
        onError: 'resting',
      },
      after: { 900: { target: 'pricing', reenter: true, actions: 'countWait' } },
    },
    resting: { after: { 40: 'pricing' } },
    asking: {
      entry: { type: 'tellDesk', params: ({ context }) => ({ to: DESK, event: { type: 'asked', quote_id: context.quote_id } }) },
      on: { granted: 'trading', denied: 'ended' },
    },
    trading: {
      entry: { type: 'command', params: ({ context, event }) => toCommand(context.demand!, event.now) },
      after: {
        1_500: { actions: ['countWait', { type: 'alert', params: ({ context, event }) => toAlert(context.demand!, 'raised', event) }] },
      },
      on: {
        'result.arrived': [
          {
            guard: 'isFinal',
            target: 'ended',
            actions: [
              'countResult',
              { type: 'tellDesk', params: ({ context }) => ({ to: DESK, event: { type: 'freed', quote_id: context.quote_id } }) },
              { type: 'alert', params: ({ context, event }) => toAlert(context.demand!, 'cleared', event) },
            ],
          },
          { actions: 'countResult' },
        ],
      },
    },
    ended: { type: 'final' },
  },
})

const toCommand = (demand: SwapDemand, now: number): Outgoing<ExecuteTrade> => ({
  payload: {
    command_id: commandId(demand.quote_id),
    idempotency_key: demand.quote_id,
    execution_key: 'sim',
    decision_id: `dec-${demand.quote_id}`,
    quote_id: demand.quote_id,
    pair: demand.pair,
    direction: demand.direction,
    asset_in: demand.asset_in,
    asset_out: demand.asset_out,
    amount_in: '1',
    amount_out: '1',
    fixed_side: 'in',
    answer_by: new Date(now + 500).toISOString(),
    offer_deadline: new Date(now + 1_500).toISOString(),
    reason: demand.quote_id.startsWith('huge') ? HUGE : 'sim',
  },
})

const toAlert = ({ quote_id, pair }: SwapDemand, transition: 'raised' | 'cleared', { id, now }: Stamp): Outgoing<AlertEvent> => ({
  payload: {
    alert_id: id,
    alert: 'late',
    subject: quote_id,
    pair,
    severity: 'info',
    transition,
    reason: 'sim',
    since: new Date(now).toISOString(),
  },
})

type DeskEvent = Stamp &
  (
    | { type: 'asked' | 'freed'; quote_id: string }
    | { type: 'configured'; limit: number }
    | { type: 'order.limit'; limit: number }
    | { type: 'actor.parked'; parked: Address }
    | { type: 'paused' | 'resumed' }
  )

export const deskMachine = setup({
  types: {
    context: {} as {
      limit: number
      configured: number | null
      open: number
      granted: number
      denied: number
      freed: number
      beats: number
    },
    events: {} as DeskEvent,
  },
  guards: { hasRoom: ({ context }) => context.open < context.limit },
  actions: {
    answer: tell<{ type: 'granted' | 'denied' }>(),
    grant: assign(({ context }) => ({ open: context.open + 1, granted: context.granted + 1 })),
    deny: assign({ denied: ({ context }) => context.denied + 1 }),
    free: assign(({ context }) => ({ open: context.open - 1, freed: context.freed + 1 })),
    beat: assign({ beats: ({ context }) => context.beats + 1 }),
    // What the environment says counts when it changes; an order stays until then.
    configure: assign(({ context, event }) =>
      event.type === 'configured' && event.limit !== context.configured ? { limit: event.limit, configured: event.limit } : {},
    ),
    order: assign(({ event }) => (event.type === 'order.limit' ? { limit: event.limit } : {})),
  },
}).createMachine({
  id: 'desk',
  context: { limit: 0, configured: null, open: 0, granted: 0, denied: 0, freed: 0, beats: 0 },
  initial: 'beating',
  on: {
    asked: [
      {
        guard: 'hasRoom',
        actions: ['grant', { type: 'answer', params: ({ event }) => ({ to: asker(event), event: { type: 'granted' } }) }],
      },
      { actions: ['deny', { type: 'answer', params: ({ event }) => ({ to: asker(event), event: { type: 'denied' } }) }] },
    ],
    freed: { actions: 'free' },
    configured: { actions: 'configure' },
    'order.limit': { actions: 'order' },
    // A quote that broke over its grant holds nothing.
    'actor.parked': { actions: 'free' },
    paused: {},
    resumed: {},
  },
  states: { beating: { after: { 700: { target: 'beating', reenter: true, actions: 'beat' } } } },
})

const asker = (event: DeskEvent): Address => quoteOf('quote_id' in event ? event.quote_id : '')

type CommandEvent = Stamp &
  (
    | { type: 'command.arrived'; command: ExecuteTrade }
    | { type: 'peek.done' | 'peek.failed' }
    | { type: 'submit.answered' | 'submit.uncertain' | 'submit.happened' | 'submit.never'; effect: string }
    | { type: 'submit.not_sent'; effect: string; reason: string }
    | { type: 'note.done' | 'note.failed' }
  )

export const commandMachine = setup({
  types: { context: {} as { command: ExecuteTrade | null; peeks: number }, events: {} as CommandEvent },
  actions: {
    keep: assign(({ event }) => (event.type === 'command.arrived' ? { command: event.command } : {})),
    countPeek: assign({ peeks: ({ context }) => context.peeks + 1 }),
    peek: effect<object>({ mode: 'idempotent' }),
    note: effect<object>({ mode: 'idempotent' }),
    submit: effect<Omit<Submission, 'effect'>>({ mode: 'ask first' }),
    publish: message<TradeResult>('exec.trade_result'),
  },
}).createMachine({
  id: 'command',
  context: { command: null, peeks: 0 },
  initial: 'idle',
  on: { 'command.arrived': {}, 'note.done': {}, 'note.failed': {} },
  states: {
    idle: { on: { 'command.arrived': { target: 'peeking', actions: 'keep' } } },
    peeking: { entry: ['countPeek', { type: 'peek', params: {} }], on: { 'peek.done': 'submitting', 'peek.failed': 'resting' } },
    resting: { after: { 30: 'peeking' } },
    submitting: {
      entry: {
        type: 'submit',
        params: ({ context, event }) => ({ command_id: context.command!.command_id, not_after_ms: event.now + 1_200 }),
      },
      on: {
        'submit.answered': { actions: { type: 'publish', params: ({ context }) => toResult(context.command!, 'SUBMITTED') } },
        'submit.uncertain': { actions: { type: 'publish', params: ({ context }) => toResult(context.command!, 'UNCERTAIN') } },
        'submit.happened': {
          target: 'ended',
          actions: { type: 'publish', params: ({ context }) => toResult(context.command!, 'SETTLED') },
        },
        'submit.never': {
          target: 'ended',
          actions: { type: 'publish', params: ({ context }) => toResult(context.command!, 'EXPIRED_UNUSED') },
        },
        'submit.not_sent': {
          target: 'ended',
          actions: { type: 'publish', params: ({ context, event }) => toResult(context.command!, whyNot(event.reason)) },
        },
      },
    },
    ended: { entry: { type: 'note', params: {} }, type: 'final' },
  },
})

const whyNot = (reason: string): ResultCode => (reason === 'too late' ? 'TOO_LATE' : 'DISARMED')

const toResult = (command: ExecuteTrade, result_code: ResultCode): Outgoing<TradeResult> => ({
  payload: {
    command_id: command.command_id,
    idempotency_key: command.idempotency_key,
    execution_key: command.execution_key,
    quote_id: command.quote_id,
    execution_id: null,
    pair: command.pair,
    direction: command.direction,
    asset_in: command.asset_in,
    asset_out: command.asset_out,
    amount_in: command.amount_in,
    amount_out: command.amount_out,
    status: 'submitted',
    result_code,
    quote_hash: null,
    tx_hash: null,
    settled_height: null,
    note: null,
  },
})

export const tallyMachine = setup({
  types: {
    context: {} as { armed: number; disarmed: number },
    events: {} as Stamp & { type: 'armed' | 'disarmed' | 'paused' | 'resumed' },
  },
  actions: {
    arm: assign({ armed: ({ context }) => context.armed + 1 }),
    disarm: assign({ disarmed: ({ context }) => context.disarmed + 1 }),
  },
}).createMachine({
  id: 'tally',
  context: { armed: 0, disarmed: 0 },
  on: { armed: { actions: 'arm' }, disarmed: { actions: 'disarm' }, paused: {}, resumed: {} },
})

/** Counts what it sees, so that what was taken twice, or not at all, shows. */
export const boardMachine = setup({
  types: {
    context: {} as { seen: Readonly<Record<string, number>>; priced: number },
    events: {} as Stamp & { type: 'seen'; topic: string; attached?: { price: unknown } },
  },
  actions: {
    count: assign(({ context, event }) => ({
      seen: { ...context.seen, [event.topic]: (context.seen[event.topic] ?? 0) + 1 },
      priced: context.priced + (event.attached?.price ? 1 : 0),
    })),
  },
}).createMachine({ id: 'board', context: { seen: {}, priced: 0 }, on: { seen: { actions: 'count' } } })
