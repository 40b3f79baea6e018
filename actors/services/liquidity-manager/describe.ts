import { handleId } from '#machines/funding/handle.ts'
import type { HandleConfig } from '#machines/funding/handle.ts'
import type { Section, SectionView } from '../run-service.ts'
import { FREEZE, HANDLES } from './actors.ts'
import type { Env } from './config.ts'

interface Known {
  readonly config: HandleConfig | null
  readonly address: string | null
  readonly memo: string | null
  readonly failures: number
  readonly last_error: string | null
  readonly polls: {
    readonly failures: number
    readonly last_error: string | null
    readonly last_ok_at: number | null
    readonly unreadable: number
  }
  readonly pending: Readonly<Record<string, string>>
  readonly recent: readonly object[]
  readonly recent_withdrawals: readonly { readonly status: string }[]
}

/** The `liquidity` section of `/state`, from the committed state of handles and freeze. */
export const describeLiquidity = (view: SectionView, env: Env): Section => {
  const handles = HANDLES.flatMap(({ kind, key }) => {
    const actor = view.actor(kind, key)[0]
    const known = actor?.context as Known | undefined
    return known ? [{ asset: key, phase: phaseOf(actor?.state), known }] : []
  })
  const frozen = view.actor(FREEZE.kind, FREEZE.key)[0]
  const freeze = frozen?.context as { by: string | null; reason: string | null; since: number | null } | undefined
  const oks = handles.flatMap(({ known }) => (known.polls.last_ok_at === null ? [] : [known.polls.last_ok_at]))
  const lastOkMs = oks.length === handles.length && oks.length > 0 ? Math.min(...oks) : null
  return {
    section: {
      liquidity: {
        account_id: env.NEAR_INTENTS_ACCOUNT_ID ?? null,
        handles: handles.map(({ asset, phase, known }) => ({
          asset,
          handle_id: known.config && handleId(known.config),
          chain: known.config?.chain ?? null,
          phase,
          address: known.address,
          memo: known.memo,
          pending: known.pending,
          recent_deposits: known.recent,
          recent_withdrawals: known.recent_withdrawals,
          last_poll_at: iso(known.polls.last_ok_at),
          failures: known.failures + known.polls.failures,
          last_error: known.last_error ?? known.polls.last_error,
          unreadable: known.polls.unreadable,
        })),
        withdrawals: {
          state: frozen?.state ?? 'open',
          by: freeze?.by ?? null,
          reason: freeze?.reason ?? null,
          since: iso(freeze?.since ?? null),
        },
        // Nothing moves by itself here: what is under way is what somebody sent.
        rebalance: rebalanceOf(handles.map(({ known }) => known)),
      },
    },
    connected: handles.length === HANDLES.length && handles.every(({ phase, known }) => phase !== 'retrying' && known.polls.failures === 0),
    authoritative: lastOkMs !== null,
    blocked: [
      ...(env.NEAR_INTENTS_ACCOUNT_ID
        ? []
        : [{ code: 'ACCOUNT_MISSING', since: new Date(view.nowMs).toISOString(), detail: 'NEAR_INTENTS_ACCOUNT_ID is not set' }]),
      ...handles
        .filter(({ phase }) => phase === 'retrying')
        .map(({ asset, known }) => ({
          code: 'ADDRESS_FAILED',
          since: new Date(view.nowMs).toISOString(),
          detail: `${asset}: ${known.last_error ?? 'no address'}`,
        })),
    ],
    inputs: { bridge: { atMs: lastOkMs, stale: lastOkMs === null || view.nowMs - lastOkMs > 4 * env.LIQUIDITY_POLL_MS } },
    lastSuccess: lastOkMs === null ? null : { at: new Date(lastOkMs).toISOString(), what: 'bridge read for every handle' },
  }
}

/** Money on its way between the treasury and outside: both ways at once is a rebalance, and here only somebody else's doing. */
const rebalanceOf = (handles: readonly Pick<Known, 'pending' | 'recent_withdrawals'>[]): object => {
  const comesIn = handles.filter(({ pending }) => Object.values(pending).some((units) => units !== '0')).length
  const goesOut = handles.flatMap(({ recent_withdrawals }) => recent_withdrawals).filter(({ status }) => !ENDED.has(status)).length
  return { state: comesIn + goesOut > 0 ? 'moving' : 'idle', deposits_pending: comesIn, withdrawals_open: goesOut, planned: [] }
}

/** The bridge's words for a withdrawal that is over. */
const ENDED = new Set(['COMPLETED', 'FAILED', 'REJECTED', 'RETURNED'])

const phaseOf = (state: unknown): string =>
  typeof state === 'string' ? state : (Object.keys((state as object | null) ?? {})[0] ?? 'unknown')
const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())
