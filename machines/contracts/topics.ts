import type { z } from 'zod'
import { messageOf } from './envelope.ts'
import { laneKey, NEAR_INTENTS } from './ids.ts'
import { IntentInventory } from './records/inventory.ts'
import { MarketPrice } from './records/market-price.ts'
import { AlertEvent, AuditState, FundingObservation, LaneState, LiquidityAction, OperatorCommand } from './records/operations.ts'
import { RawQuote, SwapDemand } from './records/quote.ts'
import { ExecuteTrade, TradeDecision, TradeResult } from './records/trade.ts'

const HOUR_MS = 3_600_000

interface Topic<S extends z.ZodType> {
  readonly schema: S
  readonly message: ReturnType<typeof messageOf<S>>
  readonly event_type: string
  /** The record's Kafka key. */
  readonly key: (payload: z.infer<S>) => string
  /** What shares a lane. The partition is always `murmur2(lane key) % LANES`, sent explicitly. */
  readonly laneKey: (payload: z.infer<S>) => string
  readonly retentionMs: number
  /** Stopped by `pause`. */
  readonly work: boolean
}

const topic = <S extends z.ZodType>(schema: S, rest: Omit<Topic<S>, 'schema' | 'message'>): Topic<S> => ({
  schema,
  message: messageOf(schema),
  ...rest,
})
const byPair = ({ pair }: { pair: string }): string => laneKey(NEAR_INTENTS, pair)

/** Every topic, in one table: set-up, routing, validation and the docs come from here. Each has `LANES` partitions. */
export const topics = {
  'raw.near_intents.quote': topic(RawQuote, {
    event_type: 'near_intents_quote_raw',
    key: ({ quote_id }) => quote_id ?? '',
    laneKey: ({ quote_id }) => `${NEAR_INTENTS}:${quote_id ?? ''}`,
    retentionMs: 24 * HOUR_MS,
    work: false,
  }),
  'norm.swap_demand': topic(SwapDemand, {
    event_type: 'swap_demand',
    key: ({ quote_id }) => quote_id,
    laneKey: byPair,
    retentionMs: 72 * HOUR_MS,
    work: true,
  }),
  'ref.market_price': topic(MarketPrice, {
    event_type: 'market_price',
    key: ({ pair }) => pair,
    laneKey: byPair,
    retentionMs: 24 * HOUR_MS,
    work: false,
  }),
  'state.intent_inventory': topic(IntentInventory, {
    event_type: 'intent_inventory',
    key: ({ account_id }) => account_id,
    laneKey: byPair,
    retentionMs: 24 * HOUR_MS,
    work: false,
  }),
  'ops.liquidity_action': topic(LiquidityAction, {
    event_type: 'liquidity_action',
    key: ({ handle_id }) => handle_id,
    laneKey: byPair,
    retentionMs: 168 * HOUR_MS,
    work: false,
  }),
  'ops.funding_observation': topic(FundingObservation, {
    event_type: 'funding_observation',
    key: ({ handle_id }) => handle_id,
    laneKey: byPair,
    retentionMs: 168 * HOUR_MS,
    work: false,
  }),
  'decision.trade_decision': topic(TradeDecision, {
    event_type: 'trade_decision',
    key: ({ quote_id }) => quote_id,
    laneKey: byPair,
    retentionMs: 168 * HOUR_MS,
    work: false,
  }),
  'cmd.execute_trade': topic(ExecuteTrade, {
    event_type: 'execute_trade',
    key: ({ execution_key }) => execution_key,
    laneKey: byPair,
    retentionMs: 168 * HOUR_MS,
    work: true,
  }),
  'exec.trade_result': topic(TradeResult, {
    event_type: 'trade_result',
    key: ({ execution_key }) => execution_key,
    laneKey: byPair,
    retentionMs: 168 * HOUR_MS,
    work: false,
  }),
  'ops.alert_event': topic(AlertEvent, {
    event_type: 'alert_event',
    key: ({ alert_id }) => alert_id,
    laneKey: byPair,
    retentionMs: 168 * HOUR_MS,
    work: false,
  }),
  'ops.audit_state': topic(AuditState, {
    event_type: 'audit_state',
    key: ({ lane }) => String(lane),
    laneKey: byPair,
    retentionMs: 24 * HOUR_MS,
    work: false,
  }),
  'ops.lane_state': topic(LaneState, {
    event_type: 'lane_state',
    key: ({ service, lane }) => `${service}/${lane}`,
    laneKey: ({ service, lane }) => `${service}/${lane}`,
    retentionMs: 168 * HOUR_MS,
    work: false,
  }),
  'ctl.operator_command': topic(OperatorCommand, {
    event_type: 'operator_command',
    key: ({ service }) => service,
    laneKey: ({ service }) => service,
    retentionMs: 168 * HOUR_MS,
    work: false,
  }),
} as const

export type Topics = typeof topics
export type TopicName = keyof Topics
export type PayloadOf<T extends TopicName> = z.infer<Topics[T]['schema']>
export const topicNames = Object.keys(topics) as TopicName[]
