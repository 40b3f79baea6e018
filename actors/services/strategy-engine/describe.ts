import type { Blocked } from '#control/host-view.ts'
import type { DecisionReason } from '#machines/contracts/records/trade.ts'
import { effectiveConfig } from '#machines/desk/machine.ts'
import type { DeskContext, Noted } from '#machines/desk/machine.ts'
import { viewPrice } from '#machines/desk/price.ts'
import { armState } from '../arming.ts'
import type { Section, SectionView } from '../run-service.ts'
import { attached, DESK } from './actors.ts'
import { deskConfig } from './config.ts'
import type { Env } from './config.ts'

/** The `strategy` section of `/state`, over all held lanes. Amounts are base units but for what a name says is EURe. */
export const describe = (env: Env, view: SectionView): Section => {
  const desks = view.actor(DESK.kind, DESK.key).map(({ context }) => context as DeskContext)
  const arm = armState(view)
  const first = desks[0]
  const config = first ? effectiveConfig(first) : deskConfig(env)
  const { price, inventory, audit } = attached(view.tables, view.nowMs)
  const seenPrice = viewPrice(price?.value ?? null, 'btc_to_eure', config, view.nowMs)
  const priceAtMs = seenPrice.freshness_ms === null ? null : view.nowMs - seenPrice.freshness_ms
  const inventoryAtMs = inventory?.value.read_at_ms ?? null
  const inventoryIsStale = inventoryAtMs === null || view.nowMs - inventoryAtMs > config.inventory_max_age_ms
  const latest_decision = latestOf(desks.map((desk) => desk.latest_decision))

  const blocked: Blocked[] = []
  const blockedBy = (code: DecisionReason, sinceMs: number | null, detail: string): void => {
    blocked.push({ code, since: new Date(sinceMs ?? view.nowMs).toISOString(), detail })
  }
  for (const code of seenPrice.reasons) blockedBy(code, priceAtMs, 'the reference price may not be used')
  if (inventory === null) blockedBy('INVENTORY_MISSING', null, 'no inventory record yet')
  else if (inventoryIsStale) blockedBy('INVENTORY_STALE', inventoryAtMs, `read ${view.nowMs - (inventoryAtMs ?? 0)} ms ago`)
  if (config.strict_audit && audit.writable !== true) blockedBy('AUDIT_IMPAIRED', null, 'the history cannot be written, or does not say')
  if (!arm.armed) blockedBy('NOT_ARMED', arm.sinceMs || null, `${arm.by}: ${arm.reason}`)

  const skips = summed(desks.map((desk) => desk.skips))
  // A repeat of a quote that has ended never reaches a machine; the runtime counts it since the process started.
  const repeatsOfEnded = view.counters['dropped.quote.demand.arrived'] ?? 0
  return {
    section: {
      strategy: {
        armed: arm.armed,
        threshold_bps: config.threshold_bps,
        max_notional_eure: config.max_notional_eure,
        environment: { threshold_bps: env.STRATEGY_THRESHOLD_BPS, max_notional_eure: env.STRATEGY_MAX_NOTIONAL_EURE },
        strict_audit: config.strict_audit,
        latest_decision: latest_decision && shown(latest_decision),
        latest_rejection: shownOrNull(latestOf(desks.map((desk) => desk.latest_rejection))),
        skips: repeatsOfEnded === 0 ? skips : { ...skips, DUPLICATE_QUOTE: (skips['DUPLICATE_QUOTE'] ?? 0) + repeatsOfEnded },
        trades: desks.reduce((sum, { trades }) => sum + trades, 0),
        reservations: unitsSummed(desks.map(({ ledger }) => ledger.reserved)),
        open_offers: desks.reduce((sum, { ledger }) => sum + ledger.open, 0),
        bookings: unitsSummed(desks.flatMap(({ ledger }) => bookedUnits(ledger.bookings))),
        strangers: desks.reduce((sum, { strangers }) => sum + strangers, 0),
      },
    },
    blocked,
    inputs: {
      price: { atMs: priceAtMs, stale: seenPrice.reasons.length > 0 },
      inventory: { atMs: inventoryAtMs, stale: inventoryIsStale },
    },
    lastSuccess: latest_decision && {
      at: new Date(latest_decision.at_ms).toISOString(),
      what: `${latest_decision.quote_id}: ${latest_decision.decision_reason}`,
    },
  }
}

const latestOf = (noted: readonly (Noted | null)[]): Noted | null =>
  noted.filter((each) => each !== null).toSorted((a, b) => b.at_ms - a.at_ms)[0] ?? null

const shown = ({ at_ms, ...noted }: Noted): object => ({ ...noted, at: new Date(at_ms).toISOString() })
const shownOrNull = (noted: Noted | null): object | null => noted && shown(noted)

const summed = (counts: readonly Readonly<Record<string, number>>[]): Record<string, number> => {
  const totals: Record<string, number> = {}
  for (const count of counts) for (const [name, n] of Object.entries(count)) totals[name] = (totals[name] ?? 0) + n
  return totals
}

const unitsSummed = (units: readonly Readonly<Record<string, string>>[]): Record<string, string> => {
  const totals: Record<string, string> = {}
  for (const each of units)
    for (const [token, amount] of Object.entries(each)) totals[token] = (BigInt(totals[token] ?? '0') + BigInt(amount)).toString()
  return totals
}

const bookedUnits = (bookings: DeskContext['ledger']['bookings']): Record<string, string>[] =>
  Object.entries(bookings).flatMap(([token, list]) => list.map(([units]) => ({ [token]: units })))
