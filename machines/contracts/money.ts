import { z } from 'zod'

/**
 * Base units of a token: a decimal string without sign, leading zeros or exponent. Long enough for the other side of any
 * amount that a venue can name (39 digits), which is recorded although it is refused.
 */
export const Units = z.string().regex(/^(0|[1-9]\d{0,79})$/, 'base units: digits only')

/** A decimal string such as "60123.45"; never a float. */
export const Decimal = z.string().regex(/^-?(0|[1-9]\d*)(\.\d+)?$/, 'a decimal number')

/** What something costs: a decimal string above zero. */
export const Price = z.string().regex(/^(?=.*[1-9])(0|[1-9]\d*)(\.\d+)?$/, 'a price above zero')

export const UnitsByToken = z.record(z.string(), Units)
export type UnitsByToken = z.infer<typeof UnitsByToken>

export type Asset = 'BTC' | 'EURe'
export const DECIMALS: Record<Asset, number> = { BTC: 8, EURe: 18 }

/** Taker's view: what the taker gives comes first. */
export const Direction = z.enum(['btc_to_eure', 'eure_to_btc'])
export type Direction = z.infer<typeof Direction>

/**
 * Base units of a decimal string. Digits beyond the asset's precision are refused unless they are zeros.
 * @throws {RangeError} not a plain decimal number, or too precise
 */
export const toUnits = (decimal: string, decimals: number): bigint => {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(decimal)
  if (!match) throw new RangeError(`not a decimal number: ${decimal.slice(0, 40)}`)
  const [, sign = '', whole = '0', fraction = ''] = match
  if (/[1-9]/.test(fraction.slice(decimals))) throw new RangeError(`more than ${decimals} decimals: ${decimal.slice(0, 60)}`)
  const units = BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, '0'))
  return sign ? -units : units
}

/** The decimal string of base units, without trailing zeros. */
export const fromUnits = (units: bigint, decimals: number): string => {
  const sign = units < 0n ? '-' : ''
  const digits = (units < 0n ? -units : units).toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  return sign + whole + (fraction && `.${fraction}`)
}
