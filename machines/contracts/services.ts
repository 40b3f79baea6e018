/** Every deployable: a folder under actors/services, a database role, a consumer group's name. In the order of their control ports. */
export const SERVICES = [
  'near-intents-ingest',
  'market-reference-ingest',
  'inventory-sync',
  'liquidity-manager',
  'strategy-engine',
  'trade-executor',
  'history-writer',
  'alert-evaluator',
] as const
export type ServiceName = (typeof SERVICES)[number]
