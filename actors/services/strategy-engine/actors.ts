import { z } from 'zod'
import type { ServiceDefinition, Tables } from '#actors/runtime/service.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import type { Attached } from '#machines/desk/decide.ts'
import { deskMachine } from '#machines/desk/machine.ts'
import { afterQuoteEnded, quoteMachine } from '#machines/quote/machine.ts'
import type { QuoteContext } from '#machines/quote/machine.ts'
import { armGate, armKind, armOrders } from '../arming.ts'
import { historyIsWritable } from '../audit-watch.ts'
import { deskConfig, Eure, ThresholdBps } from './config.ts'
import type { Env } from './config.ts'

export const DESK: Address = { kind: 'desk', key: 'desk' }

/** The strategy: a quote actor a demand, one desk and one arm a lane. It has no effects; all it does is say. */
export const definition = (env: Env, deps: { readonly nowMs: () => number }): ServiceDefinition => ({
  name: 'strategy-engine',
  lanes: 'keyed',
  kinds: {
    quote: {
      machine: quoteMachine,
      version: 1,
      input: (quote_id) => ({ quote_id }),
      afterEnd: (event, context) => afterQuoteEnded(event, context as QuoteContext),
    },
    desk: { machine: deskMachine, version: 1, input: () => ({ config: deskConfig(env) }) },
    arm: armKind(DESK),
  },
  inputs: {
    'norm.swap_demand': ({ payload, observed_at, ingested_at }) => ({
      to: { kind: 'quote', key: payload.quote_id },
      event: { type: 'demand.arrived', demand: payload, observed_at: observed_at ?? ingested_at },
    }),
    'exec.trade_result': ({ payload }) => ({
      to: { kind: 'quote', key: payload.quote_id },
      event: { type: 'result.arrived', result: payload },
    }),
  },
  follows: {
    'ref.market_price': { key: ({ pair }) => pair, version: ({ version }) => version },
    'state.intent_inventory': { key: ({ pair }) => pair, version: ({ version }) => version },
    'ops.audit_state': { key: ({ lane }) => String(lane), version: ({ version }) => version },
  },
  attach: { 'quote.asked': (tables) => attached(tables, deps.nowMs()) },
  effects: {},
  orders: {
    ...armOrders,
    threshold: {
      schema: z.strictObject({ threshold_bps: ThresholdBps }),
      to: DESK,
      type: 'order.threshold',
      route: { method: 'PUT', path: '/threshold' },
      summary: 'The gross edge that an offer must leave, until the environment says otherwise',
    },
    limits: {
      schema: z.strictObject({ max_notional_eure: Eure }),
      to: DESK,
      type: 'order.limits',
      route: { method: 'PUT', path: '/limits' },
      summary: 'The most that one quote may be worth in EURe, until the environment says otherwise',
    },
  },
  configure: [{ to: DESK, type: 'configured', values: deskConfig(env) }],
  gate: armGate,
  retainEndedMs: 8 * 24 * 3_600_000,
})

/** What a decision may see, as it stands at gather. */
export const attached = (tables: Tables, nowMs: number): Attached => ({
  price: tables.get('ref.market_price', PAIR),
  inventory: tables.get('state.intent_inventory', PAIR),
  audit: { writable: historyIsWritable(tables, nowMs) },
})
