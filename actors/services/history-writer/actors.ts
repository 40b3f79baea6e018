import type { EffectKind, RecordAt, Routed, ServiceDefinition } from '#actors/runtime/service.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import { writerMachine } from '#machines/history/writer.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'

export const WRITER = { kind: 'writer', key: 'lane' } as const

/** A record on its way into its table, inserted by the transaction that commits the turn. */
const toRow = (_: unknown, { topic, partition, offset, source, incarnation, position, text }: RecordAt): Routed => ({
  to: WRITER,
  event: { type: 'row', topic },
  history: { topic, partition, offset, source_lane: source, incarnation, position, text },
})

/** The topics that have a history table; `ops.audit_state` is about the writing itself, `ops.lane_state` ends in alerts, and orders are rows of their own. */
export const definition = (effects: { learnLane: EffectKind }): ServiceDefinition => ({
  name: 'history-writer',
  lanes: 'keyed',
  readsInBulk: true,
  kinds: {
    [WRITER.kind]: { machine: writerMachine, version: 1, input: () => undefined },
    lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane', tells: [WRITER] }) },
  },
  inputs: {
    'raw.near_intents.quote': toRow,
    'norm.swap_demand': toRow,
    'ref.market_price': toRow,
    'state.intent_inventory': toRow,
    'ops.liquidity_action': toRow,
    'ops.funding_observation': toRow,
    'decision.trade_decision': toRow,
    'cmd.execute_trade': toRow,
    'exec.trade_result': toRow,
    'ops.alert_event': toRow,
  },
  effects,
  orders: {},
  configure: [{ to: WRITER, type: 'configured', values: { pair: PAIR } }],
  watch: [WRITER],
  retainEndedMs: 7 * 24 * 3_600_000,
})
