import type { Relay } from '#actors/venues/near-intents/relay.ts'
import type { Blocked } from '#control/host-view.ts'
import type { TallyContext } from '#machines/command/tally.ts'
import type { ResultCode } from '#machines/contracts/records/trade.ts'
import { armState } from '../arming.ts'
import { historyIsWritable } from '../audit-watch.ts'
import type { Section, SectionView } from '../run-service.ts'
import { TALLY } from './actors.ts'
import type { AuthorityState } from './authority.ts'
import type { Env } from './config.ts'

export interface ExecutorView extends SectionView {
  readonly authority: AuthorityState
  /** null until the service has started */
  readonly relay: ReturnType<Relay['state']> | null
}

const NO_ERRORS: ReadonlySet<string> = new Set<ResultCode>(['SUBMITTED', 'SETTLED', 'EXPIRED_UNUSED'])

/** The `executor` section of `/state`, over all held lanes. */
export const describe = (env: Env, view: ExecutorView): Section => {
  const tallies = view.actor(TALLY.kind, TALLY.key).map(({ context }) => context as TallyContext)
  const arm = armState(view)
  const { authority, relay } = view
  const results: Record<string, number> = {}
  for (const tally of tallies) for (const [code, n] of Object.entries(tally.results)) results[code] = (results[code] ?? 0) + n
  const lastResponse = latest(tallies.map((tally) => tally.last_venue_response))

  const blocked: Blocked[] = []
  const blockedBy = (code: string, sinceMs: number | null, detail: string): void => {
    blocked.push({ code, since: new Date(sinceMs ?? view.nowMs).toISOString(), detail })
  }
  if (!arm.armed) blockedBy('NOT_ARMED', arm.sinceMs || null, `${arm.by}: ${arm.reason}`)
  if (authority.signer !== 'ready')
    blockedBy(authority.signer === 'missing' ? 'SIGNER_MISSING' : 'SIGNER_NOT_AUTHORIZED', authority.checked_at_ms, authority.problem ?? '')
  if (!relay?.connected) blockedBy('RELAY_NOT_CONNECTED', relay?.since ?? null, relayProblem(env, relay))
  if (env.STRICT_AUDIT && historyIsWritable(view.tables, view.nowMs) !== true)
    blockedBy('AUDIT_IMPAIRED', null, 'the history cannot be written, or does not say')

  return {
    section: {
      executor: {
        armed: arm.armed,
        in_flight: tallies.reduce((sum, { in_flight }) => sum + in_flight, 0),
        completed: tallies.reduce((sum, { completed }) => sum + completed, 0),
        last_command: shown(latest(tallies.map((tally) => tally.last_command))),
        last_request: shown(latest(tallies.map((tally) => tally.last_request))),
        last_venue_response: shown(lastResponse),
        results,
        errors: Object.fromEntries(Object.entries(results).filter(([code]) => !NO_ERRORS.has(code))),
        open_offers: view.openEffects('sendOffer'),
        strict_audit: env.STRICT_AUDIT,
        signer: { ...authority, account_id: env.NEAR_INTENTS_ACCOUNT_ID ?? null },
        relay,
      },
    },
    connected: relay?.connected ?? false,
    blocked,
    inputs: { relay: { atMs: relay?.last_frame_at ?? null, stale: !relay?.connected } },
    lastSuccess: lastResponse && {
      at: new Date(lastResponse.at_ms).toISOString(),
      what: `${lastResponse.command_id}: ${lastResponse.result_code}`,
    },
  }
}

const relayProblem = (env: Env, relay: ExecutorView['relay']): string => {
  const reason = relay?.reason ?? 'not started'
  const isWithoutJwt = reason === 'unauthorized' && env.NEAR_INTENTS_PARTNER_JWT === undefined
  return isWithoutJwt ? 'unauthorized: NEAR_INTENTS_PARTNER_JWT is not set' : reason
}

const latest = <T extends { readonly at_ms: number }>(each: readonly (T | null)[]): T | null =>
  each.filter((one) => one !== null).toSorted((a, b) => b.at_ms - a.at_ms)[0] ?? null

const shown = (one: { readonly at_ms: number } | null): object | null => {
  if (one === null) return null
  const { at_ms, ...rest } = one
  return { ...rest, at: new Date(at_ms).toISOString() }
}
