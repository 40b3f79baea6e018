import { strict as assert } from 'node:assert'
import type { IntentInventory } from '../contracts/records/inventory.ts'

/**
 * What of the credited inventory is already spoken for, by the token that we give. Totals only: each open reservation is held
 * by its own quote.
 *
 * L1. A reservation counts from the decision until the truth is known; no time frees it.
 * L2. A settled reservation becomes a booking, which counts until an inventory record of at least its height has been seen.
 * L3. No decision is made on an inventory record below the highest seen: its bookings are gone and it does not show them.
 * L4. So open reservations and bookings never sum to more than what is credited (I3).
 */
export interface Ledger {
  /** token id to base units of open reservations; without zeros */
  readonly reserved: Readonly<Record<string, string>>
  /** how many reservations are open */
  readonly open: number
  /** token id to [base units, height], by height; a height that is not known (null) stands last and is never seen */
  readonly bookings: Readonly<Record<string, readonly Booking[]>>
  /** block height of the highest inventory record seen */
  readonly seen_height: number
}

export type Booking = readonly [units: string, height: number | null]

export const EMPTY_LEDGER: Ledger = { reserved: {}, open: 0, bookings: {}, seen_height: 0 }

/** Beyond this, the two lowest heights of a token become one at the higher of them: it counts longer, never shorter. */
const BOOKINGS_A_TOKEN = 6

export const reserve = (ledger: Ledger, token: string, units: bigint): Ledger => ({
  ...ledger,
  reserved: withUnits(ledger.reserved, token, BigInt(ledger.reserved[token] ?? '0') + units),
  open: ledger.open + 1,
})

/** @throws {AssertionError} more than is reserved: the totals no longer equal the sum over the quotes */
export const release = (ledger: Ledger, token: string, units: bigint): Ledger => {
  const left = BigInt(ledger.reserved[token] ?? '0') - units
  assert(left >= 0n && ledger.open > 0, `a reservation of ${units} ${token} is released, ${ledger.reserved[token] ?? '0'} are reserved`)
  return { ...ledger, reserved: withUnits(ledger.reserved, token, left), open: ledger.open - 1 }
}

/** A settlement that was already in an inventory record that we have seen needs no booking. */
export const book = (ledger: Ledger, token: string, units: bigint, height: number | null): Ledger => {
  if (height !== null && height <= ledger.seen_height) return ledger
  const booked = merged([...(ledger.bookings[token] ?? []), [units.toString(), height] as const].toSorted(byHeight))
  return { ...ledger, bookings: { ...ledger.bookings, [token]: booked } }
}

/** The ledger after an inventory record: bookings that it shows are gone. A record below the highest seen changes nothing. */
export const seen = (ledger: Ledger, inventory: IntentInventory | null): Ledger => {
  if (inventory === null || inventory.block_height <= ledger.seen_height) return ledger
  const open = Object.entries(ledger.bookings).map(
    ([token, list]) => [token, list.filter(([, height]) => height === null || height > inventory.block_height)] as const,
  )
  return { ...ledger, bookings: Object.fromEntries(open.filter(([, list]) => list.length > 0)), seen_height: inventory.block_height }
}

/** Base units of each token that are spoken for: reservations and bookings. */
export const spokenFor = (ledger: Ledger): Record<string, string> => {
  let totals: Readonly<Record<string, string>> = ledger.reserved
  for (const [token, list] of Object.entries(ledger.bookings))
    for (const [units] of list) totals = withUnits(totals, token, BigInt(totals[token] ?? '0') + BigInt(units))
  return { ...totals }
}

const withUnits = (totals: Readonly<Record<string, string>>, token: string, units: bigint): Readonly<Record<string, string>> => {
  const { [token]: _before, ...others } = totals
  return units === 0n ? others : { ...others, [token]: units.toString() }
}

const byHeight = ([, a]: Booking, [, b]: Booking): number => (a ?? Infinity) - (b ?? Infinity) || 0

const merged = (list: readonly Booking[]): readonly Booking[] => {
  const [first, second, ...rest] = list
  if (list.length <= BOOKINGS_A_TOKEN || !first || !second) return list
  return [[(BigInt(first[0]) + BigInt(second[0])).toString(), second[1]], ...rest]
}
