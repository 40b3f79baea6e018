import type { NodeState } from '#actors/venues/near-intents/near-rpc.ts'
import type { BalancesAnswer, Drift, PendingAnswer } from '#machines/inventory/account.ts'
import { reconciliation } from '#machines/inventory/account.ts'
import type { Section, SectionView } from '../run-service.ts'
import { inventoryAddress } from './actors.ts'
import type { Env } from './config.ts'

interface Known {
  readonly version: number
  readonly balances: BalancesAnswer | null
  readonly pending: PendingAnswer | null
  readonly drift: Drift | null
  readonly reads: { readonly failures: number; readonly last_error: string | null; readonly last_ok_at: number | null }
  readonly pending_reads: Known['reads']
  readonly outdated: number
}

/** The `inventory` section of `/state`, from the committed state of the one inventory. */
export const describeInventory = (view: SectionView, env: Env, nodes: { nodes: NodeState[] }): Section => {
  const { kind, key } = inventoryAddress(env)
  const known = view.actor(kind, key)[0]?.context as Known | undefined
  const balances = known?.balances ?? null
  const readAtMs = balances?.read_at_ms ?? null
  const isStale = readAtMs === null || view.nowMs - readAtMs > env.STRATEGY_INVENTORY_MAX_AGE_MS
  return {
    section: {
      inventory: {
        account_id: env.NEAR_INTENTS_ACCOUNT_ID ?? null,
        spendable: balances?.spendable ?? {},
        pending_in: known?.pending?.pending_in ?? {},
        pending_out: known?.pending?.pending_out ?? {},
        pending_known: known?.pending != null,
        block_height: balances?.block_height ?? null,
        block_timestamp: balances ? iso(balances.block_timestamp_ms) : null,
        last_sync_at: readAtMs === null ? null : iso(readAtMs),
        stale: isStale,
        reconciliation: balances ? reconciliation(balances.disagreement, known?.drift ?? null) : null,
        version: known?.version ?? 0,
        failures: known?.reads.failures ?? 0,
        last_error: known?.reads.last_error ?? null,
        bridge_failures: known?.pending_reads.failures ?? 0,
        bridge_last_error: known?.pending_reads.last_error ?? null,
        outdated_answers: known?.outdated ?? 0,
        nodes: nodes.nodes,
      },
    },
    connected: known !== undefined && known.reads.failures === 0 && balances !== null,
    authoritative: !isStale,
    blocked: blockedBy(known, env, isStale, view.nowMs),
    inputs: {
      verifier: { atMs: readAtMs, stale: isStale },
      bridge: { atMs: known?.pending_reads.last_ok_at ?? null, stale: (known?.pending_reads.failures ?? 0) > 0 },
    },
    lastSuccess: balances && readAtMs !== null ? { at: iso(readAtMs), what: `balances read at block ${balances.block_height}` } : null,
  }
}

const blockedBy = (
  known: Known | undefined,
  env: Env,
  isStale: boolean,
  nowMs: number,
): { code: string; since: string; detail: string }[] => {
  if (!env.NEAR_INTENTS_ACCOUNT_ID) return [{ code: 'ACCOUNT_MISSING', since: iso(nowMs), detail: 'NEAR_INTENTS_ACCOUNT_ID is not set' }]
  if (!known?.balances) return [{ code: 'INVENTORY_MISSING', since: iso(nowMs), detail: known?.reads.last_error ?? 'no balances read yet' }]
  if (isStale)
    return [{ code: 'INVENTORY_STALE', since: iso(known.balances.read_at_ms), detail: known.reads.last_error ?? 'no recent read' }]
  return []
}

const iso = (ms: number): string => new Date(ms).toISOString()
