import { describe, expect, it } from 'vitest'
import { definition } from '#actors/services/alert-evaluator/actors.ts'
import { Env } from '#actors/services/alert-evaluator/config.ts'
import { judgeFunding, judgeInventory, judgeLane, judgePrice, judgeResult } from '#actors/services/alert-evaluator/judge.ts'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import type { PayloadOf } from '#machines/contracts/topics.ts'
import { alertMachine } from '#machines/alert/machine.ts'
import { given } from '../../machines/given.ts'

const env = Env.parse({ KAFKA_BROKERS: 'localhost:1', DATABASE_URL: 'postgres://u@localhost/db' })
const T = 1_800_000_000_000
const price = (healthy: boolean, fair: boolean, confirmed_at_ms = T) =>
  ({ pair: 'BTC/EURe', kraken: { healthy, confirmed_at_ms }, fair: fair ? {} : null }) as unknown as PayloadOf<'ref.market_price'>
const result = (result_code: string) => ({ pair: 'BTC/EURe', command_id: 'c-1', result_code }) as PayloadOf<'exec.trade_result'>
const deposit = (action: string, tx_hash: string | null = 't1') =>
  ({ action, handle_id: 'h', tx_hash, amount: '5', note: null }) as PayloadOf<'ops.liquidity_action'>

describe('what a record says about a condition', () => {
  it('a healthy price is good for ten seconds from when Kraken confirmed it', () => {
    expect(judgePrice(price(true, true), env)).toMatchObject({
      key: 'stale-price:BTC/EURe',
      event: { type: 'condition.good', as_of_ms: T, good_for_ms: 10_000 },
    })
  })

  it('a price without Kraken is a warning where CoinGecko stands in, critical where nobody does', () => {
    expect(judgePrice(price(false, true), env)?.event).toMatchObject({ type: 'condition.bad', severity: 'warning', for_ms: 10_000 })
    expect(judgePrice(price(false, false), env)?.event).toMatchObject({ severity: 'critical' })
  })

  it('balances are good from when they were asked for', () => {
    expect(judgeInventory({ pair: 'BTC/EURe', read_at_ms: T } as PayloadOf<'state.intent_inventory'>, env)).toMatchObject({
      key: 'stale-inventory:BTC/EURe',
      event: { as_of_ms: T, good_for_ms: 30_000 },
    })
  })

  it('a deposit has an alert of its own, and what is no deposit has none', () => {
    expect(judgeFunding(deposit('deposit_seen'), env)).toMatchObject({
      key: 'funding-stuck:h:t1',
      event: { type: 'condition.bad', for_ms: 7_200_000 },
    })
    expect(judgeFunding(deposit('deposit_failed'), env)?.event).toMatchObject({ type: 'condition.bad', for_ms: 0, severity: 'critical' })
    expect(judgeFunding(deposit('deposit_credited'), env)?.event).toMatchObject({ type: 'condition.good', ends: true })
    expect([judgeFunding(deposit('address_active', null), env), judgeFunding(deposit('withdrawal_seen'), env)]).toEqual([null, null])
  })

  it('a failed submission is bad, a settled one good, what was ordered or lost in the auction neither', () => {
    expect(judgeResult(result('VENUE_REJECTED'), env)[0]).toMatchObject({
      key: 'execution-failure:BTC/EURe',
      event: { type: 'condition.bad', reason: 'VENUE_REJECTED', quiet_ms: 600_000 },
    })
    expect(judgeResult(result('SETTLED'), env)[0]).toMatchObject({ key: 'execution-failure:BTC/EURe', event: { type: 'condition.good' } })
    for (const code of ['SUBMITTED', 'RECOVERED']) expect(judgeResult(result(code), env)).toEqual([])
    for (const code of ['DISARMED', 'EXPIRED_UNUSED'])
      expect(judgeResult(result(code), env).map(({ key }) => key)).toEqual(['execution-uncertain:c-1'])
  })

  it('an outcome that is not known is its own command’s alert, and ends with that command and no other', () => {
    expect(judgeResult(result('UNCERTAIN'), env)).toMatchObject([
      { key: 'execution-uncertain:c-1', event: { type: 'condition.bad', severity: 'critical', quiet_ms: null } },
    ])
    for (const code of ['SETTLED', 'EXPIRED_UNUSED', 'VENUE_REJECTED', 'TOO_LATE'])
      expect(judgeResult(result(code), env).at(-1)).toMatchObject({
        key: 'execution-uncertain:c-1',
        event: { type: 'condition.good', ends: true },
      })
    const other = judgeResult({ ...result('SETTLED'), command_id: 'c-2' }, env)
    expect(other.filter(({ key }) => key === 'execution-uncertain:c-1')).toEqual([])
  })

  it('a lane has one alert for each thing that somebody has to look at', () => {
    const state = { service: 'trade-executor', lane: 2, count: 3, since: null, reason: 'command/c: it threw' }
    const judged = (condition: 'parked' | 'halted' | 'overdue', holds: boolean) => judgeLane({ ...state, condition, holds })
    expect(judged('parked', true)).toMatchObject({
      key: 'event-parked:trade-executor/2',
      event: { type: 'condition.bad', reason: 'command/c: it threw (and 2 more)', quiet_ms: null },
    })
    expect(judged('parked', false)).toMatchObject({ key: 'event-parked:trade-executor/2', event: { type: 'condition.good' } })
    expect(judged('halted', true)).toMatchObject({ key: 'lane-halted:trade-executor/2', event: { severity: 'critical' } })
    expect(judged('overdue', true)).toMatchObject({ key: 'outcome-overdue:trade-executor/2', event: { severity: 'critical' } })
  })
})

describe('a price that goes away and comes back', () => {
  it('raises stale-price after ten seconds and clears it', () => {
    const alert = given(alertMachine, { key: 'stale-price:BTC/EURe', pair: 'BTC/EURe' }, T)
    const heard = (at: typeof alert, healthy: boolean, now: number) => {
      const { type, ...event } = judgePrice(price(healthy, false, now), env)!.event
      return at.when(type, event, now)
    }
    const gone = heard(heard(alert, true, T), false, T + 1_000)
    const raised = gone.elapse()
    expect(raised.messages()).toMatchObject([{ transition: 'raised', reason: 'no source has a healthy price', severity: 'critical' }])
    expect(heard(raised, false, T + 11_500).messages()).toEqual([])
    expect(heard(raised, true, T + 12_000).messages()).toMatchObject([{ transition: 'cleared', reason: 'Kraken is fresh' }])
  })
})

describe('the definition', () => {
  it('hosts machines that run', () => {
    for (const { machine, version } of Object.values(definition(env).kinds))
      expect(runnable(machine, version).hash).toMatch(/^[0-9a-f]{16}$/)
  })
})
