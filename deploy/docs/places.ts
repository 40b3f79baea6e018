import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

/** In the order of the design: the loop first, then what keeps and watches it. */
export const services = [
  'near-intents-ingest',
  'market-reference-ingest',
  'inventory-sync',
  'liquidity-manager',
  'history-writer',
  'strategy-engine',
  'trade-executor',
  'alert-evaluator',
] as const
