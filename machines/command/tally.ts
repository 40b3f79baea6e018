import { assign, setup } from 'xstate'
import type { ResultCode } from '../contracts/records/trade.ts'
import type { Address, Stamp } from '../contracts/stamp.ts'

export type TallyEvent = Stamp &
  (
    | { type: 'command.opened'; command_id: string; quote_id: string; quote_hash: string; answer_by: string }
    | { type: 'command.answered'; command_id: string; result_code: ResultCode; note: string | null }
    | { type: 'command.ended'; command_id: string; quote_id: string; result_code: ResultCode; note: string | null; was_open: boolean }
    | { type: 'armed' | 'disarmed'; by: string; reason: string }
    | { type: 'actor.parked'; parked: Address }
  )

interface Seen {
  readonly command_id: string
  readonly at_ms: number
}

export interface TallyContext {
  readonly armed: boolean
  readonly in_flight: number
  readonly completed: number
  /** results published, by code */
  readonly results: Partial<Record<ResultCode, number>>
  readonly last_command: (Seen & { readonly quote_id: string }) | null
  readonly last_request: (Seen & { readonly quote_id: string; readonly quote_hash: string }) | null
  readonly last_venue_response: (Seen & { readonly result_code: ResultCode; readonly note: string | null }) | null
}

/** What the commands of one lane have come to: durable, so that a restart does not forget what was seen last. */
export const tallyMachine = setup({
  types: { context: {} as TallyContext, events: {} as TallyEvent },
  actions: {
    noteOpened: assign(({ context, event }) => {
      if (event.type !== 'command.opened') return {}
      const { command_id, quote_id, quote_hash, now: at_ms } = event
      return {
        in_flight: context.in_flight + 1,
        last_command: { command_id, quote_id, at_ms },
        last_request: { command_id, quote_id, quote_hash, at_ms },
      }
    }),
    noteAnswered: assign(({ context, event }) => {
      if (event.type !== 'command.answered') return {}
      const { command_id, result_code, note, now: at_ms } = event
      return { results: counted(context.results, result_code), last_venue_response: { command_id, result_code, note, at_ms } }
    }),
    noteEnded: assign(({ context, event }) => {
      if (event.type !== 'command.ended') return {}
      const { command_id, quote_id, result_code, was_open, now: at_ms } = event
      return {
        in_flight: context.in_flight - (was_open ? 1 : 0),
        completed: context.completed + 1,
        results: counted(context.results, result_code),
        ...(was_open ? {} : { last_command: { command_id, quote_id, at_ms } }),
      }
    }),
    noteArm: assign(({ event }) => ({ armed: event.type === 'armed' })),
  },
}).createMachine({
  id: 'tally',
  context: { armed: false, in_flight: 0, completed: 0, results: {}, last_command: null, last_request: null, last_venue_response: null },
  initial: 'counting',
  states: {
    counting: {
      on: {
        'command.opened': { actions: 'noteOpened' },
        'command.answered': { actions: 'noteAnswered' },
        'command.ended': { actions: 'noteEnded' },
        armed: { actions: 'noteArm' },
        disarmed: { actions: 'noteArm' },
        'actor.parked': {},
      },
    },
  },
})

const counted = (results: TallyContext['results'], code: ResultCode): TallyContext['results'] => ({
  ...results,
  [code]: (results[code] ?? 0) + 1,
})
