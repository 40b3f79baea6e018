import { z } from 'zod'
import type { EffectKind, OrderKind, ServiceDefinition } from '#actors/runtime/service.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import type { HandleConfig } from '#machines/funding/handle.ts'
import { fundingHandleMachine } from '#machines/funding/handle.ts'
import { freezeMachine, treasuryMachine } from '#machines/funding/treasury.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import type { Env } from './config.ts'

export const HANDLES = [
  { kind: 'funding-handle', key: 'BTC' },
  { kind: 'funding-handle', key: 'EURe' },
] as const
export const FREEZE = { kind: 'freeze', key: 'withdrawals' } as const
const TREASURY = { kind: 'treasury', key: 'near_intents' } as const

/** The bridge's names (2026-09): bitcoin itself, and Gnosis, where EURe is issued. */
const CHAINS = { BTC: 'btc:mainnet', EURe: 'eth:100' } as const

const handleConfig = (env: Env, account_id: string, asset: 'BTC' | 'EURe'): HandleConfig => ({
  asset,
  pair: PAIR,
  account_id,
  chain: CHAINS[asset],
  token_ids: asset === 'BTC' ? env.PAIR_BTC_TOKEN_IDS : [env.PAIR_EURE_TOKEN_ID],
  poll_every_ms: env.LIQUIDITY_POLL_MS,
})

const plainOrder = (name: string, to: OrderKind['to'], summary: string): OrderKind => ({
  schema: z.object({}),
  to,
  type: `order.${name}`,
  route: { method: 'POST', path: `/${name}` },
  summary,
})

export const definition = (env: Env, effects: { requestAddress: EffectKind; pollBridge: EffectKind }): ServiceDefinition => {
  const account = env.NEAR_INTENTS_ACCOUNT_ID
  return {
    name: 'liquidity-manager',
    lanes: 'single',
    kinds: {
      'funding-handle': { machine: fundingHandleMachine, version: 1, input: () => undefined },
      [FREEZE.kind]: { machine: freezeMachine, version: 1, input: () => undefined },
      [TREASURY.kind]: { machine: treasuryMachine, version: 1, input: () => ({ handles: HANDLES }) },
      lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane', tells: HANDLES }) },
    },
    inputs: {},
    effects,
    orders: {
      refresh: plainOrder('refresh', TREASURY, 'asks the bridge about every handle at once'),
      'freeze-withdrawals': plainOrder('freeze-withdrawals', FREEZE, 'nothing leaves the treasury until the other order'),
      'unfreeze-withdrawals': plainOrder('unfreeze-withdrawals', FREEZE, 'withdrawals are allowed again'),
    },
    configure: [
      { to: FREEZE, type: 'configured', values: { pair: PAIR, chains: CHAINS } },
      ...(account ? HANDLES.map((to) => ({ to, type: 'configured', values: handleConfig(env, account, to.key) })) : []),
    ],
    watch: [...HANDLES],
    retainEndedMs: 7 * 24 * 3_600_000,
  }
}
