import type { IntentInventory } from '../contracts/records/inventory.ts'
import type { UnitsByToken } from '../contracts/money.ts'

/** What the handler of `readBalances` answers: the verifier's balances at a final block. */
export interface BalancesAnswer {
  readonly spendable: UnitsByToken
  readonly block_height: number
  readonly block_timestamp_ms: number
  /** ms, our clock, when it was asked */
  readonly read_at_ms: number
  /** what the nodes said where they disagree at the same block (the lower is spendable); null when they agree */
  readonly disagreement: string | null
}

/** What the handler of `readPending` answers: what the bridge has seen and the verifier has not credited, and the reverse. */
export interface PendingAnswer {
  readonly pending_in: UnitsByToken
  readonly pending_out: UnitsByToken
  /** units that withdrawals took out of the verifier lately, ended ones included; explains a fall */
  readonly withdrawn: UnitsByToken
}

export interface Drift {
  readonly token_id: string
  readonly from: string
  readonly to: string
  readonly at_ms: number
}

/**
 * What fell without anything that rose: a trade moves two tokens in one block, so a lone fall is a withdrawal or nobody
 * here knows what. Null: nothing fell, or something rose beside it.
 */
export const unexplainedFall = (before: UnitsByToken, after: UnitsByToken, atMs: number): Drift | null => {
  const changes = Object.entries(after).map(([token_id, to]) => ({ token_id, from: before[token_id] ?? to, to }))
  if (changes.some(({ from, to }) => BigInt(to) > BigInt(from))) return null
  const fallen = changes.find(({ from, to }) => BigInt(to) < BigInt(from))
  return fallen ? { ...fallen, at_ms: atMs } : null
}

/** Whether withdrawals that the bridge tells of cover the fall. */
export const isExplained = (drift: Drift, withdrawn: UnitsByToken): boolean =>
  BigInt(withdrawn[drift.token_id] ?? '0') >= BigInt(drift.from) - BigInt(drift.to)

export const reconciliation = (disagreement: string | null, drift: Drift | null): IntentInventory['reconciliation'] => {
  if (disagreement !== null) return { status: 'disagreement', detail: disagreement }
  if (drift)
    return { status: 'drift', detail: `${drift.token_id} fell from ${drift.from} to ${drift.to} and no trade or withdrawal explains it` }
  return { status: 'ok', detail: null }
}
