import { z } from 'zod'
import type { EffectKind } from '#actors/runtime/service.ts'
import type { Bridge } from '#actors/venues/near-intents/bridge.ts'
import type { BridgeAnswer, BridgeRow } from '#machines/funding/bridge-rows.ts'
import type { AddressAnswer } from '#machines/funding/handle.ts'

const Handle = z.object({ account_id: z.string().min(1), chain: z.string().min(1) })
const HandleTokens = Handle.extend({ token_ids: z.array(z.string()).min(1) })
const ROWS = 100

/** Asking twice gives the same address. @throws {BridgeError} */
export const requestAddress = (bridge: Pick<Bridge, 'depositAddress'>): EffectKind => ({
  mode: 'idempotent',
  send: async (params, { signal }) => {
    const { address, memo } = await bridge.depositAddress(Handle.parse(params), { signal })
    return { address, memo } satisfies AddressAnswer
  },
})

/** What came in and went out by one handle lately. A row of a token that is not the handle's, or that cannot be read, is counted. @throws {BridgeError} */
export const pollBridge = (bridge: Pick<Bridge, 'recentDeposits' | 'recentWithdrawals'>): EffectKind => ({
  mode: 'idempotent',
  send: async (params, { signal }) => {
    const { account_id, chain, token_ids } = HandleTokens.parse(params)
    const [deposits, withdrawals] = await Promise.all([
      bridge.recentDeposits({ account_id, chain, limit: ROWS }, { signal }),
      bridge.recentWithdrawals({ account_id, chain }, { signal }),
    ])
    const rows = [deposits.rows, withdrawals.rows].map((list) => list.map(toRow).filter(({ token_id }) => token_ids.includes(token_id)))
    const [ours = [], gone = []] = rows
    const foreign = deposits.rows.length + withdrawals.rows.length - ours.length - gone.length
    return {
      deposits: ours,
      withdrawals: gone,
      unreadable: deposits.unreadable.length + withdrawals.unreadable.length + foreign,
    } satisfies BridgeAnswer
  },
})

const toRow = (row: {
  tx_hash: string
  near_token_id: string
  amount: string
  address: string | null
  created_at?: string | null | undefined
  status: string
}): BridgeRow => ({
  tx_hash: row.tx_hash,
  token_id: /^nep\d+:/.test(row.near_token_id) ? row.near_token_id : `nep141:${row.near_token_id}`,
  amount: row.amount,
  address: row.address,
  created_at: row.created_at ?? null,
  status: row.status,
})
