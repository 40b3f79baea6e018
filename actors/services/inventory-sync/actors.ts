import { z } from 'zod'
import type { EffectKind, ServiceDefinition } from '#actors/runtime/service.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import type { InventoryConfig } from '#machines/inventory/machine.ts'
import { inventoryMachine } from '#machines/inventory/machine.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import type { Env } from './config.ts'

export const inventoryAddress = (env: Env): Address => ({ kind: 'inventory', key: env.NEAR_INTENTS_ACCOUNT_ID ?? 'no account' })

const inventoryConfig = (env: Env, account_id: string): InventoryConfig => ({
  account_id,
  pair: PAIR,
  token_ids: [...env.PAIR_BTC_TOKEN_IDS, env.PAIR_EURE_TOKEN_ID],
  read_every_ms: env.INVENTORY_READ_MS,
  pending_every_ms: env.INVENTORY_PENDING_MS,
})

export const definition = (env: Env, effects: { readBalances: EffectKind; readPending: EffectKind }): ServiceDefinition => {
  const inventory = inventoryAddress(env)
  const account = env.NEAR_INTENTS_ACCOUNT_ID
  return {
    name: 'inventory-sync',
    lanes: 'single',
    kinds: {
      [inventory.kind]: { machine: inventoryMachine, version: 1, input: () => undefined },
      lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane', tells: [inventory] }) },
    },
    inputs: {},
    effects,
    orders: {
      refresh: {
        schema: z.object({}),
        to: inventory,
        type: 'order.refresh',
        route: { method: 'POST', path: '/refresh' },
        summary: 'reads verifier and bridge at once, and takes an unexplained fall as it is',
      },
    },
    configure: account ? [{ to: inventory, type: 'configured', values: inventoryConfig(env, account) }] : [],
    retainEndedMs: 7 * 24 * 3_600_000,
  }
}
