import { assign, setup } from 'xstate'
import { z } from 'zod'
import type { Answer, OracleAnswer, ServiceDefinition } from '#actors/runtime/service.ts'
import { armMachine } from '#machines/arm/machine.ts'
import { effect, message, tell } from '#machines/contracts/actions.ts'
import type { AlertEvent } from '#machines/contracts/records/operations.ts'
import type { Address, Stamp } from '#machines/contracts/stamp.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'

interface Do extends Stamp {
  readonly type: string
  readonly bytes?: number
  readonly ms?: number
  readonly to?: string
  readonly tell?: object
  readonly not_after_ms?: number
}

/** An actor that does as its events say, and remembers what it was sent. `mind` throws while the outside says so. */
const workerMachine = (outside: Outside) =>
  setup({
    types: { context: {} as { seen: readonly string[]; odd?: unknown }, events: {} as Do, input: {} as { key: string } },
    guards: {
      explodes: () => {
        throw new Error('no reading this')
      },
      isMinded: () => {
        if (outside.broken) throw new Error('it is broken')
        return true
      },
    },
    actions: {
      see: assign({ seen: ({ context, event }) => [...context.seen, event.type] }),
      spoil: assign({ odd: () => 1n }),
      say: message<AlertEvent>('ops.alert_event'),
      tell: tell<{ type: string }>(),
      look: effect<object>({ mode: 'idempotent' }),
      submit: effect<{ not_after_ms: number }>({ mode: 'ask first' }),
    },
  }).createMachine({
    id: 'worker',
    context: { seen: [] },
    initial: 'idle',
    on: {
      note: { actions: 'see' },
      pass: {},
      throw: { guard: 'explodes', target: '.idle' },
      say: { actions: ['see', { type: 'say', params: ({ event }) => ({ payload: alert(event) }) }] },
      tell: {
        actions: ['see', { type: 'tell', params: ({ event }) => ({ to: worker(event.to ?? ''), event: { type: 'note', ...event.tell } }) }],
      },
      loop: {
        actions: ['see', { type: 'tell', params: ({ event }) => ({ to: worker(event.to ?? ''), event: { type: 'loop', to: event.to } }) }],
      },
      wait: '.waiting',
      look: { actions: { type: 'look', params: {} } },
      submit: { actions: ['see', { type: 'submit', params: ({ event }) => ({ not_after_ms: event.now + (event.ms ?? 1_000) }) }] },
      spoil: { actions: 'spoil' },
      end: '.ended',
      'look.*': { actions: 'see' },
      'submit.*': { actions: 'see' },
      'order.poke': { actions: 'see' },
      'order.wait': '.waiting',
      mind: { guard: 'isMinded', actions: 'see' },
      'actor.parked': { actions: 'see' },
    },
    states: {
      idle: {},
      waiting: { after: { 1_000: { target: 'idle', actions: 'see' } } },
      ended: { type: 'final' },
    },
  })

const worker = (key: string): Address => ({ kind: 'worker', key })

/** Keys that PostgreSQL cannot hold. */
const keyOf = (quote_id: string): string => (quote_id === 'nul' ? 'nul\0' : quote_id === 'long' ? 'x'.repeat(3_000) : quote_id)

const alert = ({ id, now, bytes }: Do): AlertEvent => ({
  alert_id: id,
  alert: 'test',
  subject: 'test',
  pair: 'P',
  severity: 'info',
  transition: 'raised',
  reason: 'x'.repeat(bytes ?? 1),
  since: new Date(now).toISOString(),
})

/** What the outside answers; a test changes it. */
export interface Outside {
  readonly sent: string[]
  readonly looked: string[]
  readonly asked: string[]
  /** what `mind` trips over */
  broken: boolean
  look: () => Promise<Answer>
  send: () => Promise<{ answered: Answer } | { not_sent: string }>
  oracle: () => Promise<OracleAnswer>
}

export const outside = (): Outside => ({
  sent: [],
  looked: [],
  asked: [],
  broken: false,
  look: async () => ({ ok: true }),
  send: async () => ({ answered: { kind: 'ok' } }),
  oracle: async () => ({ answer: 'unknown', as_of_ms: 0, detail: {} }),
})

const poke = {
  schema: z.object({}),
  to: worker('w'),
  type: 'order.poke',
  route: { method: 'POST', path: '/poke' },
  summary: 'is seen',
} as const

/**
 * `norm.swap_demand` (work) and `exec.trade_result` (not work) carry what is to be done: `{quote_id: key, reason: event type, ...}`.
 * `gated`: an arm actor a lane.
 */
export const workerService = (of: Outside, { gated = false }: { gated?: boolean } = {}): ServiceDefinition => ({
  name: 'worker',
  lanes: 'keyed',
  kinds: {
    worker: { machine: workerMachine(of), version: 1, input: (key) => ({ key }) },
    lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) },
    ...(gated ? { arm: { machine: armMachine, version: 1, input: () => ({ tells: worker('listener') }) } } : {}),
  },
  inputs: {
    'norm.swap_demand': ({ payload }) => ({ to: worker(keyOf(payload.quote_id)), event: payload['event'] as { type: string } }),
    'exec.trade_result': ({ payload }) => ({ to: worker(payload.quote_id), event: payload['event'] as { type: string } }),
  },
  effects: {
    look: {
      mode: 'idempotent',
      send: (_, { effect: id }) => {
        of.looked.push(id)
        return of.look()
      },
    },
    submit: {
      mode: 'ask first',
      send: async (_, { effect: id, mayStillSend }) => {
        if (!mayStillSend()) return { not_sent: 'gate' }
        of.sent.push(id)
        return of.send()
      },
      ask: (_, { effect: id }) => {
        of.asked.push(id)
        return of.oracle()
      },
      askAfterMs: 200,
      askEveryMs: 500,
    },
  },
  orders: {
    poke,
    wait: { ...poke, type: 'order.wait', route: { method: 'POST', path: '/wait' } },
    unknown: { ...poke, type: 'order.unheard', route: { method: 'POST', path: '/unheard' } },
    ...(gated
      ? {
          arm: { ...poke, to: { kind: 'arm', key: 'arm' }, type: 'order.arm', expiresInMs: 10_000 },
          disarm: { ...poke, to: { kind: 'arm', key: 'arm' }, type: 'order.disarm', shutsGate: true },
        }
      : {}),
  },
  configure: [],
  ...(gated ? { gate: { kind: 'arm' } } : {}),
  retainEndedMs: 60_000,
})
