import { describe, expect, it } from 'vitest'
import { definition } from '#actors/services/liquidity-manager/actors.ts'
import { Env } from '#actors/services/liquidity-manager/config.ts'
import { describeLiquidity } from '#actors/services/liquidity-manager/describe.ts'
import { pollBridge, requestAddress } from '#actors/services/liquidity-manager/effects.ts'
import type { EffectContext } from '#actors/runtime/service.ts'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import type { Deposit, Withdrawal } from '#actors/venues/near-intents/bridge.ts'

const context = { signal: new AbortController().signal } as EffectContext
const base = { KAFKA_BROKERS: 'localhost:1', DATABASE_URL: 'postgres://u@localhost/db', NEAR_INTENTS_BRIDGE_URL: 'http://c:1/rpc' }
const none = { mode: 'idempotent' as const, send: async () => ({}) }
const row = (fields: object) => ({
  tx_hash: 't',
  amount: '5',
  address: null,
  created_at: null,
  status: 'PENDING',
  near_token_id: 'btc.omft.near',
  ...fields,
})

describe('asking the bridge', () => {
  it('for an address gives the address alone', async () => {
    const said = await requestAddress({ depositAddress: async ({ chain }) => ({ address: 'bc1q', chain, memo: null }) }).send(
      { account_id: 'a', chain: 'btc:mainnet' },
      context,
    )
    expect(said).toEqual({ address: 'bc1q', memo: null })
  })

  it("for transfers keeps the handle's tokens and counts every other row", async () => {
    const said = await pollBridge({
      recentDeposits: async () => ({
        rows: [row({}), row({ near_token_id: 'usdc.near' })] as Deposit[],
        unreadable: [{ row: 'x', reason: 'y' }],
        total: 3,
      }),
      recentWithdrawals: async () => ({ rows: [row({ tx_hash: 'w' })] as Withdrawal[], unreadable: [] }),
    }).send({ account_id: 'a', chain: 'btc:mainnet', token_ids: ['nep141:btc.omft.near'] }, context)
    const kept = { token_id: 'nep141:btc.omft.near', amount: '5', address: null, created_at: null, status: 'PENDING' }
    expect(said).toEqual({ deposits: [{ ...kept, tx_hash: 't' }], withdrawals: [{ ...kept, tx_hash: 'w' }], unreadable: 2 })
  })
})

describe('the definition', () => {
  const of = definition(Env.parse({ ...base, NEAR_INTENTS_ACCOUNT_ID: 'a' }), { requestAddress: none, pollBridge: none })

  it('hosts machines that know what they are sent', () => {
    const machines = Object.fromEntries(Object.entries(of.kinds).map(([kind, { machine, version }]) => [kind, runnable(machine, version)]))
    for (const { to, type } of [...of.configure, ...Object.values(of.orders)])
      expect([to.kind, type, machines[to.kind]?.knows(type)]).toEqual([to.kind, type, true])
    for (const name of Object.keys(of.effects))
      for (const end of ['done', 'failed']) expect(machines['funding-handle']?.knows(`${name}.${end}`)).toBe(true)
  })

  it('configures one handle an asset on its own chain', () => {
    expect(of.configure.map(({ to, values }) => [to.key, (values as { chain?: string }).chain])).toEqual([
      ['withdrawals', undefined],
      ['BTC', 'btc:mainnet'],
      ['EURe', 'eth:100'],
    ])
  })
})

describe('what /state says', () => {
  it('names the variable that is missing', () => {
    const view = { actor: () => [], counters: {}, openEffects: () => 0, lanes: [], tables: { get: () => null, rows: () => [] }, nowMs: 0 }
    expect(describeLiquidity(view, Env.parse(base)).blocked?.map(({ code }) => code)).toEqual(['ACCOUNT_MISSING'])
  })
})
