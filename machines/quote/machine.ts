import { assign, setup } from 'xstate'
import { message, tell } from '../contracts/actions.ts'
import { NEAR_INTENTS } from '../contracts/ids.ts'
import type { SwapDemand } from '../contracts/records/quote.ts'
import { isFinal } from '../contracts/records/trade.ts'
import type { DecisionReason, ExecuteTrade, ResultCode, TradeDecision, TradeResult } from '../contracts/records/trade.ts'
import type { Address, Stamp } from '../contracts/stamp.ts'

export type QuoteEvent = Stamp &
  (
    | { type: 'demand.arrived'; demand: SwapDemand; observed_at: string }
    | { type: 'desk.decided'; decision: TradeDecision; command: ExecuteTrade | null }
    | { type: 'result.arrived'; result: TradeResult }
    /** the desk is parked: it will decide when it is mended, by then usually QUOTE_EXPIRED */
    | { type: 'actor.parked'; parked: Address }
  )

/** What a quote tells the desk. */
export type QuoteTells =
  | { type: 'quote.asked'; demand: SwapDemand; observed_at: string }
  | { type: 'quote.repeated'; quote_id: string }
  | ({ type: 'reservation.released' | 'stranger.opened' } & Reservation)
  | ({ type: 'reservation.settled' | 'stranger.settled'; settled_height: number | null } & Reservation)

interface Reservation {
  readonly quote_id: string
  readonly token: string
  readonly units: string
}

export interface QuoteContext {
  readonly quote_id: string
  readonly decision_reason: DecisionReason | null
  /** what we give if it settles: reserved at the desk until the truth is known */
  readonly reserved: { readonly token: string; readonly units: string } | null
  readonly latest_result: ResultCode | null
}

const DESK: Address = { kind: 'desk', key: 'desk' }

/**
 * One request for a quote: decided once, and if it trades, waited for until its one final result. However long that takes:
 * an offer without a known end keeps its reservation (I3).
 */
export const quoteMachine = setup({
  types: { input: {} as { quote_id: string }, context: {} as QuoteContext, events: {} as QuoteEvent },
  guards: {
    isTrade: ({ event }) => event.type === 'desk.decided' && event.command !== null,
    hasSettled: ({ event }) => event.type === 'result.arrived' && event.result.result_code === 'SETTLED',
    isFinal: ({ event }) => event.type === 'result.arrived' && isFinal(event.result.result_code),
  },
  actions: {
    publishDecision: message<TradeDecision>('decision.trade_decision'),
    publishCommand: message<ExecuteTrade>('cmd.execute_trade'),
    tellDesk: tell<QuoteTells>(),
    noteDecision: assign(({ event }) =>
      event.type === 'desk.decided'
        ? {
            decision_reason: event.decision.decision_reason,
            reserved: event.command && { token: event.command.asset_out, units: event.command.amount_out },
          }
        : {},
    ),
    noteResult: assign(({ event }) => (event.type === 'result.arrived' ? { latest_result: event.result.result_code } : {})),
    noteStranger: assign(({ event }) =>
      event.type === 'result.arrived' ? { reserved: { token: event.result.asset_out, units: event.result.amount_out } } : {},
    ),
    forgetReservation: assign({ reserved: null }),
  },
}).createMachine({
  id: 'quote',
  context: ({ input }) => ({ quote_id: input.quote_id, decision_reason: null, reserved: null, latest_result: null }),
  initial: 'new',
  on: { 'actor.parked': {} },
  states: {
    new: {
      on: {
        'demand.arrived': {
          target: 'asking',
          actions: {
            type: 'tellDesk',
            params: ({ event }) => ({ to: DESK, event: { type: 'quote.asked', demand: event.demand, observed_at: event.observed_at } }),
          },
        },
        // Storage went back, or the demand was lost with it: what the executor knows is the truth.
        'result.arrived': [
          {
            guard: 'hasSettled',
            target: 'ended',
            actions: ['noteResult', { type: 'tellDesk', params: ({ event }) => ({ to: DESK, event: strangerSettled(event.result) }) }],
          },
          { guard: 'isFinal', target: 'ended', actions: 'noteResult' },
          {
            target: 'open',
            actions: [
              'noteResult',
              'noteStranger',
              { type: 'tellDesk', params: ({ event }) => ({ to: DESK, event: { type: 'stranger.opened', ...given(event.result) } }) },
            ],
          },
        ],
      },
    },
    asking: {
      on: {
        'desk.decided': [
          {
            guard: 'isTrade',
            target: 'open',
            actions: [
              'noteDecision',
              { type: 'publishDecision', params: ({ event }) => ({ venue: NEAR_INTENTS, payload: event.decision }) },
              { type: 'publishCommand', params: ({ event }) => ({ venue: NEAR_INTENTS, payload: theCommand(event.command) }) },
            ],
          },
          {
            target: 'ended',
            actions: [
              'noteDecision',
              { type: 'publishDecision', params: ({ event }) => ({ venue: NEAR_INTENTS, payload: event.decision }) },
            ],
          },
        ],
        'demand.arrived': { actions: { type: 'tellDesk', params: ({ context }) => ({ to: DESK, event: repeated(context) }) } },
        'result.arrived': [
          {
            guard: 'hasSettled',
            actions: { type: 'tellDesk', params: ({ event }) => ({ to: DESK, event: strangerSettled(event.result) }) },
          },
          { actions: 'noteResult' },
        ],
      },
    },
    open: {
      on: {
        'result.arrived': [
          {
            guard: 'hasSettled',
            target: 'ended',
            actions: [
              'noteResult',
              {
                type: 'tellDesk',
                params: ({ context, event }) => ({
                  to: DESK,
                  event: { type: 'reservation.settled', ...held(context), settled_height: event.result.settled_height },
                }),
              },
              'forgetReservation',
            ],
          },
          {
            guard: 'isFinal',
            target: 'ended',
            actions: [
              'noteResult',
              { type: 'tellDesk', params: ({ context }) => ({ to: DESK, event: { type: 'reservation.released', ...held(context) } }) },
              'forgetReservation',
            ],
          },
          { actions: 'noteResult' },
        ],
        'demand.arrived': { actions: { type: 'tellDesk', params: ({ context }) => ({ to: DESK, event: repeated(context) }) } },
      },
    },
    ended: { type: 'final' },
  },
})

/**
 * What the desk has to hear of a quote that has ended: that it was asked again; and, where storage went back and the quote was
 * decided anew, that what it had offered before did settle.
 */
export const afterQuoteEnded = (event: { readonly type: string }, context: QuoteContext): { to: Address; event: QuoteTells } | null => {
  if (event.type === 'demand.arrived') return { to: DESK, event: repeated(context) }
  const { result } = event as Extract<QuoteEvent, { type: 'result.arrived' }>
  const isNews = event.type === 'result.arrived' && result.result_code === 'SETTLED' && context.latest_result !== 'SETTLED'
  return isNews ? { to: DESK, event: strangerSettled(result) } : null
}

const repeated = ({ quote_id }: QuoteContext): QuoteTells => ({ type: 'quote.repeated', quote_id })

const given = ({ quote_id, asset_out, amount_out }: TradeResult): Reservation => ({ quote_id, token: asset_out, units: amount_out })

const strangerSettled = (result: TradeResult): QuoteTells => ({
  type: 'stranger.settled',
  ...given(result),
  settled_height: result.settled_height,
})

/** @throws {Error} never in state open, which is entered with a reservation only */
const held = ({ quote_id, reserved }: QuoteContext): Reservation => {
  if (reserved === null) throw new Error(`quote ${quote_id} is open without a reservation`)
  return { quote_id, ...reserved }
}

const theCommand = (command: ExecuteTrade | null): ExecuteTrade => {
  if (command === null) throw new Error('a trade without its command')
  return command
}
