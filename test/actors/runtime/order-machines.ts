import { assign, setup } from 'xstate'
import type { AnyStateMachine } from 'xstate'
import type { ActorKind, ServiceDefinition } from '#actors/runtime/service.ts'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import { effect } from '#machines/contracts/actions.ts'
import type { Migration, StoredEvent } from '#machines/contracts/migration.ts'
import type { Stamp } from '#machines/contracts/stamp.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import type { Outside } from './worker.ts'

/** A machine in two versions: a state is split in two, a context field, an effect and an event get other names. */

type Said = Stamp & { readonly type: string; readonly size?: number; readonly amount?: string; readonly amount_units?: string }
const LARGE = 100
const sizeOf = (event: Said): number => event.size ?? 0
const untilOffered = (event: Said): { not_after_ms: number } => ({ not_after_ms: event.now + 60_000 })
const unreadable = (): never => {
  throw new Error('no reading this')
}

interface First {
  readonly size: number
  readonly amount: string
}

/** Version 1: `waiting` for five seconds, whatever the size. */
export const firstMachine = setup({
  types: { context: {} as First, events: {} as Said },
  guards: { isUnreadable: ({ event }) => event.amount === 'unreadable' && unreadable() },
  actions: {
    take: assign({ size: ({ event }) => sizeOf(event) }),
    add: assign({ amount: ({ context, event }) => String(BigInt(context.amount) + BigInt(event.amount ?? '0')) }),
    submit: effect<{ not_after_ms: number }>({ mode: 'ask first' }),
  },
}).createMachine({
  id: 'order',
  context: { size: 0, amount: '0' },
  initial: 'idle',
  on: {
    'submit.*': {},
    paid: [{ guard: 'isUnreadable' }, { actions: 'add' }],
    offer: { actions: { type: 'submit', params: ({ event }) => untilOffered(event) } },
  },
  states: {
    idle: { on: { begin: { target: 'waiting', actions: 'take' } } },
    waiting: { after: { 5_000: 'settled' } },
    settled: { on: { finish: 'ended' } },
    ended: { type: 'final' },
  },
})

interface Second {
  readonly size: number
  readonly amount_units: string
}

/** Version 2: small ones wait in `quick`, large ones in `careful`; `amount` is `amount_units`, `paid` is `payment`. */
export const secondMachine = setup({
  types: { context: {} as Second, events: {} as Said },
  guards: {
    isLarge: ({ event }) => sizeOf(event) >= LARGE,
    isUnreadable: ({ event }) => event.amount_units === 'unreadable still' && unreadable(),
  },
  actions: {
    take: assign({ size: ({ event }) => sizeOf(event) }),
    add: assign({
      amount_units: ({ context, event }) =>
        String(BigInt(context.amount_units) + BigInt(event.amount_units === 'unreadable' ? '1' : (event.amount_units ?? '0'))),
    }),
    sendOffer: effect<{ not_after_ms: number }>({ mode: 'ask first' }),
  },
}).createMachine({
  id: 'order',
  context: { size: 0, amount_units: '0' },
  initial: 'idle',
  on: {
    'sendOffer.*': {},
    payment: [{ guard: 'isUnreadable' }, { actions: 'add' }],
    offer: { actions: { type: 'sendOffer', params: ({ event }) => untilOffered(event) } },
  },
  states: {
    idle: {
      on: {
        begin: [
          { guard: 'isLarge', target: 'careful', actions: 'take' },
          { target: 'quick', actions: 'take' },
        ],
      },
    },
    quick: { after: { 5_000: 'settled' } },
    careful: { after: { 5_000: 'settled' } },
    settled: { on: { finish: 'ended' } },
    ended: { type: 'final' },
  },
})

const named = <K extends string, V>(record: Readonly<Record<K, V>> | null, from: string, to: string): unknown =>
  record && Object.fromEntries(Object.entries(record).map(([key, value]) => [key === from ? to : key, value]))

const timerOf = (state: unknown): string => `xstate.after.5000.order.${String(state)}`
const waits = (state: unknown): boolean => state === 'quick' || state === 'careful'

export const orderMigrations: readonly Migration[] = [
  {
    from: 1,
    hashes: [runnable(firstMachine, 1).hash],
    snapshot: {
      up: ({ value, context }) => {
        const { size } = context as First
        return {
          value: value === 'waiting' ? (size >= LARGE ? 'careful' : 'quick') : value,
          context: named(context as never, 'amount', 'amount_units'),
        }
      },
      down: ({ value, context }) => ({
        value: waits(value) ? 'waiting' : value,
        context: named(context as never, 'amount_units', 'amount'),
      }),
    },
    timers: {
      up: (timers, { value }) => timers.map((timer) => ({ ...timer, timer: timerOf(value), event: { type: timerOf(value) } })),
      down: (timers, { value }) => timers.map((timer) => ({ ...timer, timer: timerOf(value), event: { type: timerOf(value) } })),
    },
    effect: {
      up: (effectOf) => ({ ...effectOf, name: effectOf.name === 'submit' ? 'sendOffer' : effectOf.name }),
      down: (effectOf) => ({ ...effectOf, name: effectOf.name === 'sendOffer' ? 'submit' : effectOf.name }),
    },
    event: {
      up: (event, of) => {
        if (event.type === 'paid') return { ...(named(event, 'amount', 'amount_units') as StoredEvent), type: 'payment' }
        return event.type === timerOf('waiting') ? { ...event, type: timerOf(waits(of?.value) ? of?.value : 'quick') } : event
      },
      down: (event) => {
        if (event.type === 'payment') return { ...(named(event, 'amount_units', 'amount') as StoredEvent), type: 'paid' }
        return event.type === timerOf('quick') || event.type === timerOf('careful') ? { ...event, type: timerOf('waiting') } : event
      },
    },
  },
]

export const firstKind: ActorKind = { machine: firstMachine, version: 1, input: () => undefined }
export const secondKind: ActorKind = { machine: secondMachine, version: 2, input: () => undefined, migrations: orderMigrations }

/** A service of these machines: `norm.swap_demand` carries `{quote_id: key, event}`. */
export const orderService = (name: string, kind: ActorKind, outside: Outside): ServiceDefinition => ({
  name,
  lanes: 'keyed',
  kinds: {
    order: kind,
    lifecycle: { machine: lifecycleMachine as AnyStateMachine, version: 1, input: () => ({ of: 'lane' }) },
  },
  inputs: {
    'norm.swap_demand': ({ payload }) => ({ to: { kind: 'order', key: payload.quote_id }, event: payload['event'] as { type: string } }),
  },
  effects: {
    [kind.version === 1 ? 'submit' : 'sendOffer']: {
      mode: 'ask first',
      send: async (_, { effect: id }) => {
        outside.sent.push(id)
        return outside.send()
      },
      ask: (_, { effect: id }) => {
        outside.asked.push(id)
        return outside.oracle()
      },
      askAfterMs: 200,
      askEveryMs: 500,
    },
  },
  orders: {},
  configure: [],
  retainEndedMs: 600_000,
})
