import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MarketPrice } from '#machines/contracts/records/market-price.ts'
import { priceReferenceMachine } from '#machines/price-reference/machine.ts'
import { given } from '../given.ts'

const T = 1_800_000_000_000
const config = { pair: 'BTC/EURe', poll_ms: 60_000, quiet_max_ms: 60_000, coingecko_max_age_ms: 180_000, conflict_bps: 75 }
const ticker = (bid: string, ask: string, at: number) => ({ bid, ask, at, venue_at: null })
const price = (eur: string, at: number) => ({ answer: { kind: 'price', eur, last_updated_at_ms: at, received_at_ms: at } })
const configured = given(priceReferenceMachine, undefined, T).when('configured', config, T)
const priced = configured.when('kraken.ticker', ticker('60000.1', '60010', T), T)
const record = (of: { messages(topic?: string): Record<string, unknown>[] }) => MarketPrice.parse(of.messages('ref.market_price')[0])

describe('what is published', () => {
  it("a change of Kraken's best prices, at once, as the fair price", () => {
    expect(record(priced)).toMatchObject({
      kraken: { bid: '60000.1', ask: '60010', updated_at_ms: T, confirmed_at_ms: T, healthy: true },
      coingecko: null,
      fair: { bid: '60000.1', ask: '60010', source: 'kraken' },
      degraded: false,
      basis: 'EURe=EUR 1:1',
    })
  })

  it('the same best prices again are a confirmation and no record of their own', () => {
    const same = priced.when('kraken.ticker', ticker('60000.1', '60010', T + 400), T + 400)
    expect(same.messages()).toEqual([])
    expect(same.context['kraken']).toMatchObject({ updated_at_ms: T + 400 })
  })

  it('once a second while confirmed, with a version that only grows', () => {
    let at = priced
    const versions = [record(priced).version]
    for (let second = 1; second <= 5; second++) {
      at = at.when('kraken.confirmed', { at: T + second * 1_000, updated: false }, T + second * 1_000 - 1).elapse()
      versions.push(record(at).version)
    }
    expect(versions).toEqual([...versions].sort((a, b) => a - b))
    expect(new Set(versions).size).toBe(6)
  })

  it('the truth once when Kraken goes down, then nothing more until something changes', () => {
    const down = priced.when('kraken.down', { reason: 'no pong' }, T + 500)
    expect(record(down)).toMatchObject({ kraken: { healthy: false }, fair: null, degraded: true })
    expect(down.when('kraken.down', { reason: 'refused' }, T + 900).changed).toBe(false)
    expect(down.elapse().messages()).toEqual([])
    expect(
      down
        .when('kraken.confirmed', { at: T + 2_000, updated: false }, T + 2_000)
        .elapse()
        .messages(),
    ).toEqual([])
    const back = down.when('kraken.ticker', ticker('60000.1', '60010', T + 3_000), T + 3_000)
    expect(record(back).fair).toMatchObject({ source: 'kraken' })
  })

  it('the truth once when nothing confirms the price any more', () => {
    let at = priced
    const healthy: unknown[] = []
    for (let second = 1; second <= 9; second++) {
      at = at.elapse()
      healthy.push(...at.messages('ref.market_price').map(({ kraken }) => (kraken as { healthy: boolean }).healthy))
    }
    expect(healthy).toEqual([true, true, true, true, true, false])
  })

  it('a price that is confirmed and never changes is trusted no longer than the quiet time', () => {
    const quiet = priced
      .when('kraken.confirmed', { at: T + 60_001, updated: false }, T + 60_001)
      .when('order.refresh', { by: 'a', reason: 'b' }, T + 60_001)
    expect(record(quiet)).toMatchObject({ kraken: { healthy: false, confirmed_at_ms: T + 60_001 }, fair: null })
  })
})

describe('CoinGecko', () => {
  it('is asked at the start and again a poll after its answer', () => {
    expect(given(priceReferenceMachine).outputs).toEqual([])
    expect(configured.effects('pollCoinGecko')).toHaveLength(1)
    const answered = configured.when('pollCoinGecko.done', price('60005', T), T)
    expect(answered.timers.get('xstate.after.untilNextPoll.price-reference.serving.poll.waiting')).toBe(T + 60_000)
  })

  it('stands in for Kraken, degraded and with one price for both sides', () => {
    const fallback = configured.when('pollCoinGecko.done', price('60005.5', T - 20_000), T).elapse()
    expect(record(fallback)).toMatchObject({ fair: { bid: '60005.5', ask: '60005.5', source: 'coingecko' }, degraded: true, kraken: null })
  })

  it('a price of its own that is too old, or from the future, is not healthy', () => {
    for (const at of [T - 180_001, T + 5_001]) {
      const old = configured.when('pollCoinGecko.done', price('60005.5', at), T).when('order.refresh', { by: 'a', reason: 'b' }, T)
      expect(record(old)).toMatchObject({ coingecko: { healthy: false }, fair: null })
    }
  })

  it('further from Kraken than the tolerance is a conflict, which the record says', () => {
    const at = (eur: string) => record(priced.when('pollCoinGecko.done', price(eur, T), T).elapse())
    expect(at('60005')).toMatchObject({ conflict: false, divergence_bps: 1 })
    expect(at('60455.08')).toMatchObject({ conflict: false, divergence_bps: 75 })
    expect(at('60460')).toMatchObject({ conflict: true, divergence_bps: 76 })
    expect(at('59000')).toMatchObject({ conflict: true })
  })

  it('a failure is asked again after 5, 10, 20 s, and a limit not before the venue allows', () => {
    const next = (of: typeof configured) => (of.context['polls'] as { next_in_ms: number }).next_in_ms
    let at = configured
    for (const wait of [5_000, 10_000, 20_000]) {
      at = at.when('pollCoinGecko.done', { answer: { kind: 'error', text: 'HTTP 503' } })
      expect(next(at)).toBe(wait)
      while (at.effects('pollCoinGecko').length === 0) at = at.elapse()
    }
    expect(next(at.when('pollCoinGecko.done', { answer: { kind: 'rate_limited', retry_after_ms: 90_000 } }))).toBe(90_000)
    expect(next(configured.when('pollCoinGecko.failed', { error: 'died' }))).toBe(5_000)
  })

  it('refresh asks at once, and not twice while one question is under way', () => {
    expect(configured.when('order.refresh', { by: 'a', reason: 'b' }).effects()).toEqual([])
    const waiting = configured.when('pollCoinGecko.done', price('60005', T), T)
    expect(waiting.when('order.refresh', { by: 'a', reason: 'b' }, T + 10).effects('pollCoinGecko')).toHaveLength(1)
  })
})

describe('a paused reference', () => {
  const paused = priced.when('paused', {}, T + 10)

  it('publishes nothing and asks nothing, but knows what came meanwhile', () => {
    expect(paused.timers.size).toBe(0)
    const meanwhile = paused.when('kraken.ticker', ticker('61000', '61010', T + 20), T + 20)
    expect(meanwhile.outputs).toEqual([])
    expect(record(meanwhile.when('resumed', {}, T + 30).when('order.refresh', { by: 'a', reason: 'b' }, T + 31)).fair).toMatchObject({
      bid: '61000',
    })
  })
})

describe('whatever happens in whatever order', () => {
  const step = fc.oneof(
    fc.record({
      type: fc.constant('kraken.ticker'),
      bid: fc.constantFrom('60000', '60001.5'),
      ask: fc.constantFrom('60010', '60012'),
      after: fc.nat(3_000),
    }),
    fc.record({
      type: fc.constantFrom(
        'kraken.confirmed',
        'kraken.down',
        'kraken.up',
        'order.refresh',
        'pollCoinGecko.done',
        'paused',
        'resumed',
        'timer',
      ),
      after: fc.nat(90_000),
    }),
  )

  it('every record fits its contract, versions grow, and a price without a healthy source is never fair', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let at = configured
        let now = T
        let version = 0
        for (const { type, after, ...fields } of steps) {
          now += after
          if (type === 'timer') {
            if (at.timers.size > 0) at = at.elapse()
            now = Math.max(now, T)
          } else
            at = at.when(
              type,
              { ...fields, at: now, venue_at: null, updated: false, reason: 'x', by: 'a', ...price('60005', now - 30_000) },
              now,
            )
          for (const message of at.messages('ref.market_price')) {
            const parsed = MarketPrice.parse(message)
            expect(parsed.version).toBeGreaterThan(version)
            version = parsed.version
            expect(parsed.fair === null).toBe(!parsed.kraken?.healthy && !parsed.coingecko?.healthy)
          }
        }
      }),
      { numRuns: 200 },
    )
  })
})
