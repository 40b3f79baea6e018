import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LiquidityAction } from '#machines/contracts/records/operations.ts'
import type { BridgeRow } from '#machines/funding/bridge-rows.ts'
import { news } from '#machines/funding/bridge-rows.ts'
import { fundingHandleMachine } from '#machines/funding/handle.ts'
import { freezeMachine, treasuryMachine } from '#machines/funding/treasury.ts'
import { given } from '../given.ts'

const T = 1_800_000_000_000
const iso = (minute: number) => new Date(T + minute * 60_000).toISOString()
const btc = 'nep141:btc.omft.near'
const config = { asset: 'BTC', pair: 'BTC/EURe', account_id: 'solver.near', chain: 'btc:mainnet', token_ids: [btc], poll_every_ms: 15_000 }
const row = (tx_hash: string, status: string, minute = 0, fields: Partial<BridgeRow> = {}): BridgeRow => ({
  tx_hash,
  status,
  token_id: btc,
  amount: '12000',
  address: 'bc1q',
  created_at: iso(minute),
  ...fields,
})
const answer = (deposits: BridgeRow[] = [], withdrawals: BridgeRow[] = []) => ({ answer: { deposits, withdrawals, unreadable: 0 } })
const configured = given(fundingHandleMachine, undefined, T).when('configured', config, T)
const active = configured.when('requestAddress.done', { answer: { address: 'bc1q', memo: null } })
const actions = (of: typeof active) => of.messages('ops.liquidity_action').map((message) => LiquidityAction.parse(message).action)
const pollAgain = (of: typeof active) => of.when('refresh')

describe('a funding handle', () => {
  it('asks for its address and tells that it has one', () => {
    expect(configured.effects()).toEqual([{ name: 'requestAddress', params: { account_id: 'solver.near', chain: 'btc:mainnet' } }])
    expect(active.messages()[0]).toMatchObject({
      action: 'address_active',
      address: 'bc1q',
      handle_id: 'BTC@btc:mainnet:solver.near',
      asset: 'BTC',
    })
    expect(active.effects('pollBridge')).toHaveLength(1)
  })

  it('a refused request is told once and tried again with backoff, until it works', () => {
    const failed = configured.when('requestAddress.failed', { error: 'unsupported chain' })
    expect(failed.messages()[0]).toMatchObject({ action: 'address_failed', note: 'unsupported chain' })
    const again = failed.elapse().when('requestAddress.failed', { error: 'unsupported chain' })
    expect(again.messages()).toEqual([])
    expect(again.context).toMatchObject({ failures: 2, last_error: 'unsupported chain' })
    expect(again.elapse().when('requestAddress.done', { answer: { address: 'bc1q', memo: null } }).value).toEqual({ active: 'polling' })
  })

  it('a deposit is told when seen and when credited, once each, and counts as pending between', () => {
    const seen = active.when('pollBridge.done', answer([row('t1', 'PENDING')]))
    expect(actions(seen)).toEqual(['deposit_seen'])
    expect(seen.context['pending']).toEqual({ [btc]: '12000' })
    const still = pollAgain(seen).when('pollBridge.done', answer([row('t1', 'PENDING')]))
    expect(actions(still)).toEqual([])
    const credited = pollAgain(still).when('pollBridge.done', answer([row('t1', 'COMPLETED')]))
    expect(actions(credited)).toEqual(['deposit_credited'])
    expect(credited.context['pending']).toEqual({})
  })

  it('a failed deposit that is mended later is told both times', () => {
    const failed = active.when('pollBridge.done', answer([row('t1', 'FAILED')]))
    expect(actions(failed)).toEqual(['deposit_failed'])
    expect(actions(pollAgain(failed).when('pollBridge.done', answer([row('t1', 'COMPLETED')])))).toEqual(['deposit_credited'])
  })

  it('a withdrawal is told beside a deposit of the same hash', () => {
    const both = active.when('pollBridge.done', answer([row('t1', 'CREDITED')], [row('t1', 'PENDING')]))
    expect(actions(both)).toEqual(['deposit_credited', 'withdrawal_seen'])
    expect(actions(pollAgain(both).when('pollBridge.done', answer([], [row('t1', 'COMPLETED')])))).toEqual(['withdrawal_ended'])
  })

  it('a poll that fails is counted and asked again later, up to a minute', () => {
    const failed = active.when('pollBridge.failed', { error: 'bridge recent_deposits: timeout' })
    expect(failed.context['polls']).toMatchObject({ failures: 1, last_error: 'bridge recent_deposits: timeout' })
    expect(failed.timers.get('xstate.after.untilNextPoll.funding-handle.active.waiting')).toBe(T + 30_000)
  })

  it('paused asks nothing; resumed goes on where it was', () => {
    const paused = active.when('paused')
    expect([paused.timers.size, paused.when('pollBridge.done', answer([row('t1', 'PENDING')])).outputs]).toEqual([0, []])
    expect(paused.when('resumed').effects('pollBridge')).toHaveLength(1)
    expect(configured.when('paused').when('resumed').effects('requestAddress')).toHaveLength(1)
  })

  it('stays small however many deposits there were', () => {
    let at = active
    for (let n = 0; n < 100; n++) at = pollAgain(at.when('pollBridge.done', answer([row(`${n}`.padStart(64, 'a'), 'COMPLETED', n)])))
    expect(JSON.stringify(at.context).length).toBeLessThan(2_600)
  })
})

describe('what the bridge says that was not told yet', () => {
  it('every change of every row is told exactly once, however the rows arrive, within the newest forty', () => {
    const polls = fc.array(fc.array(fc.tuple(fc.nat(30), fc.constantFrom('PENDING', 'CREDITED', 'FAILED')), { maxLength: 10 }), {
      maxLength: 20,
    })
    fc.assert(
      fc.property(polls, (all) => {
        let told: Parameters<typeof news>[0] = { rows: {}, upTo: 0 }
        const last = new Map<string, string>()
        for (const poll of all) {
          const rows = [...new Map(poll.map(([n, status]) => [n, row(`tx${n}`, status, n)])).values()]
          const expected = rows
            .filter(({ tx_hash, status }) => last.get(tx_hash) !== status)
            .map(({ tx_hash, status }) => `${tx_hash} ${status}`)
          const { changes, told: next } = news(told, { deposits: rows, withdrawals: [], unreadable: 0 })
          expect(changes.map(({ row: { tx_hash, status } }) => `${tx_hash} ${status}`).sort()).toEqual(expected.sort())
          for (const { tx_hash, status } of rows) last.set(tx_hash, status)
          told = next
        }
      }),
      { numRuns: 200 },
    )
  })

  it('what was forgotten is not told again by its time', () => {
    let told: Parameters<typeof news>[0] = { rows: {}, upTo: 0 }
    const rows = Array.from({ length: 60 }, (_, n) => row(`tx${n}`, 'COMPLETED', n))
    told = news(told, { deposits: rows, withdrawals: [], unreadable: 0 }).told
    expect(Object.keys(told.rows)).toHaveLength(40)
    expect(news(told, { deposits: rows, withdrawals: [], unreadable: 0 }).changes).toEqual([])
  })
})

describe('the freeze of withdrawals', () => {
  const order = { by: 'ada', reason: 'odd transfer', order_id: '3' }
  const open = given(freezeMachine, undefined, T).when('configured', { pair: 'BTC/EURe', chains: { BTC: 'btc:mainnet', EURe: 'eth:100' } })

  it('is an order, on record for each asset, and stays until the other order', () => {
    const frozen = open.when('order.freeze-withdrawals', order)
    expect(frozen.value).toBe('frozen')
    expect(
      frozen
        .messages()
        .map((message) => LiquidityAction.parse(message))
        .map(({ action, asset, note }) => [action, asset, note]),
    ).toEqual([
      ['withdrawals_frozen', 'BTC', 'ada: odd transfer'],
      ['withdrawals_frozen', 'EURe', 'ada: odd transfer'],
    ])
    expect(frozen.when('order.freeze-withdrawals', order).changed).toBe(false)
    expect(frozen.when('order.unfreeze-withdrawals', order).messages()).toHaveLength(2)
  })
})

describe('the treasury', () => {
  it('passes one refresh on to every handle', () => {
    const handles = [
      { kind: 'funding-handle', key: 'BTC' },
      { kind: 'funding-handle', key: 'EURe' },
    ]
    const refreshed = given(treasuryMachine, { handles }, T).when('order.refresh', { by: 'a', reason: 'b' })
    expect(refreshed.tells()).toEqual(handles.map((to) => ({ to, event: { type: 'refresh' } })))
  })
})
