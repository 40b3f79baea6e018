import { z } from 'zod'
import type { EffectKind } from '#actors/runtime/service.ts'
import type { Bridge } from '#actors/venues/near-intents/bridge.ts'
import type { CheckedBalances, Verifier } from '#actors/venues/near-intents/verifier.ts'
import type { BalancesAnswer, PendingAnswer } from '#machines/inventory/account.ts'

const Params = z.object({ account_id: z.string().min(1), token_ids: z.array(z.string()).min(1) })

/** The verifier's balances from every node, at `final`. @throws {VerifierError} no node answers: the machine counts and asks again */
export const readBalances = (verifier: Pick<Verifier, 'balancesAll'>): EffectKind => ({
  mode: 'idempotent',
  send: async (params, { signal, nowMs }) => {
    const { account_id, token_ids } = Params.parse(params)
    const said = await verifier.balancesAll(account_id, token_ids, { signal })
    return {
      spendable: said.spendable,
      block_height: said.block_height,
      block_timestamp_ms: said.block_timestamp_ms,
      // When it was asked: what the answer says was true then or later.
      read_at_ms: nowMs,
      disagreement: said.disagreement && disagreementText(said.disagreement),
    } satisfies BalancesAnswer
  },
})

const disagreementText = (nodes: NonNullable<CheckedBalances['disagreement']>): string =>
  nodes
    .map(
      ({ url, balances, block_height }) =>
        `${url} at ${block_height}: ${Object.entries(balances)
          .map(([token, units]) => `${token} ${units}`)
          .join(', ')}`,
    )
    .join('; ')
    .slice(0, 600)

/** On its way out of the verifier as long as the bridge has not ended it. */
const LEAVING = new Set(['PENDING', 'AWAITING', 'NOT_FOUND', 'RETURNING'])
const ROWS = 100

/** What the bridge has seen and the verifier does not show, both ways. @throws {BridgeError} */
export const readPending = (bridge: Pick<Bridge, 'recentDeposits' | 'recentWithdrawals'>): EffectKind => ({
  mode: 'idempotent',
  send: async (params, { signal }) => {
    const { account_id, token_ids } = Params.parse(params)
    const [deposits, withdrawals] = await Promise.all([
      bridge.recentDeposits({ account_id, limit: ROWS }, { signal }),
      bridge.recentWithdrawals({ account_id }, { signal }),
    ])
    const sum = (rows: readonly { near_token_id: string; amount: string }[]): Record<string, string> => {
      const units = Object.fromEntries(token_ids.map((token) => [token, 0n]))
      for (const { near_token_id, amount } of rows) {
        const token = tokenId(near_token_id)
        if (token in units) units[token] = (units[token] ?? 0n) + BigInt(amount)
      }
      return Object.fromEntries(Object.entries(units).map(([token, total]) => [token, String(total)]))
    }
    return {
      pending_in: sum(deposits.rows.filter(({ status }) => status === 'PENDING')),
      pending_out: sum(withdrawals.rows.filter(({ status }) => LEAVING.has(status))),
      withdrawn: sum(withdrawals.rows),
    } satisfies PendingAnswer
  },
})

/** The bridge names the token's contract, the verifier the token. */
export const tokenId = (nearTokenId: string): string => (/^nep\d+:/.test(nearTokenId) ? nearTokenId : `nep141:${nearTokenId}`)
