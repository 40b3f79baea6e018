import { describe, expect, expectTypeOf, it } from 'vitest'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import type { Stamp } from '#machines/contracts/stamp.ts'
import type { DeskEvent } from '#machines/desk/machine.ts'
import { quoteMachine } from '#machines/quote/machine.ts'
import type { QuoteTells } from '#machines/quote/machine.ts'
import { demandOf, DESK, resultOf, TestDesk } from '../desk/trading.ts'

const machine = runnable(quoteMachine, 1)
const stamp = { now: 1_000, id: 'i:1', cause: null }
const arrived = { type: 'demand.arrived', ...stamp, demand: demandOf('q'), observed_at: '2026-11-21T10:00:00.000Z' }
const verdict = (armed: boolean) => ({ type: 'desk.decided', ...stamp, ...new TestDesk({}, { armed }).ask(demandOf('q')) })

const after = (...events: { type: string }[]) => {
  let { state } = machine.begin({ quote_id: 'q' })
  let outputs: readonly object[] = []
  for (const event of events) ({ state, outputs } = machine.turn(state, event))
  return { value: state.value, status: state.status, context: state.context, outputs }
}

describe('quote', () => {
  it('what it tells the desk is what the desk understands', () => {
    expectTypeOf<Exclude<QuoteTells, { type: 'quote.asked' }> & Stamp>().toExtend<DeskEvent>()
  })

  it('a demand is a question to the desk', () => {
    expect(after(arrived)).toMatchObject({
      value: 'asking',
      outputs: [{ does: 'tell', to: DESK, event: { type: 'quote.asked', demand: { quote_id: 'q' } } }],
    })
  })

  it('a trade publishes decision and command and holds its reservation', () => {
    const { value, context, outputs } = after(arrived, verdict(true))
    expect(value).toBe('open')
    expect(outputs).toMatchObject([{ topic: 'decision.trade_decision' }, { topic: 'cmd.execute_trade' }])
    expect(context).toMatchObject({ decision_reason: 'TRADE', reserved: { units: '2940000000000000000' } })
  })

  it('a skip publishes its decision and ends', () => {
    const { status, outputs } = after(arrived, verdict(false))
    expect(status).toBe('done')
    expect(outputs).toMatchObject([{ does: 'message', topic: 'decision.trade_decision', params: { payload: { decision: 'skip' } } }])
  })

  it('while the desk is parked it waits, and is decided when the desk is mended', () => {
    const parked = { type: 'actor.parked', ...stamp, parked: DESK }
    expect(after(arrived, parked)).toMatchObject({ value: 'asking', outputs: [] })
    expect(after(arrived, parked, verdict(false)).status).toBe('done')
  })

  it('only a final result ends it, and exactly one thing is told of it', () => {
    const { command } = verdict(true)
    if (!command) throw new Error('no command')
    const heard = (...results: Parameters<typeof resultOf>[1][]) =>
      after(arrived, verdict(true), ...results.map((code) => ({ type: 'result.arrived', ...stamp, result: resultOf(command, code, 7) })))
    expect(heard('SUBMITTED', 'UNCERTAIN', 'RECOVERED', 'REJECTED')).toMatchObject({ value: 'open', outputs: [] })
    expect(heard('REJECTED', 'SETTLED')).toMatchObject({
      status: 'done',
      context: { reserved: null },
      outputs: [{ event: { type: 'reservation.settled', settled_height: 7, units: command.amount_out } }],
    })
    expect(heard('UNCERTAIN', 'EXPIRED_UNUSED')).toMatchObject({ status: 'done', outputs: [{ event: { type: 'reservation.released' } }] })
  })
})
