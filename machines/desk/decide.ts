import { commandId, decisionId, executionKey, idempotencyKey, NEAR_INTENTS } from '../contracts/ids.ts'
import { DECIMALS, toUnits } from '../contracts/money.ts'
import type { IntentInventory } from '../contracts/records/inventory.ts'
import type { MarketPrice } from '../contracts/records/market-price.ts'
import type { SwapDemand } from '../contracts/records/quote.ts'
import { DECISION_REASONS } from '../contracts/records/trade.ts'
import type { DecisionReason, ExecuteTrade, TradeDecision } from '../contracts/records/trade.ts'
import type { Followed } from '../contracts/stamp.ts'
import { bestOffer, grossEdgePct, leavesThreshold } from '../pricing/offer.ts'
import { impliedRate, referenceRate } from '../pricing/rates.ts'
import type { Fraction, Offer } from '../pricing/rates.ts'
import type { DeskConfig } from './config.ts'
import { seen, spokenFor } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { viewPrice } from './price.ts'

/** What a decision may see of the followed tables, as it stood when the demand was gathered. */
export interface Attached {
  readonly price: Followed<MarketPrice> | null
  readonly inventory: Followed<IntentInventory> | null
  /** whether the history can be written; null: not known */
  readonly audit: { readonly writable: boolean | null }
}

export interface Question {
  readonly demand: SwapDemand
  /** ISO-8601: when the venue showed it */
  readonly observed_at: string
  readonly attached: Attached
  readonly now: number
}

export interface Standing {
  readonly config: DeskConfig
  readonly armed: boolean
  readonly ledger: Ledger
}

export interface Verdict {
  readonly decision: TradeDecision
  /** null: skip */
  readonly command: ExecuteTrade | null
}

/**
 * Looks at every gate, in the order of DECISION_REASONS; the first that fails is the reason and all are recorded.
 * A gate that cannot be worked out, for want of a price or an inventory, adds no reason of its own.
 */
export const decide = (question: Question, { config, armed, ledger: before }: Standing): Verdict => {
  const { demand, attached, now } = question
  const price = viewPrice(attached.price?.value ?? null, demand.direction, config, now)
  const reference = price.rate === null ? null : referenceRate(price.rate)
  const threshold_bps = config.threshold_bps + price.extra_bps
  const offer = offerFor(demand, reference, BigInt(threshold_bps))
  const inventory = attached.inventory?.value ?? null
  const ledger = seen(before, inventory)
  const given = unitsGiven(demand, offer)

  const failed = new Set<DecisionReason>([
    ...when('QUOTE_EXPIRED', now >= answerByMs(question)),
    ...when('DEADLINE_TOO_LONG', demand.min_deadline_ms > config.max_deadline_ms),
    ...price.reasons,
    ...inventoryReasons(inventory, ledger, config, now),
    ...when('EDGE_BELOW_THRESHOLD', reference !== null && !(offer && leavesThreshold(offer, reference, BigInt(threshold_bps)))),
    ...when('NOTIONAL_ABOVE_CAP', notionalUnits(demand, offer) > toUnits(config.max_notional_eure, DECIMALS.EURe)),
    ...when('INVENTORY_INSUFFICIENT', inventory !== null && given !== null && given > available(inventory, ledger, demand.asset_out)),
    ...when('AUDIT_IMPAIRED', config.strict_audit && attached.audit.writable !== true),
    ...when('NOT_ARMED', !armed),
  ])
  const reasons = DECISION_REASONS.filter((reason) => failed.has(reason))
  const trades = reasons.length === 0 && offer !== null
  const amounts = offer === null ? { amount_in: null, amount_out: null } : amountsOf(offer)
  const decision: TradeDecision = {
    decision_id: decisionId(demand.quote_id),
    quote_id: demand.quote_id,
    pair: demand.pair,
    direction: demand.direction,
    asset_in: demand.asset_in,
    asset_out: demand.asset_out,
    ...amounts,
    implied_rate: offer && impliedRate(offer),
    reference_rate: price.rate,
    gross_edge_pct: offer && reference && grossEdgePct(offer, reference),
    threshold_bps,
    price_freshness_ms: price.freshness_ms,
    price_source: price.source,
    price_event_id: attached.price?.event_id ?? null,
    inventory_id: inventory?.inventory_id ?? null,
    inventory_event_id: attached.inventory?.event_id ?? null,
    inventory_snapshot: inventory && {
      inventory_id: inventory.inventory_id,
      block_height: inventory.block_height,
      spendable: inventory.spendable,
      reserved: spokenFor(ledger),
    },
    decision: trades ? 'trade' : 'skip',
    decision_reason: trades ? 'TRADE' : (reasons[0] ?? 'EDGE_BELOW_THRESHOLD'),
    reasons,
    command_id: trades ? commandId(demand.quote_id) : null,
  }
  return { decision, command: trades ? commandFor(question, config, offer, decision) : null }
}

const when = (reason: DecisionReason, fails: boolean): DecisionReason[] => (fails ? [reason] : [])

/** ms: when the auction stops taking answers */
const answerByMs = ({ demand, observed_at }: Question): number => Date.parse(observed_at) + demand.ttl_ms

/** Both amounts as they are, where both are given; else the best that leaves the threshold. Null where there is none. */
const offerFor = (demand: SwapDemand, reference: Fraction | null, thresholdBps: bigint): Offer | null => {
  const { direction, fixed_side, amount_in, amount_out } = demand
  if (amount_in !== null && amount_out !== null) {
    const [given, wanted] = [BigInt(amount_in), BigInt(amount_out)]
    if (given === 0n || wanted === 0n) return null
    return direction === 'btc_to_eure'
      ? { direction, btcUnits: given, eureUnits: wanted }
      : { direction, btcUnits: wanted, eureUnits: given }
  }
  const fixed = fixed_side === 'in' ? amount_in : amount_out
  if (fixed === null || reference === null) return null
  return bestOffer({ direction, fixed_side, fixedUnits: BigInt(fixed), reference, thresholdBps })
}

const amountsOf = ({ direction, btcUnits, eureUnits }: Offer): { amount_in: string; amount_out: string } =>
  direction === 'btc_to_eure'
    ? { amount_in: btcUnits.toString(), amount_out: eureUnits.toString() }
    : { amount_in: eureUnits.toString(), amount_out: btcUnits.toString() }

/** What we would give, known also without an offer where the taker fixed it. */
const unitsGiven = (demand: SwapDemand, offer: Offer | null): bigint | null => {
  const known = offer ? amountsOf(offer).amount_out : demand.amount_out
  return known === null ? null : BigInt(known)
}

/** The EURe side; zero where it is not known. */
const notionalUnits = (demand: SwapDemand, offer: Offer | null): bigint =>
  offer ? offer.eureUnits : BigInt((demand.direction === 'btc_to_eure' ? demand.amount_out : demand.amount_in) ?? '0')

const inventoryReasons = (inventory: IntentInventory | null, ledger: Ledger, config: DeskConfig, now: number): DecisionReason[] => {
  if (inventory === null) return ['INVENTORY_MISSING']
  const isStale = now - inventory.read_at_ms > config.inventory_max_age_ms || inventory.block_height < ledger.seen_height
  return isStale ? ['INVENTORY_STALE'] : []
}

/** Can be below zero, where an offer was adopted that nobody here had reserved. */
const available = (inventory: IntentInventory, ledger: Ledger, token: string): bigint =>
  BigInt(inventory.spendable[token] ?? '0') - BigInt(spokenFor(ledger)[token] ?? '0')

const commandFor = (question: Question, config: DeskConfig, offer: Offer, decision: TradeDecision): ExecuteTrade => {
  const { demand, now } = question
  const offerDeadlineMs = now + demand.min_deadline_ms + config.offer_margin_ms
  return {
    command_id: commandId(demand.quote_id),
    idempotency_key: idempotencyKey(NEAR_INTENTS, demand.quote_id),
    execution_key: executionKey(NEAR_INTENTS, demand.asset_in, demand.asset_out),
    decision_id: decision.decision_id,
    quote_id: demand.quote_id,
    pair: demand.pair,
    direction: demand.direction,
    asset_in: demand.asset_in,
    asset_out: demand.asset_out,
    ...amountsOf(offer),
    fixed_side: demand.fixed_side,
    // A venue may name any time for its answers, also one that no date can hold; later than the offer itself is none.
    answer_by: new Date(Math.min(answerByMs(question), offerDeadlineMs)).toISOString(),
    offer_deadline: new Date(offerDeadlineMs).toISOString(),
    reason: `gross edge ${decision.gross_edge_pct} % against ${decision.threshold_bps} bps`,
  }
}
