import type { Direction } from '../contracts/money.ts'
import { ceilDiv, floorDiv } from './rates.ts'
import type { Fraction, Offer } from './rates.ts'

/** What a taker fixes: `in` what it gives and we receive, `out` what it wants and we give. */
export interface OneSided {
  readonly direction: Direction
  readonly fixed_side: 'in' | 'out'
  /** base units of the fixed side: BTC where it is the BTC side of the direction, else EURe */
  readonly fixedUnits: bigint
  /** the side that we would trade at: Kraken's bid where we receive BTC, its ask where we give it */
  readonly reference: Fraction
  readonly thresholdBps: bigint
}

/**
 * The best amount for the taker that still leaves the threshold, rounded in our favour; null where that would be nothing.
 * One base unit better for the taker would not leave it.
 * @see surface.md, Rates
 */
export const bestOffer = ({ direction, fixed_side, fixedUnits, reference, thresholdBps }: OneSided): Offer | null => {
  const receivesBtc = direction === 'btc_to_eure'
  const factor = receivesBtc ? BPS - thresholdBps : BPS + thresholdBps
  if (factor <= 0n || fixedUnits <= 0n) return null
  // At the threshold: eure * den * BPS = btc * num * factor.
  const perBtc = reference.num * factor
  const perEure = reference.den * BPS
  const fixesBtc = receivesBtc === (fixed_side === 'in')
  const divide = fixed_side === 'in' ? floorDiv : ceilDiv
  const units = fixesBtc ? divide(fixedUnits * perBtc, perEure) : divide(fixedUnits * perEure, perBtc)
  if (units <= 0n) return null
  return fixesBtc ? { direction, btcUnits: fixedUnits, eureUnits: units } : { direction, btcUnits: units, eureUnits: fixedUnits }
}

/**
 * Whether an offer leaves the threshold. Exact: cross-multiplied on bigint, nothing is rounded.
 * @param offer      base units that we receive and give, both above zero
 * @param reference  EURe units per BTC unit as a fraction; Kraken's bid where we receive BTC, its ask where we give it
 * @see surface.md, Rates
 */
export const leavesThreshold = (offer: Offer, reference: Fraction, thresholdBps: bigint): boolean =>
  offer.direction === 'btc_to_eure'
    ? offer.eureUnits * reference.den * BPS <= offer.btcUnits * reference.num * (BPS - thresholdBps)
    : offer.eureUnits * reference.den * BPS >= offer.btcUnits * reference.num * (BPS + thresholdBps)

/**
 * Gross edge in favour of us, in percent of the reference, with four decimals: "2.0134". The sign is exact; what is cut off
 * is cut towards the worse for us.
 */
export const grossEdgePct = ({ direction, btcUnits, eureUnits }: Offer, reference: Fraction): string => {
  const [implied, fair] = [eureUnits * reference.den, btcUnits * reference.num]
  const gain = direction === 'btc_to_eure' ? fair - implied : implied - fair
  const scaled = floorDiv(gain * PERCENT, fair)
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(5, '0')
  return `${scaled < 0n ? '-' : ''}${digits.slice(0, -4)}.${digits.slice(-4)}`
}

const BPS = 10_000n
/** a hundred, with four decimals */
const PERCENT = 1_000_000n
