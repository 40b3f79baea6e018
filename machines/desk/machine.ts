import { assign, setup } from 'xstate'
import { tell } from '../contracts/actions.ts'
import type { SwapDemand } from '../contracts/records/quote.ts'
import type { DecisionReason, TradeDecision } from '../contracts/records/trade.ts'
import type { Address, Stamp } from '../contracts/stamp.ts'
import { keptOrders } from './config.ts'
import type { DeskConfig, Ordered } from './config.ts'
import { decide } from './decide.ts'
import type { Attached, Verdict } from './decide.ts'
import { book, EMPTY_LEDGER, release, reserve, seen } from './ledger.ts'
import type { Ledger } from './ledger.ts'

/** A reservation as its quote holds it: what we give. */
export interface Reserved {
  readonly quote_id: string
  readonly token: string
  /** base units */
  readonly units: string
}

export type DeskEvent = Stamp &
  (
    | ({ type: 'configured' } & DeskConfig)
    | { type: 'order.threshold'; by: string; reason: string; order_id: string; threshold_bps: number }
    | { type: 'order.limits'; by: string; reason: string; order_id: string; max_notional_eure: string }
    | { type: 'armed' | 'disarmed'; by: string; reason: string }
    /** from a quote, which gets `desk.decided` in the same batch */
    | { type: 'quote.asked'; demand: SwapDemand; observed_at: string; attached: Attached }
    /** the quote_id was decided before */
    | { type: 'quote.repeated'; quote_id: string }
    /** it ended without a settlement */
    | ({ type: 'reservation.released' } & Reserved)
    /** it settled; the next inventory records will show it */
    | ({ type: 'reservation.settled'; settled_height: number | null } & Reserved)
    /** a result came for an offer that is open and that nobody here had reserved */
    | ({ type: 'stranger.opened' } & Reserved)
    /** a settlement of something that nobody here had reserved */
    | ({ type: 'stranger.settled'; settled_height: number | null } & Reserved)
    | { type: 'actor.parked'; parked: Address }
  )

export interface DeskContext {
  readonly armed: boolean
  /** the environment's values, as last told */
  readonly configured: DeskConfig
  readonly ordered: Ordered
  readonly ledger: Ledger
  /** decisions not to trade, by their first reason; and `DUPLICATE_QUOTE` */
  readonly skips: Partial<Record<DecisionReason, number>>
  readonly trades: number
  /** results for what nobody here had reserved */
  readonly strangers: number
  readonly latest_decision: Noted | null
  /** the latest that was no trade */
  readonly latest_rejection: Noted | null
}

export type Noted = Pick<TradeDecision, 'quote_id' | 'decision' | 'decision_reason' | 'gross_edge_pct'> & { readonly at_ms: number }

/** What holds at this moment: orders before the environment. */
export const effectiveConfig = ({ configured, ordered }: Pick<DeskContext, 'configured' | 'ordered'>): DeskConfig => ({
  ...configured,
  ...ordered,
})

/**
 * One desk a lane: threshold, caps, arm and what is spoken for. It decides in one turn, so that two quotes can never be
 * promised the same units. The totals equal the sum over the open quotes.
 */
export const deskMachine = setup({
  types: { input: {} as { config: DeskConfig }, context: {} as DeskContext, events: {} as DeskEvent },
  actions: {
    answerQuote: tell<{ type: 'desk.decided' } & Verdict>(),
    noteDecision: assign(({ context, event }) => (event.type === 'quote.asked' ? afterDecision(context, event) : {})),
    noteRepeat: assign(({ context }) => ({ skips: counted(context.skips, 'DUPLICATE_QUOTE') })),
    noteConfig: assign(({ context, event }) => (event.type === 'configured' ? withConfig(context, event) : {})),
    noteThreshold: assign(({ context, event }) =>
      event.type === 'order.threshold' ? { ordered: { ...context.ordered, threshold_bps: event.threshold_bps } } : {},
    ),
    noteLimits: assign(({ context, event }) =>
      event.type === 'order.limits' ? { ordered: { ...context.ordered, max_notional_eure: event.max_notional_eure } } : {},
    ),
    noteArm: assign(({ event }) => ({ armed: event.type === 'armed' })),
    releaseReservation: assign(({ context, event }) =>
      event.type === 'reservation.released' ? { ledger: release(context.ledger, event.token, BigInt(event.units)) } : {},
    ),
    bookSettlement: assign(({ context, event }) => {
      if (event.type !== 'reservation.settled') return {}
      const units = BigInt(event.units)
      return { ledger: book(release(context.ledger, event.token, units), event.token, units, event.settled_height) }
    }),
    reserveForStranger: assign(({ context, event }) =>
      event.type === 'stranger.opened'
        ? { ledger: reserve(context.ledger, event.token, BigInt(event.units)), strangers: context.strangers + 1 }
        : {},
    ),
    bookForStranger: assign(({ context, event }) =>
      event.type === 'stranger.settled'
        ? { ledger: book(context.ledger, event.token, BigInt(event.units), event.settled_height), strangers: context.strangers + 1 }
        : {},
    ),
  },
}).createMachine({
  id: 'desk',
  context: ({ input }) => ({
    armed: false,
    configured: input.config,
    ordered: {},
    ledger: EMPTY_LEDGER,
    skips: {},
    trades: 0,
    strangers: 0,
    latest_decision: null,
    latest_rejection: null,
  }),
  initial: 'open',
  states: {
    open: {
      on: {
        'quote.asked': {
          actions: [
            // First the answer: it is worked out on what stood before the decision.
            {
              type: 'answerQuote',
              params: ({ context, event }) => ({
                to: { kind: 'quote', key: event.demand.quote_id },
                event: { type: 'desk.decided', ...verdictOf(context, event) },
              }),
            },
            'noteDecision',
          ],
        },
        'quote.repeated': { actions: 'noteRepeat' },
        'reservation.released': { actions: 'releaseReservation' },
        'reservation.settled': { actions: 'bookSettlement' },
        'stranger.opened': { actions: 'reserveForStranger' },
        'stranger.settled': { actions: 'bookForStranger' },
        armed: { actions: 'noteArm' },
        disarmed: { actions: 'noteArm' },
        configured: { actions: 'noteConfig' },
        'order.threshold': { actions: 'noteThreshold' },
        'order.limits': { actions: 'noteLimits' },
        'actor.parked': {},
      },
    },
  },
})

type Asked = Extract<DeskEvent, { type: 'quote.asked' }>

/** Asked twice a turn, by the answer and by the assign that follows it: the second time is a look at the first. */
let last: { context: DeskContext; event: Asked; verdict: Verdict } | null = null

const verdictOf = (context: DeskContext, event: Asked): Verdict => {
  if (last?.context === context && last.event === event) return last.verdict
  const verdict = decide(event, { config: effectiveConfig(context), armed: context.armed, ledger: context.ledger })
  last = { context, event, verdict }
  return verdict
}

const afterDecision = (context: DeskContext, event: Asked): Partial<DeskContext> => {
  const { decision, command } = verdictOf(context, event)
  const { quote_id, decision_reason, gross_edge_pct } = decision
  const ledger = seen(context.ledger, event.attached.inventory?.value ?? null)
  const noted: Noted = { quote_id, decision: decision.decision, decision_reason, gross_edge_pct, at_ms: event.now }
  if (command !== null)
    return { ledger: reserve(ledger, command.asset_out, BigInt(command.amount_out)), trades: context.trades + 1, latest_decision: noted }
  return { ledger, skips: counted(context.skips, decision_reason), latest_decision: noted, latest_rejection: noted }
}

const counted = (skips: DeskContext['skips'], reason: DecisionReason): DeskContext['skips'] => ({
  ...skips,
  [reason]: (skips[reason] ?? 0) + 1,
})

const withConfig = (
  context: DeskContext,
  { type: _type, now: _now, id: _id, cause: _cause, ...values }: Extract<DeskEvent, { type: 'configured' }>,
) => ({
  configured: values,
  ordered: keptOrders(context.ordered, context.configured, values),
})
