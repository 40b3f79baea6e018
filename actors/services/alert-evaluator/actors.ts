import type { Routed, ServiceDefinition } from '#actors/runtime/service.ts'
import { alertBoardMachine, BOARD } from '#machines/alert/board.ts'
import { alertMachine } from '#machines/alert/machine.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import type { Env } from './config.ts'
import type { Judged, Judgement } from './judge.ts'
import { judgeFunding, judgeInventory, judgeLane, judgePrice, judgeResult } from './judge.ts'

/** Alerts are judged where records are routed; the actors hold only time. There are no effects. */
export const definition = (env: Env): ServiceDefinition => ({
  name: 'alert-evaluator',
  lanes: 'keyed',
  readsInBulk: true,
  kinds: {
    alert: { machine: alertMachine, version: 1, input: (key) => ({ key, pair: PAIR }) },
    [BOARD.kind]: { machine: alertBoardMachine, version: 1, input: () => undefined },
  },
  inputs: {
    'ref.market_price': ({ payload }) => toAlert(judgePrice(payload, env)),
    'state.intent_inventory': ({ payload }) => toAlert(judgeInventory(payload, env)),
    'ops.liquidity_action': ({ payload }) => toAlert(judgeFunding(payload, env)),
    'ops.lane_state': ({ payload }) => toAlert(judgeLane(payload)),
    'exec.trade_result': ({ payload }) => toAlerts(judgeResult(payload, env)),
  },
  effects: {},
  orders: {},
  configure: [],
  watch: [BOARD],
  retainEndedMs: 7 * 24 * 3_600_000,
})

const toAlert = (judged: Judgement): Routed | null => judged && { to: { kind: 'alert', key: judged.key }, event: { ...judged.event } }

const toAlerts = ([first, ...rest]: readonly Judged[]): Routed | null => {
  const routed = first ? toAlert(first) : null
  return routed && (rest.length === 0 ? routed : { ...routed, also: rest.flatMap((judged) => toAlert(judged) ?? []) })
}
