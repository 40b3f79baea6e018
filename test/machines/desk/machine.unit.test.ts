import { describe, expect, it } from 'vitest'
import { toUnits } from '#machines/contracts/money.ts'
import { CONFIG, demandOf, DESK, EURE, inventoryAt, resultOf, TestDesk } from './trading.ts'

const OFFER = toUnits('2.94', 18)
const eure = (units: bigint): Record<string, string> => ({ [EURE]: units.toString() })
const order = { by: 'ann', reason: 'because', order_id: '1' }

/** A desk with exactly two offers' worth of EURe. */
const deskForTwo = (): TestDesk => {
  const desk = new TestDesk()
  desk.inventory = inventoryAt(desk.lane.now, eure(2n * OFFER))
  return desk
}

const trade = (desk: TestDesk, quoteId: string) => {
  const { command } = desk.ask(demandOf(quoteId))
  if (!command) throw new Error(`${quoteId} did not trade: ${desk.desk.latest_rejection?.decision_reason}`)
  return command
}
const reason = (desk: TestDesk, quoteId: string): string => desk.ask(demandOf(quoteId)).decision.decision_reason

describe('desk', () => {
  it('reserves from the decision on, so that open offers never exceed what is credited', () => {
    const desk = deskForTwo()
    trade(desk, 'a')
    trade(desk, 'b')
    expect(reason(desk, 'c')).toBe('INVENTORY_INSUFFICIENT')
    expect(desk.desk.ledger).toMatchObject({ reserved: eure(2n * OFFER), open: 2 })
  })

  it('an offer that expired unused frees its reservation, one that is uncertain does not', () => {
    const desk = deskForTwo()
    const command = trade(desk, 'a')
    trade(desk, 'b')
    for (const code of ['SUBMITTED', 'REJECTED', 'UNCERTAIN', 'RECOVERED'] as const) desk.hears(resultOf(command, code))
    expect(reason(desk, 'c')).toBe('INVENTORY_INSUFFICIENT')
    desk.hears(resultOf(command, 'EXPIRED_UNUSED'))
    expect(desk.desk.ledger).toMatchObject({ reserved: eure(OFFER), open: 1 })
    trade(desk, 'd')
  })

  it('a settled offer is booked until an inventory record of its height has been seen', () => {
    const desk = deskForTwo()
    desk.hears(resultOf(trade(desk, 'a'), 'SETTLED', 105))
    expect(desk.desk.ledger).toMatchObject({ reserved: {}, open: 0, bookings: { [EURE]: [[OFFER.toString(), 105]] } })
    trade(desk, 'b')
    expect(reason(desk, 'c')).toBe('INVENTORY_INSUFFICIENT')
    desk.inventory = inventoryAt(desk.lane.now, eure(OFFER), 105)
    expect(reason(desk, 'd')).toBe('INVENTORY_INSUFFICIENT')
    expect(desk.desk.ledger.bookings).toEqual({})
    desk.inventory = inventoryAt(desk.lane.now, eure(2n * OFFER), 106)
    trade(desk, 'e')
  })

  it('a settlement that the inventory already shows is not counted twice', () => {
    const desk = deskForTwo()
    const command = trade(desk, 'a')
    desk.inventory = inventoryAt(desk.lane.now, eure(OFFER), 107)
    expect(reason(desk, 'b')).toBe('INVENTORY_INSUFFICIENT')
    desk.hears(resultOf(command, 'SETTLED', 106))
    expect(desk.desk.ledger.bookings).toEqual({})
    trade(desk, 'c')
  })

  it('an inventory record below the highest seen is stale, since its bookings are gone', () => {
    const desk = deskForTwo()
    const older = desk.inventory
    desk.inventory = inventoryAt(desk.lane.now, eure(2n * OFFER), 200)
    trade(desk, 'a')
    desk.inventory = older
    expect(reason(desk, 'b')).toBe('INVENTORY_STALE')
  })

  it('a settlement without a height is booked for good', () => {
    const desk = deskForTwo()
    desk.hears(resultOf(trade(desk, 'a'), 'SETTLED', null))
    desk.inventory = inventoryAt(desk.lane.now, eure(2n * OFFER), 9_999)
    trade(desk, 'b')
    expect(reason(desk, 'c')).toBe('INVENTORY_INSUFFICIENT')
  })

  it('many settlements between two inventory records keep their sum in a bounded snapshot', () => {
    const desk = new TestDesk()
    desk.inventory = inventoryAt(desk.lane.now, eure(100n * OFFER))
    for (let n = 1; n <= 40; n++) desk.hears(resultOf(trade(desk, `q${n}`), 'SETTLED', 100 + n))
    const bookings = desk.desk.ledger.bookings[EURE] ?? []
    expect(bookings.length).toBeLessThanOrEqual(6)
    expect(bookings.reduce((sum, [units]) => sum + BigInt(units), 0n)).toBe(40n * OFFER)
    expect(desk.lane.size(DESK)).toBeLessThan(1_800)
  })

  it('a repeated quote_id is counted and not decided again', () => {
    const desk = deskForTwo()
    trade(desk, 'a')
    const outputs = desk.lane.send(
      { kind: 'quote', key: 'a' },
      { type: 'demand.arrived', demand: demandOf('a'), observed_at: new Date(desk.lane.now).toISOString() },
    )
    expect(outputs).toEqual([])
    expect(desk.desk).toMatchObject({ skips: { DUPLICATE_QUOTE: 1 }, trades: 1 })
  })

  it('skips are counted by their first reason, and the latest decision and rejection are kept', () => {
    const desk = deskForTwo()
    trade(desk, 'a')
    desk.inventory = null
    reason(desk, 'b')
    reason(desk, 'c')
    expect(desk.desk).toMatchObject({
      skips: { INVENTORY_MISSING: 2 },
      trades: 1,
      latest_decision: { quote_id: 'c', decision: 'skip' },
      latest_rejection: { quote_id: 'c', decision_reason: 'INVENTORY_MISSING' },
    })
  })

  it('an order outlives every other change of the environment, and ends when its own value there changes', () => {
    const desk = new TestDesk()
    desk.lane.send(DESK, { type: 'order.threshold', ...order, threshold_bps: 250 })
    desk.lane.send(DESK, { type: 'order.limits', ...order, max_notional_eure: '2' })
    expect(desk.ask(demandOf('a')).decision).toMatchObject({ threshold_bps: 250, decision_reason: 'NOTIONAL_ABOVE_CAP' })
    desk.lane.send(DESK, { type: 'configured', ...CONFIG, max_deadline_ms: 1 })
    expect(desk.desk.ordered).toEqual({ threshold_bps: 250, max_notional_eure: '2' })
    desk.lane.send(DESK, { type: 'configured', ...CONFIG, threshold_bps: 300 })
    expect(desk.desk.ordered).toEqual({ max_notional_eure: '2' })
    expect(desk.desk.configured).toEqual({ ...CONFIG, threshold_bps: 300 })
  })
})

describe('results for what nobody here had reserved', () => {
  const stranger = () => {
    const from = new TestDesk()
    const command = trade(from, 'lost')
    return { command, desk: deskForTwo() }
  }

  it('a settlement becomes a booking', () => {
    const { desk, command } = stranger()
    desk.hears(resultOf(command, 'SETTLED', 105))
    expect(desk.desk).toMatchObject({ strangers: 1, ledger: { reserved: {}, bookings: { [EURE]: [[OFFER.toString(), 105]] } } })
  })

  it('an open offer is reserved until its end', () => {
    const { desk, command } = stranger()
    desk.hears(resultOf(command, 'RECOVERED'))
    trade(desk, 'a')
    expect(reason(desk, 'b')).toBe('INVENTORY_INSUFFICIENT')
    desk.hears(resultOf(command, 'EXPIRED_UNUSED'))
    expect(desk.desk.ledger).toMatchObject({ reserved: eure(OFFER), open: 1 })
  })

  it('one that ended without a settlement changes nothing', () => {
    const { desk, command } = stranger()
    desk.hears(resultOf(command, 'TOO_LATE'))
    expect(desk.desk.ledger).toMatchObject({ reserved: {}, open: 0, bookings: {} })
  })
})
