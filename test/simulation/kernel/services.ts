import { z } from 'zod'
import type { RecordAt, Routed, ServiceDefinition } from '#actors/runtime/service.ts'
import { armMachine } from '#machines/arm/machine.ts'
import type { HistoryRow } from '#machines/contracts/history-row.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { boardMachine, commandMachine, deskMachine, quoteMachine, tallyMachine } from './machines.ts'
import type { SimProcess } from '../process.ts'
import type { Submission, Venue } from './venue.ts'

export const STRATEGY = 'sim-strategy'
export const EXECUTOR = 'sim-executor'
export const WATCH = 'sim-watch'
export const SERVICES = [STRATEGY, EXECUTOR, WATCH] as const

const RETAIN_MS = 8 * 24 * 3_600_000

/** What a process of a service runs. */
export const definitionOf = (service: string, process: SimProcess, venue: Venue): ServiceDefinition => {
  if (service === STRATEGY) return strategy(process, venue)
  return service === EXECUTOR ? executor(process, venue) : watch
}

/** Some keys are such as PostgreSQL cannot hold: the batch is refused for its data. */
export const keyOf = (quote_id: string): string => (quote_id.startsWith('nul') ? `${quote_id}\0` : quote_id)

const strategy = (process: SimProcess, venue: Venue): ServiceDefinition => ({
  name: STRATEGY,
  lanes: 'keyed',
  kinds: {
    quote: { machine: quoteMachine, version: 1, input: (quote_id) => ({ quote_id }) },
    desk: { machine: deskMachine, version: 1, input: () => undefined },
    lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane', tells: [{ kind: 'desk', key: 'desk' }] }) },
  },
  inputs: {
    'norm.swap_demand': ({ payload }) => ({
      to: { kind: 'quote', key: keyOf(payload.quote_id) },
      event: { type: 'demand.arrived', demand: payload },
    }),
    'exec.trade_result': ({ payload }) => ({
      to: { kind: 'quote', key: payload.quote_id },
      event: { type: 'result.arrived', result: payload },
    }),
  },
  effects: { price: { mode: 'idempotent', send: () => venue.read(process) } },
  orders: {
    limit: {
      schema: z.object({ limit: z.int() }),
      to: { kind: 'desk', key: 'desk' },
      type: 'order.limit',
      route: { method: 'PUT', path: '/limit' },
      summary: 'how many quotes may be open',
    },
    // Nobody knows its event: refused, and it must park nobody.
    nonsense: {
      schema: z.object({}),
      to: { kind: 'desk', key: 'desk' },
      type: 'order.nonsense',
      route: { method: 'POST', path: '/nonsense' },
      summary: 'an order that its machine does not know',
    },
  },
  configure: [{ to: { kind: 'desk', key: 'desk' }, type: 'configured', values: { limit: 20 } }],
  retainEndedMs: RETAIN_MS,
})

const executor = (process: SimProcess, venue: Venue): ServiceDefinition => ({
  name: EXECUTOR,
  lanes: 'keyed',
  kinds: {
    command: { machine: commandMachine, version: 1, input: () => undefined },
    arm: { machine: armMachine, version: 1, input: () => ({ tells: { kind: 'tally', key: 'tally' } }) },
    tally: { machine: tallyMachine, version: 1, input: () => undefined },
    lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane', tells: [{ kind: 'tally', key: 'tally' }] }) },
  },
  inputs: {
    'cmd.execute_trade': ({ payload }) => ({
      to: { kind: 'command', key: payload.command_id },
      event: { type: 'command.arrived', command: payload },
    }),
  },
  effects: {
    peek: { mode: 'idempotent', send: () => venue.read(process) },
    note: { mode: 'idempotent', send: () => venue.read(process) },
    submit: {
      mode: 'ask first',
      send: async (params, context) => {
        await venue.sign(process)
        if (!context.mayStillSend()) return { not_sent: 'disarmed' }
        return venue.submit({ ...(params as Omit<Submission, 'effect'>), effect: context.effect }, process)
      },
      ask: (params, context) => venue.ask({ ...(params as Omit<Submission, 'effect'>), effect: context.effect }, process),
      askAfterMs: 300,
      askEveryMs: 500,
    },
  },
  orders: {
    arm: {
      schema: z.object({}),
      to: { kind: 'arm', key: 'arm' },
      type: 'order.arm',
      route: { method: 'POST', path: '/arm' },
      expiresInMs: 10_000,
      summary: 'allow side effects',
    },
    disarm: {
      schema: z.object({}),
      to: { kind: 'arm', key: 'arm' },
      type: 'order.disarm',
      route: { method: 'POST', path: '/disarm' },
      shutsGate: true,
      summary: 'refuse side effects',
    },
  },
  configure: [],
  gate: { kind: 'arm' },
  watch: [{ kind: 'tally', key: 'tally' }],
  retainEndedMs: RETAIN_MS,
})

const seen = (_: unknown, at: RecordAt): Routed => ({
  to: { kind: 'board', key: 'board' },
  event: { type: 'seen', topic: at.topic },
  history: rowOf(at),
})

const rowOf = ({ topic, partition, offset, source, incarnation, position, text }: RecordAt): HistoryRow => ({
  topic,
  partition,
  offset,
  source_lane: source,
  incarnation,
  position,
  text,
})

const watch: ServiceDefinition = {
  name: WATCH,
  lanes: 'keyed',
  kinds: {
    board: { machine: boardMachine, version: 1, input: () => undefined },
    lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) },
  },
  inputs: { 'cmd.execute_trade': seen, 'exec.trade_result': seen, 'ops.alert_event': seen, 'ctl.operator_command': seen },
  follows: { 'ref.market_price': { key: ({ pair }) => pair, version: ({ version }) => version } },
  attach: { seen: (tables) => ({ price: tables.rows('ref.market_price')[0]?.value ?? null }) },
  effects: {},
  orders: {},
  configure: [],
  watch: [{ kind: 'board', key: 'board' }],
  retainEndedMs: RETAIN_MS,
}
