import { z } from 'zod'
import { UnitsByToken } from '../money.ts'

/** state.intent_inventory: what the verifier has credited, read at `final`. Only `spendable` is spendable. */
export const IntentInventory = z.looseObject({
  inventory_id: z.string(),
  pair: z.string(),
  account_id: z.string(),
  version: z.int(),
  block_height: z.int(),
  block_timestamp: z.iso.datetime(),
  spendable: UnitsByToken,
  pending_in: UnitsByToken,
  pending_out: UnitsByToken,
  reconciliation: z.object({ status: z.enum(['ok', 'disagreement', 'drift']), detail: z.string().nullable() }),
  read_at_ms: z.int(),
})
export type IntentInventory = z.infer<typeof IntentInventory>
