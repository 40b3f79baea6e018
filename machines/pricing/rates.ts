import { DECIMALS, fromUnits } from '../contracts/money.ts'
import type { Direction } from '../contracts/money.ts'

/** EURe units (18 decimals) per BTC unit (8 decimals), exact; both above zero. */
export interface Fraction {
  readonly num: bigint
  readonly den: bigint
}

/** Base units that change hands, both above zero. The direction is the taker's view: `btc_to_eure`, we receive BTC and give EURe. */
export interface Offer {
  readonly direction: Direction
  readonly btcUnits: bigint
  readonly eureUnits: bigint
}

/**
 * A price in EURe per BTC as an exact fraction of base units.
 * @param price decimal string such as "60123.45", EUR taken 1:1 as EURe
 * @throws {RangeError} not a plain decimal number, or not above zero
 */
export const referenceRate = (price: string): Fraction => {
  const match = /^(\d+)(?:\.(\d+))?$/.exec(price)
  if (!match) throw new RangeError(`not a price: ${price.slice(0, 40)}`)
  const [, whole = '0', fraction = ''] = match
  const num = BigInt(whole + fraction) * UNITS_RATIO
  if (num === 0n) throw new RangeError('a price of zero')
  return { num, den: 10n ** BigInt(fraction.length) }
}

/**
 * EURe per BTC of an offer, a decimal string with at most 8 decimals, rounded so that it never looks better for us than it
 * is: up where we receive BTC, down where we give it.
 */
export const impliedRate = ({ direction, btcUnits, eureUnits }: Offer): string => {
  const scaled = eureUnits * 10n ** RATE_DECIMALS
  const den = btcUnits * UNITS_RATIO
  return fromUnits(direction === 'btc_to_eure' ? ceilDiv(scaled, den) : floorDiv(scaled, den), Number(RATE_DECIMALS))
}

/** Rounds towards minus infinity; `den` above zero. */
export const floorDiv = (num: bigint, den: bigint): bigint => (num >= 0n ? num / den : -ceilDiv(-num, den))

/** Rounds towards plus infinity; `den` above zero. */
export const ceilDiv = (num: bigint, den: bigint): bigint => (num > 0n ? (num + den - 1n) / den : -(-num / den))

/** EURe units per BTC unit at a price of one. */
const UNITS_RATIO = 10n ** BigInt(DECIMALS.EURe - DECIMALS.BTC)
const RATE_DECIMALS = 8n
