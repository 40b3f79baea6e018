import { describe as suite, expect, it } from 'vitest'
import type { Tables } from '#actors/runtime/service.ts'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import type { SectionView } from '#actors/services/run-service.ts'
import { attached, definition } from '#actors/services/strategy-engine/actors.ts'
import { Env } from '#actors/services/strategy-engine/config.ts'
import { describe } from '#actors/services/strategy-engine/describe.ts'
import { BTC, demandOf, EURE, inventoryAt, krakenAt, priceOf, resultOf, TestDesk } from '#test/machines/desk/trading.ts'

const ENV = { KAFKA_BROKERS: '127.0.0.1:9092', DATABASE_URL: 'postgres://x@127.0.0.1/x', STRICT_AUDIT: 'false' }
const env = Env.parse(ENV)

const tablesOf = (values: Record<string, unknown>): Tables =>
  ({
    get: (topic: string) => (values[topic] ? { value: values[topic], event_id: 'e', topic, partition: 0, offset: '1' } : null),
    rows: (topic: string) => (values[topic] ? [{ value: values[topic], event_id: 'e', topic, partition: 0, offset: '1' }] : []),
  }) as unknown as Tables

const viewOf = (desk: TestDesk | null, change: Partial<SectionView> = {}): SectionView => ({
  actor: (kind) => {
    if (kind === 'desk' && desk) return [{ lane: 0, state: 'open', context: desk.desk }]
    return kind === 'arm' ? [{ lane: 0, state: 'armed', context: { by: 'ann', reason: 'go', since_ms: 7 } }] : []
  },
  counters: {},
  openEffects: () => 0,
  lanes: [],
  tables: desk ? tablesOf({ 'ref.market_price': desk.price, 'state.intent_inventory': desk.inventory }) : tablesOf({}),
  nowMs: desk?.lane.now ?? 0,
  ...change,
})

suite('strategy-engine', () => {
  it('has the defaults that are documented, and refuses empty strings and caps of nothing', () => {
    expect(env).toMatchObject({ STRATEGY_THRESHOLD_BPS: 200, STRATEGY_MAX_NOTIONAL_EURE: '5', STRATEGY_FALLBACK_PRICE: 'deny' })
    expect(Env.parse({ ...ENV, STRICT_AUDIT: undefined }).STRICT_AUDIT).toBe(true)
    expect(Env.parse({ ...ENV, STRATEGY_FALLBACK_EXTRA_EDGE_BPS: '0' }).STRATEGY_FALLBACK_EXTRA_EDGE_BPS).toBe(0)
    const bad = { STRATEGY_MAX_NOTIONAL_EURE: '0', STRATEGY_THRESHOLD_BPS: '', STRATEGY_FALLBACK_EXTRA_EDGE_BPS: '', STRICT_AUDIT: '' }
    for (const [name, value] of Object.entries(bad)) expect(Env.safeParse({ ...ENV, [name]: value }).success, name).toBe(false)
  })

  it('every machine that it hosts can be run, and knows every event that it is sent', () => {
    const { kinds, orders, configure } = definition(env, { nowMs: () => 0 })
    const machines = Object.fromEntries(Object.entries(kinds).map(([kind, { machine }]) => [kind, runnable(machine, 1)]))
    for (const { to, type } of [...Object.values(orders), ...configure]) expect(machines[to.kind]?.knows(type), type).toBe(true)
    expect(machines['arm']?.knows('released')).toBe(true)
  })

  it('orders refuse what is no threshold and no limit', () => {
    const { orders } = definition(env, { nowMs: () => 0 })
    expect(orders['threshold']?.schema.safeParse({ threshold_bps: 250 }).success).toBe(true)
    for (const threshold_bps of [0, 10_000, 1.5, '250'])
      expect(orders['threshold']?.schema.safeParse({ threshold_bps }).success).toBe(false)
    expect(orders['limits']?.schema.safeParse({ max_notional_eure: '5' }).success).toBe(true)
    for (const max_notional_eure of ['0', '-5', '1e3', 5])
      expect(orders['limits']?.schema.safeParse({ max_notional_eure }).success).toBe(false)
  })

  it('shows what was decided, skipped, reserved and booked', () => {
    const desk = new TestDesk()
    const { command } = desk.ask(demandOf('a'))
    desk.ask(demandOf('b'))
    desk.ask(demandOf('c', { direction: 'eure_to_btc', asset_in: EURE, asset_out: BTC, amount_in: '1' }))
    if (command) desk.hears(resultOf(command, 'SETTLED', 999))
    const { section, blocked } = describe(env, viewOf(desk, { counters: { 'dropped.quote.demand.arrived': 3 } }))
    expect(section['strategy']).toMatchObject({
      armed: true,
      threshold_bps: 200,
      max_notional_eure: '5',
      skips: { EDGE_BELOW_THRESHOLD: 1, DUPLICATE_QUOTE: 3 },
      latest_decision: { quote_id: 'c', decision: 'skip' },
      latest_rejection: { quote_id: 'c', decision_reason: 'EDGE_BELOW_THRESHOLD' },
      reservations: { [EURE]: '2940000000000000000' },
      bookings: { [EURE]: '2940000000000000000' },
      open_offers: 1,
    })
    expect(blocked).toEqual([])
  })

  it('says why it would not trade, in the words of a decision', () => {
    const { blocked, inputs } = describe(env, viewOf(null, { actor: () => [] }))
    expect(blocked?.map(({ code }) => code)).toEqual(['PRICE_MISSING', 'INVENTORY_MISSING', 'NOT_ARMED'])
    expect(inputs).toMatchObject({ price: { atMs: null, stale: true }, inventory: { atMs: null, stale: true } })
    const strict = Env.parse({ ...ENV, STRICT_AUDIT: 'true' })
    const desk = new TestDesk({ strict_audit: true })
    expect(describe(strict, viewOf(desk)).blocked).toMatchObject([{ code: 'AUDIT_IMPAIRED' }])
  })

  it('a writer of the history that fell silent cannot write', () => {
    const audit = { pair: 'BTC/EURe', lane: 0, version: 1_000_000, writable: true, last_write_at: null, lag: 0 }
    const at = (nowMs: number) =>
      attached(
        tablesOf({ 'ops.audit_state': audit, 'ref.market_price': priceOf(krakenAt(0)), 'state.intent_inventory': inventoryAt(0, {}) }),
        nowMs,
      )
    expect(at(1_009_000).audit.writable).toBe(true)
    expect(at(1_010_001).audit.writable).toBe(false)
    expect(attached(tablesOf({}), 0)).toEqual({ price: null, inventory: null, audit: { writable: null } })
  })
})
