import { assign, setup } from 'xstate'
import type { Stamp } from '../contracts/stamp.ts'

type FeedEvent = Stamp &
  (
    | { type: 'connection.starting' }
    | { type: 'connection.up' }
    | { type: 'connection.down'; reason: string }
    /** the venue refuses us: a credential is missing or wrong */
    | { type: 'connection.blocked'; reason: string }
  )

/** Who a feed is to its venue. The socket reconnects by itself; this remembers what became of it. */
export const feedMachine = setup({
  types: {
    context: {} as {
      /** ms: when the present state began */
      since: number | null
      /** connections after the first */
      reconnects: number
      connections: number
      last_reason: string | null
      last_up_at: number | null
    },
    events: {} as FeedEvent,
  },
  guards: {
    tellsSomethingNew: ({ context, event }) => 'reason' in event && event.reason !== context.last_reason,
  },
  actions: {
    noteSince: assign({ since: ({ event }) => event.now }),
    noteReason: assign({ last_reason: ({ context, event }) => ('reason' in event ? event.reason : context.last_reason) }),
    noteUp: assign({
      connections: ({ context }) => context.connections + 1,
      reconnects: ({ context }) => context.connections,
      last_up_at: ({ event }) => event.now,
    }),
  },
}).createMachine({
  id: 'feed',
  context: { since: null, reconnects: 0, connections: 0, last_reason: null, last_up_at: null },
  initial: 'connecting',
  on: {
    'connection.starting': { target: '.connecting', actions: 'noteSince' },
    'connection.up': { target: '.connected', actions: ['noteSince', 'noteUp'] },
    'connection.down': { target: '.disconnected', actions: ['noteSince', 'noteReason'] },
    'connection.blocked': { target: '.blocked', actions: ['noteSince', 'noteReason'] },
  },
  states: {
    connecting: {},
    connected: { on: { 'connection.up': {} } },
    // A venue that is away says so again at every attempt: only a new reason is worth a row.
    disconnected: { on: { 'connection.down': [{ guard: 'tellsSomethingNew', actions: 'noteReason' }, {}] } },
    blocked: { on: { 'connection.blocked': [{ guard: 'tellsSomethingNew', actions: 'noteReason' }, {}] } },
  },
})
