import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toUnits } from '#machines/contracts/money.ts'
import { bestOffer, grossEdgePct, leavesThreshold } from '#machines/pricing/offer.ts'
import type { OneSided } from '#machines/pricing/offer.ts'
import { impliedRate, referenceRate } from '#machines/pricing/rates.ts'
import type { Offer } from '#machines/pricing/rates.ts'

const requests: fc.Arbitrary<OneSided> = fc
  .record({
    direction: fc.constantFrom('btc_to_eure' as const, 'eure_to_btc' as const),
    fixed_side: fc.constantFrom('in' as const, 'out' as const),
    btc: fc.bigInt({ min: 1n, max: 21_000_000n * 10n ** 8n }),
    eure: fc.oneof(fc.bigInt({ min: 1n, max: 10n ** 12n }), fc.bigInt({ min: 1n, max: 10n ** 27n })),
    cents: fc.integer({ min: 1, max: 100_000_000 }),
    thresholdBps: fc.bigInt({ min: 1n, max: 12_000n }),
  })
  .map(({ direction, fixed_side, btc, eure, cents, thresholdBps }) => {
    const fixesBtc = (direction === 'btc_to_eure') === (fixed_side === 'in')
    const price = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`
    return { direction, fixed_side, fixedUnits: fixesBtc ? btc : eure, reference: referenceRate(price), thresholdBps }
  })

/** The same offer with the side that we named moved by one unit in the taker's favour. */
const oneUnitBetterForTaker = (offer: Offer, { direction, fixed_side }: OneSided): Offer => {
  const step = fixed_side === 'in' ? 1n : -1n
  const namesEure = (direction === 'btc_to_eure') === (fixed_side === 'in')
  return namesEure ? { ...offer, eureUnits: offer.eureUnits + step } : { ...offer, btcUnits: offer.btcUnits + step }
}

describe('bestOffer', () => {
  it('always leaves the threshold, and one base unit better for the taker would not', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const offer = bestOffer(request)
        if (offer === null) return
        expect(offer.btcUnits > 0n && offer.eureUnits > 0n).toBe(true)
        expect(leavesThreshold(offer, request.reference, request.thresholdBps)).toBe(true)
        const better = oneUnitBetterForTaker(offer, request)
        // Naming nothing at all is no offer, so there is nothing better to compare with.
        if (better.btcUnits === 0n || better.eureUnits === 0n) return
        expect(leavesThreshold(better, request.reference, request.thresholdBps)).toBe(false)
      }),
      { numRuns: 3_000, seed: 7 },
    )
  })

  it('is null only where one unit of what the taker wants would not leave the threshold', () => {
    fc.assert(
      fc.property(requests, (request) => {
        if (bestOffer(request) !== null || request.thresholdBps >= 10_000n) return
        const { direction, fixedUnits } = request
        expect(request.fixed_side).toBe('in')
        const least = direction === 'btc_to_eure' ? { btcUnits: fixedUnits, eureUnits: 1n } : { btcUnits: 1n, eureUnits: fixedUnits }
        expect(leavesThreshold({ direction, ...least }, request.reference, request.thresholdBps)).toBe(false)
      }),
      { numRuns: 2_000, seed: 7 },
    )
  })

  it('names each of the four one-sided amounts at a price of 60000 and a threshold of 2 percent', () => {
    const reference = referenceRate('60000')
    const best = (direction: 'btc_to_eure' | 'eure_to_btc', fixed_side: 'in' | 'out', fixedUnits: bigint) =>
      bestOffer({ direction, fixed_side, fixedUnits, reference, thresholdBps: 200n })
    const btc = toUnits('0.0001', 8)
    expect(best('btc_to_eure', 'in', btc)?.eureUnits).toBe(toUnits('5.88', 18))
    expect(best('btc_to_eure', 'out', toUnits('5.88', 18))?.btcUnits).toBe(btc)
    expect(best('eure_to_btc', 'out', btc)?.eureUnits).toBe(toUnits('6.12', 18))
    expect(best('eure_to_btc', 'in', toUnits('6.12', 18))?.btcUnits).toBe(btc)
  })
})

describe('edge and rate', () => {
  const reference = referenceRate('60000')
  const offer = (direction: Offer['direction'], eure: string): Offer => ({ direction, btcUnits: 10_000n, eureUnits: toUnits(eure, 18) })

  it('an edge has four decimals, counted for us in both directions', () => {
    expect(grossEdgePct(offer('btc_to_eure', '5.88'), reference)).toBe('2.0000')
    expect(grossEdgePct(offer('eure_to_btc', '6.12'), reference)).toBe('2.0000')
    expect(grossEdgePct(offer('btc_to_eure', '6.06'), reference)).toBe('-1.0000')
  })

  it('the smallest loss shows its sign, the smallest gain does not look larger than it is', () => {
    expect(grossEdgePct({ direction: 'btc_to_eure', btcUnits: 10_000n, eureUnits: toUnits('6', 18) + 1n }, reference)).toBe('-0.0001')
    expect(grossEdgePct({ direction: 'btc_to_eure', btcUnits: 10_000n, eureUnits: toUnits('6', 18) - 1n }, reference)).toBe('0.0000')
  })

  it('an edge is negative exactly where the offer would not leave a threshold of zero', () => {
    fc.assert(
      fc.property(requests, fc.bigInt({ min: 1n, max: 10n ** 24n }), ({ direction, fixedUnits, reference: rate }, other) => {
        const any: Offer = { direction, btcUnits: fixedUnits, eureUnits: other }
        expect(grossEdgePct(any, rate).startsWith('-')).toBe(!leavesThreshold(any, rate, 0n))
      }),
      { numRuns: 1_000, seed: 7 },
    )
  })

  it('an implied rate is rounded so that it never looks better for us', () => {
    const odd = { btcUnits: 3n, eureUnits: 10n ** 10n }
    expect(impliedRate({ direction: 'btc_to_eure', ...odd })).toBe('0.33333334')
    expect(impliedRate({ direction: 'eure_to_btc', ...odd })).toBe('0.33333333')
    expect(impliedRate(offer('btc_to_eure', '5.88'))).toBe('58800')
  })

  it('a price that is zero, negative or not a plain decimal is refused', () => {
    for (const bad of ['0', '0.00', '-1', '1e5', '', 'abc', '1.']) expect(() => referenceRate(bad)).toThrow(RangeError)
  })
})
