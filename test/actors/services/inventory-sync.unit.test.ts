import { describe, expect, it } from 'vitest'
import { definition } from '#actors/services/inventory-sync/actors.ts'
import { Env } from '#actors/services/inventory-sync/config.ts'
import { describeInventory } from '#actors/services/inventory-sync/describe.ts'
import { readBalances, readPending, tokenId } from '#actors/services/inventory-sync/effects.ts'
import type { EffectContext } from '#actors/runtime/service.ts'
import type { Deposit, Withdrawal } from '#actors/venues/near-intents/bridge.ts'
import { inventoryMachine } from '#machines/inventory/machine.ts'
import { given } from '../../machines/given.ts'

const context = { signal: new AbortController().signal, nowMs: 77 } as EffectContext
const params = { account_id: 'solver.near', token_ids: ['nep141:btc.omft.near', 'eure'] }
const base = {
  KAFKA_BROKERS: 'localhost:1',
  DATABASE_URL: 'postgres://u@localhost/db',
  NEAR_RPC_URLS: 'http://a:1, http://b:1',
  NEAR_INTENTS_BRIDGE_URL: 'http://c:1/rpc',
}

describe('reading balances', () => {
  it('answers what is spendable and when it was asked, agreeing nodes in one word', async () => {
    const answer = await readBalances({
      balancesAll: async () => ({ spendable: { eure: '7' }, disagreement: null, nodes: 2, block_height: 200, block_timestamp_ms: 50 }),
    }).send(params, context)
    expect(answer).toEqual({ spendable: { eure: '7' }, block_height: 200, block_timestamp_ms: 50, read_at_ms: 77, disagreement: null })
  })

  it('names the nodes where they disagree', async () => {
    const disagreement = [
      { url: 'http://a', balances: { eure: '7' }, block_height: 200 },
      { url: 'http://b', balances: { eure: '9' }, block_height: 200 },
    ]
    const answer = await readBalances({
      balancesAll: async () => ({ spendable: { eure: '7' }, disagreement, nodes: 2, block_height: 200, block_timestamp_ms: 50 }),
    }).send(params, context)
    expect(answer).toHaveProperty('disagreement', 'http://a at 200: eure 7; http://b at 200: eure 9')
  })
})

describe('reading what is pending', () => {
  const deposit = (status: string, amount: string, near_token_id = 'btc.omft.near') => ({ status, amount, near_token_id }) as Deposit
  const withdrawal = (status: string, amount: string) => ({ status, amount, near_token_id: 'btc.omft.near' }) as Withdrawal

  it('sums by token what is under way, exactly, and nothing of a token that is not ours', async () => {
    const answer = await readPending({
      recentDeposits: async () => ({
        rows: [
          deposit('PENDING', '9007199254740993'),
          deposit('PENDING', '2'),
          deposit('COMPLETED', '50'),
          deposit('PENDING', '4', 'usdc.near'),
        ],
        unreadable: [],
        total: 4,
      }),
      recentWithdrawals: async () => ({ rows: [withdrawal('PENDING', '3'), withdrawal('COMPLETED', '40')], unreadable: [] }),
    }).send(params, context)
    expect(answer).toEqual({
      pending_in: { 'nep141:btc.omft.near': '9007199254740995', eure: '0' },
      pending_out: { 'nep141:btc.omft.near': '3', eure: '0' },
      withdrawn: { 'nep141:btc.omft.near': '43', eure: '0' },
    })
  })

  it("takes the bridge's name of a token with and without its standard", () => {
    expect([tokenId('btc.omft.near'), tokenId('nep141:btc.omft.near'), tokenId('nep245:v2.near:1')]).toEqual([
      'nep141:btc.omft.near',
      'nep141:btc.omft.near',
      'nep245:v2.near:1',
    ])
  })
})

describe('what /state says', () => {
  const env = Env.parse({ ...base, NEAR_INTENTS_ACCOUNT_ID: 'solver.near' })
  const view = (known: unknown) => ({
    actor: () => (known ? [{ lane: 0, state: {}, context: known }] : []),
    counters: {},
    openEffects: () => 0,
    lanes: [],
    tables: { get: () => null, rows: () => [] },
    nowMs: 100_000,
  })
  const none = { mode: 'idempotent' as const, send: async () => ({}) }

  it('names the variable that is missing, and asks nothing without it', () => {
    const blind = Env.parse(base)
    expect(definition(blind, { readBalances: none, readPending: none }).configure).toEqual([])
    expect(describeInventory(view(null), blind, { nodes: [] }).blocked?.[0]).toMatchObject({
      code: 'ACCOUNT_MISSING',
      detail: 'NEAR_INTENTS_ACCOUNT_ID is not set',
    })
  })

  it('is blocked until balances are known, stale once they are too old', () => {
    const started = given(inventoryMachine).when(
      'configured',
      definition(env, { readBalances: none, readPending: none }).configure[0]!.values,
    )
    expect(describeInventory(view(started.context), env, { nodes: [] }).blocked?.[0]?.code).toBe('INVENTORY_MISSING')
    const read = (read_at_ms: number) =>
      started.when('readBalances.done', {
        answer: { spendable: { eure: '7' }, block_height: 2, block_timestamp_ms: 1, read_at_ms, disagreement: null },
      })
    expect(describeInventory(view(read(90_000).context), env, { nodes: [] })).toMatchObject({
      blocked: [],
      authoritative: true,
      section: { inventory: { spendable: { eure: '7' }, stale: false, reconciliation: { status: 'ok' } } },
    })
    expect(describeInventory(view(read(60_000).context), env, { nodes: [] }).blocked?.[0]?.code).toBe('INVENTORY_STALE')
  })
})
