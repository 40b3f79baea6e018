import { describe, expect, it } from 'vitest'
import { alertBoardMachine } from '#machines/alert/board.ts'
import { alertMachine } from '#machines/alert/machine.ts'
import { AlertEvent } from '#machines/contracts/records/operations.ts'
import { given } from '../given.ts'

const T = 1_800_000_000_000
const fresh = (as_of_ms: number) => ({
  reason: 'fresh',
  as_of_ms,
  good_for_ms: 10_000,
  reason_if_late: 'nothing confirmed for 10 s',
  severity: 'critical',
})
const settled = { reason: 'settled', as_of_ms: 0, good_for_ms: null, reason_if_late: '', severity: 'warning' }
const bad = (reason: string, for_ms = 0, quiet_ms: number | null = null) => ({ reason, for_ms, quiet_ms, severity: 'warning' })
const stale = given(alertMachine, { key: 'stale-price:BTC/EURe', pair: 'BTC/EURe' }, T)
const failure = given(alertMachine, { key: 'execution-failure:BTC/EURe', pair: 'BTC/EURe' }, T)
const stuck = given(alertMachine, { key: 'funding-stuck:BTC@btc:mainnet:a:t1', pair: 'BTC/EURe' }, T)
const said = (of: typeof stale) =>
  of
    .messages('ops.alert_event')
    .map((message) => AlertEvent.parse(message))
    .map(({ transition, reason }) => [transition, reason])

describe('something that must be heard of', () => {
  it('is raised when it was not, ten seconds after the last news, and told to the board', () => {
    const late = stale.when('condition.good', fresh(T), T).elapse()
    expect(said(late)).toEqual([['raised', 'nothing confirmed for 10 s']])
    expect(AlertEvent.parse(late.messages()[0])).toMatchObject({
      alert: 'stale-price',
      subject: 'BTC/EURe',
      severity: 'critical',
      since: new Date(T + 10_000).toISOString(),
    })
    expect(late.tells()).toMatchObject([
      { to: { kind: 'alert-board', key: 'lane' }, event: { type: 'alert.raised', alert_id: 'stale-price:BTC/EURe' } },
    ])
  })

  it('repeated news moves no timer; the timer looks again when it fires', () => {
    const heard = stale.when('condition.good', fresh(T), T).when('condition.good', fresh(T + 4_000), T + 4_000)
    expect(heard.outputs).toEqual([])
    const looked = heard.elapse()
    expect(said(looked)).toEqual([])
    expect([...looked.timers.values()]).toEqual([T + 14_000])
    expect(said(looked.elapse())).toEqual([['raised', 'nothing confirmed for 10 s']])
  })

  it('is cleared by the next news, and by nothing that was old when it came', () => {
    const late = stale.when('condition.good', fresh(T), T).elapse()
    expect(said(late.when('condition.good', fresh(T), T + 11_000))).toEqual([])
    const back = late.when('condition.good', fresh(T + 12_000), T + 12_000)
    expect(said(back)).toEqual([['cleared', 'fresh']])
    expect(said(back.elapse())).toEqual([['raised', 'nothing confirmed for 10 s']])
  })

  it('old news is no news: raised at once', () => {
    expect(said(stale.when('condition.good', fresh(T - 10_000), T))).toEqual([['raised', 'nothing confirmed for 10 s']])
  })
})

describe('something that went wrong', () => {
  it('is raised at once, once for the same reason, and cleared by its opposite', () => {
    const raised = failure.when('condition.bad', bad('VENUE_REJECTED', 0, 600_000))
    expect(said(raised)).toEqual([['raised', 'VENUE_REJECTED']])
    expect(said(raised.when('condition.bad', bad('VENUE_REJECTED', 0, 600_000)))).toEqual([])
    expect(said(raised.when('condition.bad', bad('TOO_LATE', 0, 600_000)))).toEqual([['raised', 'TOO_LATE']])
    expect(said(raised.when('condition.good', settled))).toEqual([['cleared', 'settled']])
  })

  it('is cleared by itself after a quiet time, counted from the last', () => {
    const raised = failure
      .when('condition.bad', bad('VENUE_REJECTED', 0, 600_000), T)
      .when('condition.bad', bad('VENUE_REJECTED', 0, 600_000), T + 60_000)
    expect([...raised.timers.values()]).toEqual([T + 660_000])
    const quiet = raised.elapse()
    expect(said(quiet)).toEqual([['cleared', 'quiet since: VENUE_REJECTED']])
    expect(quiet.value).toEqual({ fine: 'forever' })
  })
})

describe('something that takes too long', () => {
  const seen = stuck.when('condition.bad', bad('deposit seen, not credited', 7_200_000), T)

  it('is raised only after its time, counted from the first', () => {
    expect(said(seen)).toEqual([])
    const again = seen.when('condition.bad', bad('deposit seen, not credited', 7_200_000), T + 60_000)
    expect([...again.timers.values()]).toEqual([T + 7_200_000])
    expect(said(again.elapse())).toEqual([['raised', 'deposit seen, not credited']])
  })

  it('ends with its good end, whether it was raised or not', () => {
    const credited = { ...settled, reason: 'credited', ends: true }
    const ended = seen.when('condition.good', credited)
    expect([ended.value, said(ended), ended.timers.size]).toEqual(['ended', [], 0])
    expect(said(seen.elapse().when('condition.good', credited))).toEqual([['cleared', 'credited']])
  })
})

describe('the board', () => {
  const raise = (n: number) => ({ alert_id: `a:${n}`, severity: 'warning', reason: 'r' })
  it('shows what is raised now, the newest first, and counts what it has no room for', () => {
    let board = given(alertBoardMachine, undefined, T)
    for (let n = 0; n < 10; n++) board = board.when('alert.raised', raise(n), T + n)
    expect((board.context['active'] as { alert_id: string }[]).map(({ alert_id }) => alert_id)[0]).toBe('a:9')
    expect(board.context).toMatchObject({ more: 2, raised: 10 })
    for (let n = 0; n < 10; n++) board = board.when('alert.cleared', raise(n))
    expect(board.context).toMatchObject({ active: [], more: 0, cleared: 10, last: { alert_id: 'a:9', transition: 'cleared' } })
  })

  it('an alert that is raised again for another reason stands there once, since the first', () => {
    const board = given(alertBoardMachine, undefined, T)
      .when('alert.raised', raise(1), T)
      .when('alert.raised', { ...raise(1), reason: 'other' }, T + 5)
    expect(board.context['active']).toEqual([{ alert_id: 'a:1', severity: 'warning', reason: 'other', since_ms: T }])
  })
})
