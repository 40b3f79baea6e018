/**
 * One process of a service that shares its lanes with others of its kind: `node member.ts BROKERS DATABASE_URL LANES`.
 * SIGTERM drains it. Its one actor a quote answers a demand with one record. The service's name is one that has a database role.
 */
import { randomUUID } from 'node:crypto'
import { assign, setup } from 'xstate'
import { Host } from '#actors/runtime/host.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { systemClock } from '#actors/runtime/system-clock.ts'
import { kafkaBus } from '#bus/kafka.ts'
import { partitionOf } from '#bus/murmur2.ts'
import { message } from '#machines/contracts/actions.ts'
import type { AlertEvent } from '#machines/contracts/records/operations.ts'
import type { SwapDemand } from '#machines/contracts/records/quote.ts'
import type { Stamp } from '#machines/contracts/stamp.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { laneStore } from '#storage/lane-store.ts'
import { SCALED_SERVICE } from './fleet.ts'

type DemandEvent = Stamp & { type: 'demand.arrived'; demand: SwapDemand }

const answer = (demand: SwapDemand, now: number): AlertEvent => ({
  alert_id: demand.quote_id,
  alert: 'scale',
  subject: demand.quote_id,
  pair: demand.pair,
  severity: 'info',
  transition: 'raised',
  reason: 'x'.repeat(100),
  since: new Date(now).toISOString(),
})

const quoteMachine = setup({
  types: {
    input: {} as { quote_id: string },
    context: {} as { quote_id: string; demands: number; note: string },
    events: {} as DemandEvent,
  },
  actions: { count: assign({ demands: ({ context }) => context.demands + 1 }), answer: message<AlertEvent>('ops.alert_event') },
}).createMachine({
  id: 'quote',
  context: ({ input }) => ({ quote_id: input.quote_id, demands: 0, note: 'x'.repeat(300) }),
  on: {
    'demand.arrived': {
      actions: ['count', { type: 'answer', params: ({ event }) => ({ payload: answer(event.demand, event.now), venue: 'scale' }) }],
    },
  },
})

const definition: ServiceDefinition = {
  name: SCALED_SERVICE,
  lanes: 'keyed',
  kinds: {
    lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) },
    quote: { machine: quoteMachine, version: 1, input: (quote_id) => ({ quote_id }) },
  },
  inputs: {
    'norm.swap_demand': ({ payload }) => ({
      to: { kind: 'quote', key: payload.quote_id },
      event: { type: 'demand.arrived', demand: payload },
    }),
  },
  effects: {},
  orders: {},
  configure: [],
  retainEndedMs: 60_000,
}

const [brokers = '', connectionString = '', lanes = ''] = process.argv.slice(2)
const say = (_: object, text: string): void => void process.stderr.write(`${process.pid} ${text}\n`)
const log = { debug() {}, info() {}, warn: say, error: say }
const store = laneStore({ connectionString, applicationName: 'scale', log })
const bus = kafkaBus({ brokers, clientId: `scale-${process.pid}`, log })
const host = new Host({
  definition,
  release: 'scale',
  process: randomUUID(),
  store,
  bus,
  clock: systemClock,
  log,
  meter: { count() {}, observe() {} },
  partitionOf: (laneKey) => partitionOf(laneKey, Number(lanes)),
  wantedLanes: Number(lanes),
  url: () => `http://127.0.0.1:0/${process.pid}`,
  onBroken: (error) => {
    say({}, error.message)
    process.exit(1)
  },
})
process.on('SIGTERM', () => void host.drain().then(() => process.exit(0)))
await host.start()
