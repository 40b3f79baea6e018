import { describe, expect, it } from 'vitest'
import { definition } from '#actors/services/market-reference-ingest/actors.ts'
import { Env } from '#actors/services/market-reference-ingest/config.ts'
import { pollCoinGecko } from '#actors/services/market-reference-ingest/effects.ts'
import type { KrakenEvent } from '#actors/services/market-reference-ingest/thinned.ts'
import { ThinnedTicker } from '#actors/services/market-reference-ingest/thinned.ts'
import type { EffectContext } from '#actors/runtime/service.ts'
import { runnable } from '#actors/runtime/machine/xstate.ts'

const stream = (hears = () => true) => {
  const told: KrakenEvent[] = []
  const timers: { at: number; callback: () => void }[] = []
  const time = { now: 0 }
  const clock = {
    wallMs: () => time.now,
    monotonicMs: () => time.now,
    after: (ms: number, callback: () => void) => {
      const timer = { at: time.now + ms, callback }
      timers.push(timer)
      return () => void timers.splice(timers.indexOf(timer), 1)
    },
  }
  const thinned = new ThinnedTicker({ clock, tell: (event) => (told.push(event), hears()) })
  const until = (ms: number): void => {
    time.now = ms
    for (const timer of timers.filter(({ at }) => at <= ms)) {
      timers.splice(timers.indexOf(timer), 1)
      timer.callback()
    }
  }
  const tick = (bid: string, ask: string, at: number): void => {
    until(at)
    thinned.ticker({ symbol: 'BTC/EUR', type: 'update', bid, ask, last: null, at: null, receivedAtMs: at, raw: '{}' })
  }
  return { thinned, told, until, tick, bids: () => told.flatMap((event) => (event.type === 'kraken.ticker' ? [event.bid] : [])) }
}

describe("Kraken's stream, thinned", () => {
  it('a change is told at once, and what follows within 50 ms as its last value', () => {
    const { tick, until, bids } = stream()
    tick('1', '2', 0)
    tick('1.1', '2', 10)
    tick('1.2', '2', 20)
    expect(bids()).toEqual(['1'])
    until(50)
    expect(bids()).toEqual(['1', '1.2'])
  })

  it('the same prices are a confirmation, at most once a second, told apart from a heartbeat', () => {
    const { thinned, tick, told } = stream()
    tick('1', '2', 0)
    tick('1', '2', 500)
    tick('1', '2', 1_000)
    thinned.heartbeat(1_001)
    expect(told.slice(1)).toEqual([{ type: 'kraken.confirmed', at: 1_000, updated: true }])
  })

  it('after a drop the first prices are news, also when they are the same', () => {
    const { thinned, tick, bids, told } = stream()
    tick('1', '2', 0)
    thinned.forget()
    thinned.heartbeat(2_000)
    expect(told).toHaveLength(1)
    tick('1', '2', 3_000)
    expect(bids()).toEqual(['1', '1'])
  })

  it('prices that nobody heard are told again', () => {
    let hears = false
    const { tick, bids } = stream(() => hears)
    tick('1', '2', 0)
    hears = true
    tick('1', '2', 100)
    expect(bids()).toEqual(['1', '1'])
  })
})

describe('the poll of CoinGecko', () => {
  const send = (said: Parameters<typeof pollCoinGecko>[0]) =>
    pollCoinGecko(said, () => 99).send({}, { signal: new AbortController().signal } as EffectContext)

  it('answers the price with the time of its arrival', async () => {
    expect(await send(async () => ({ kind: 'price', eur: '60005', last_updated_at_ms: 5 }))).toEqual({
      kind: 'price',
      eur: '60005',
      last_updated_at_ms: 5,
      received_at_ms: 99,
    })
  })

  it('answers a limit with what the venue asks for', async () => {
    expect(await send(async () => ({ kind: 'rate_limited', retryAfterMs: 7_000 }))).toEqual({ kind: 'rate_limited', retry_after_ms: 7_000 })
  })
})

describe('the definition', () => {
  const env = Env.parse({
    KAFKA_BROKERS: 'localhost:1',
    DATABASE_URL: 'postgres://u@localhost/db',
    KRAKEN_WS_URL: 'ws://localhost:1',
    COINGECKO_API_URL: 'http://localhost:1',
  })
  const of = definition(env, {
    pollCoinGecko: pollCoinGecko(
      async () => ({ kind: 'error', text: '' }),
      () => 0,
    ),
  })

  it('hosts machines that know what they are sent and ask only for effects that there are', () => {
    const machines = Object.fromEntries(Object.entries(of.kinds).map(([kind, { machine, version }]) => [kind, runnable(machine, version)]))
    for (const { to, type } of [...of.configure, ...Object.values(of.orders)])
      expect([type, machines[to.kind]?.knows(type)]).toEqual([type, true])
    for (const name of Object.keys(of.effects)) expect(machines['price-reference']?.knows(`${name}.done`)).toBe(true)
  })
})
