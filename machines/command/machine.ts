import { strict as assert } from 'node:assert'
import { assign, setup } from 'xstate'
import { effect, message, tell } from '../contracts/actions.ts'
import type { AskFirst } from '../contracts/actions.ts'
import { NEAR_INTENTS } from '../contracts/ids.ts'
import type { Offer } from '../contracts/nep413.ts'
import type { ExecuteTrade, ResultCode, TradeResult } from '../contracts/records/trade.ts'
import type { Address, Stamp } from '../contracts/stamp.ts'
import { assess } from './assess.ts'
import type { Assessment, Means, Trace } from './assess.ts'
import { NOTE_LENGTH, notSentCode, repeated, resultOf, unusedCode } from './results.ts'
import type { RelaySaid, Repeated } from './results.ts'

/** What the effect handler gets: these bytes are signed as they are, and sent once at most. */
export interface SendOffer extends AskFirst, Offer {
  readonly account_id: string
  readonly quote_id: string
  /** the amount that the request left to us, equal to the signed one */
  readonly quote_output: { readonly amount_out: string } | { readonly amount_in: string }
  /** the chain's "used" of any of them is a settlement, its "unused" only of all; the first is of these bytes */
  readonly asked_for: readonly Trace[]
  /** ms: sending later is pointless */
  readonly answer_by_ms: number
}

/** What the relay said to an offer. */
export type RelayAnswer = { kind: 'ok' } | { kind: 'error'; code?: number | null; text: string } | { kind: 'silence'; reason: string }

export type CommandEvent = Stamp &
  (
    | { type: 'command.received'; command: ExecuteTrade; attached: Means }
    | { type: 'sendOffer.answered'; effect: string; answer: RelayAnswer }
    | { type: 'sendOffer.uncertain'; effect: string }
    | {
        type: 'sendOffer.happened'
        effect: string
        as_of_ms: number
        answer: { tx_hash: string | null; settled_height: number; quote_hash: string }
      }
    | { type: 'sendOffer.never'; effect: string; as_of_ms: number }
    | { type: 'sendOffer.not_sent'; effect: string; reason: string }
    | { type: 'actor.parked'; parked: Address }
  )

export interface CommandContext {
  readonly command_id: string
  /** null until it was received */
  readonly command: Repeated | null
  /** null where nothing was to be sent */
  readonly quote_hash: string | null
  readonly execution_id: string | null
  readonly relay_said: RelaySaid
  /** results on the way that were published; each once at most */
  readonly published: readonly ResultCode[]
  readonly final: ResultCode | null
}

/** What a command tells the lane's tally. */
export type CommandTells =
  | { type: 'command.opened'; command_id: string; quote_id: string; quote_hash: string; answer_by: string }
  | { type: 'command.answered'; command_id: string; result_code: ResultCode; note: string | null }
  | { type: 'command.ended'; command_id: string; quote_id: string; result_code: ResultCode; note: string | null; was_open: boolean }

const TALLY: Address = { kind: 'tally', key: 'tally' }

/**
 * One cmd.execute_trade until its one final exec.trade_result. Sending twice can trade twice; asking twice cannot.
 *
 * C1. `sendOffer` is asked for once in the life of a command (I1).
 * C2. Exactly one final result, whatever comes in whatever order; each result on the way once at most.
 * C3. Once something may have been sent, only the chain ends it: its "yes" at once, its "no" after the offer's deadline.
 */
export const commandMachine = setup({
  types: { input: {} as { command_id: string }, context: {} as CommandContext, events: {} as CommandEvent },
  guards: {
    isRefused: ({ context, event }) => event.type === 'command.received' && assessed(context, event).refusal !== null,
    isNews: ({ context, event }) => {
      const code = onTheWay(event)
      return code !== null && !context.published.includes(code)
    },
  },
  actions: {
    sendOffer: effect<SendOffer>({ mode: 'ask first' }),
    publishResult: message<TradeResult>('exec.trade_result'),
    tellTally: tell<CommandTells>(),
    noteCommand: assign(({ context, event }) =>
      event.type === 'command.received'
        ? { command: repeated(event.command), quote_hash: assessed(context, event).offer?.quote_hash ?? null }
        : {},
    ),
    noteProgress: assign(({ context, event }) => {
      const code = onTheWay(event)
      return {
        ...('effect' in event ? { execution_id: event.effect } : {}),
        ...(event.type === 'sendOffer.answered' ? { relay_said: relayWord(event.answer) } : {}),
        ...(code === null || context.published.includes(code) ? {} : { published: [...context.published, code] }),
      }
    }),
    noteEnd: assign(({ context, event }) => ({ final: endOf(context, event).result_code })),
  },
}).createMachine({
  id: 'command',
  context: ({ input }) => ({
    command_id: input.command_id,
    command: null,
    quote_hash: null,
    execution_id: null,
    relay_said: { kind: 'nothing' },
    published: [],
    final: null,
  }),
  initial: 'new',
  on: { 'actor.parked': {} },
  states: {
    new: {
      on: {
        'command.received': [
          {
            guard: 'isRefused',
            target: 'ended',
            actions: [
              'noteCommand',
              { type: 'publishResult', params: ({ context, event }) => ({ venue: NEAR_INTENTS, payload: endOf(context, event) }) },
              { type: 'tellTally', params: ({ context, event }) => ({ to: TALLY, event: ended(endOf(context, event), false) }) },
              'noteEnd',
            ],
          },
          {
            target: 'offered',
            actions: [
              { type: 'sendOffer', params: ({ context, event }) => toSend(event.command, event.attached, assessed(context, event)) },
              'noteCommand',
              {
                type: 'tellTally',
                params: ({ context, event: { command } }) => ({
                  to: TALLY,
                  event: {
                    type: 'command.opened',
                    command_id: command.command_id,
                    quote_id: command.quote_id,
                    quote_hash: context.quote_hash ?? '',
                    answer_by: command.answer_by,
                  },
                }),
              },
            ],
          },
        ],
      },
    },
    offered: {
      on: {
        'sendOffer.answered': [{ guard: 'isNews', actions: progress() }, { actions: 'noteProgress' }],
        'sendOffer.uncertain': [{ guard: 'isNews', actions: progress() }, { actions: 'noteProgress' }],
        // Seen again while under way: said so, and nothing is sent a second time.
        'command.received': [{ guard: 'isNews', actions: progress() }, {}],
        'sendOffer.happened': { target: 'ended', actions: conclusion() },
        'sendOffer.never': { target: 'ended', actions: conclusion() },
        'sendOffer.not_sent': { target: 'ended', actions: conclusion() },
      },
    },
    ended: { type: 'final' },
  },
})

function progress() {
  return [
    { type: 'publishResult', params: ({ context, event }: Given) => ({ venue: NEAR_INTENTS, payload: progressOf(context, event) }) },
    {
      type: 'tellTally',
      params: ({ context, event }: Given) => {
        const { command_id, result_code, note } = progressOf(context, event)
        return { to: TALLY, event: { type: 'command.answered' as const, command_id, result_code, note } }
      },
    },
    'noteProgress',
  ] as const
}

function conclusion() {
  return [
    { type: 'publishResult', params: ({ context, event }: Given) => ({ venue: NEAR_INTENTS, payload: endOf(context, event) }) },
    { type: 'tellTally', params: ({ context, event }: Given) => ({ to: TALLY, event: ended(endOf(context, event), true) }) },
    'noteProgress',
    'noteEnd',
  ] as const
}

interface Given {
  readonly context: CommandContext
  readonly event: CommandEvent
}
type Received = Extract<CommandEvent, { type: 'command.received' }>

/** Asked for several times a turn, by the guard and by the actions after it; worked out once. */
let last: { key: string; event: Received; assessment: Assessment } | null = null

const assessed = ({ command_id }: CommandContext, event: Received): Assessment => {
  if (last?.event !== event || last.key !== command_id)
    last = { key: command_id, event, assessment: assess(command_id, event.command, event.attached, event) }
  return last.assessment
}

const toSend = (command: ExecuteTrade, means: Means, assessment: Assessment): SendOffer => {
  assert(assessment.offer, `command ${command.command_id} was refused and is to be sent`)
  return {
    ...assessment.offer,
    asked_for: assessment.asked_for,
    account_id: means.account_id,
    quote_id: command.quote_id,
    quote_output: command.fixed_side === 'in' ? { amount_out: command.amount_out } : { amount_in: command.amount_in },
    answer_by_ms: Date.parse(command.answer_by),
    not_after_ms: Date.parse(command.offer_deadline),
  }
}

const relayWord = (answer: RelayAnswer): RelaySaid =>
  answer.kind === 'error' ? { kind: 'error', text: answer.text.slice(0, NOTE_LENGTH) } : { kind: answer.kind }

/** The code of a result on the way, or null for what is none. */
const onTheWay = (event: CommandEvent): ResultCode | null => {
  switch (event.type) {
    case 'sendOffer.answered':
      return event.answer.kind === 'ok' ? 'SUBMITTED' : event.answer.kind === 'error' ? 'REJECTED' : 'UNCERTAIN'
    case 'sendOffer.uncertain':
    case 'command.received':
      return 'RECOVERED'
    default:
      return null
  }
}

const theCommand = (context: CommandContext): Repeated => {
  assert(context.command, `command ${context.command_id} was never received`)
  return context.command
}

const progressOf = (context: CommandContext, event: CommandEvent): TradeResult => {
  const code = onTheWay(event)
  assert(code, `${event.type} is no progress`)
  return resultOf(theCommand(context), code, { ...namesOf(context, event), note: progressNote(event) })
}

const progressNote = (event: CommandEvent): string | null => {
  if (event.type === 'command.received') return 'the command was seen again'
  if (event.type !== 'sendOffer.answered') return 'taken over by another process: the chain is asked'
  if (event.answer.kind === 'ok') return null
  return event.answer.kind === 'error' ? event.answer.text : event.answer.reason
}

const endOf = (context: CommandContext, event: CommandEvent): TradeResult => {
  const names = namesOf(context, event)
  switch (event.type) {
    case 'command.received': {
      const { refusal } = assessed(context, event)
      assert(refusal, `command ${context.command_id} is not refused`)
      return resultOf(repeated(event.command), refusal.code, { note: refusal.note })
    }
    case 'sendOffer.happened':
      return resultOf(theCommand(context), 'SETTLED', { ...names, ...event.answer })
    case 'sendOffer.never': {
      const { relay_said } = context
      const note = relay_said.kind === 'error' ? relay_said.text : null
      return resultOf(theCommand(context), unusedCode(relay_said), { ...names, note })
    }
    case 'sendOffer.not_sent':
      return resultOf(theCommand(context), notSentCode(event.reason), { ...names, note: `not sent: ${event.reason}` })
    default:
      throw new Error(`${event.type} does not end a command`)
  }
}

const namesOf = ({ quote_hash, execution_id }: CommandContext, event: CommandEvent) => ({
  quote_hash,
  execution_id: 'effect' in event ? event.effect : execution_id,
})

const ended = ({ command_id, quote_id, result_code, note }: TradeResult, was_open: boolean): CommandTells => ({
  type: 'command.ended',
  command_id,
  quote_id,
  result_code,
  note,
  was_open,
})
