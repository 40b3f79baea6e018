import { describe, expect, it } from 'vitest'
import { AuditState } from '#machines/contracts/records/operations.ts'
import { writerMachine } from '#machines/history/writer.ts'
import { given } from '../given.ts'

const T = 1_800_000_000_000
const writing = given(writerMachine, undefined, T)
  .when('configured', { pair: 'BTC/EURe' }, T)
  .when('learnLane.done', { answer: { lane: 2 } }, T)

describe('the writer of a lane', () => {
  it('counts rows by topic and says when it wrote last', () => {
    const wrote = writing
      .when('row', { topic: 'norm.swap_demand' }, T + 5)
      .when('row', { topic: 'norm.swap_demand' }, T + 9)
      .when('row', { topic: 'exec.trade_result' }, T + 10)
    expect(wrote.context).toMatchObject({ rows: { 'norm.swap_demand': 2, 'exec.trade_result': 1 }, last_written_at: T + 10 })
    const said = wrote.elapse().messages('ops.audit_state')[0]
    expect(AuditState.parse(said)).toMatchObject({ lane: 2, writable: true, last_write_at: new Date(T + 10).toISOString(), rows: 3 })
  })

  it('says once a second that the history can be written, with a growing version', () => {
    const first = writing.elapse()
    const second = first.elapse()
    const versions = [first, second].map((at) => AuditState.parse(at.messages()[0]).version)
    expect(versions[1]).toBeGreaterThan(versions[0]!)
    expect([...second.timers.values()]).toEqual([T + 3_000])
  })

  it('paused, says that it cannot, once; resumed, goes on', () => {
    const paused = writing.when('paused', {}, T + 1)
    expect(AuditState.parse(paused.messages()[0]).writable).toBe(false)
    expect(paused.timers.size).toBe(0)
    expect(paused.when('row', { topic: 'exec.trade_result' }).context['rows']).toEqual({ 'exec.trade_result': 1 })
    expect(paused.when('resumed').elapse().messages()).toHaveLength(1)
  })

  it('takes rows also before it knows its lane', () => {
    expect(given(writerMachine).when('row', { topic: 'exec.trade_result' }).context['rows']).toEqual({ 'exec.trade_result': 1 })
  })
})
