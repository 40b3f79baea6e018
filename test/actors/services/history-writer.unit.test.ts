import { describe, expect, it } from 'vitest'
import { definition } from '#actors/services/history-writer/actors.ts'
import { describeHistory } from '#actors/services/history-writer/describe.ts'
import { learnLane } from '#actors/services/history-writer/effects.ts'
import type { EffectContext, RecordAt } from '#actors/runtime/service.ts'
import { topicNames } from '#machines/contracts/topics.ts'

const of = definition({ learnLane })

describe('the history writer', () => {
  it('takes every topic but its own state and the orders', () => {
    expect(topicNames.filter((topic) => !(topic in of.inputs))).toEqual(['ops.audit_state', 'ops.lane_state', 'ctl.operator_command'])
  })

  it('makes a row of a record: where it stood, who sent it, its text byte for byte', () => {
    const at: RecordAt = {
      topic: 'exec.trade_result',
      partition: 2,
      offset: 7,
      source: 'trade-executor/2',
      incarnation: 'i',
      position: 9,
      text: '{"a": 1.0}',
    }
    expect(of.inputs['exec.trade_result']?.({} as never, at)).toEqual({
      to: { kind: 'writer', key: 'lane' },
      event: { type: 'row', topic: 'exec.trade_result' },
      history: {
        topic: 'exec.trade_result',
        partition: 2,
        offset: 7,
        source_lane: 'trade-executor/2',
        incarnation: 'i',
        position: 9,
        text: '{"a": 1.0}',
      },
    })
  })

  it('learns its lane from who sends its effects', async () => {
    expect(await learnLane.send({}, { lane: 3 } as EffectContext)).toEqual({ lane: 3 })
  })

  it('adds up what its lanes have written, and says which are paused', () => {
    const writer = (lane: number, state: string, n: number) => ({
      lane,
      state,
      context: { lane, rows: { 'exec.trade_result': n }, last_written_at: lane },
    })
    const view = {
      actor: () => [writer(1, 'writing', 2), writer(2, 'paused', 3)],
      counters: {},
      openEffects: () => 0,
      lanes: [
        { lane: 1, inputs: { 'exec.trade_result': 7 }, lag: { 'exec.trade_result': 3 } },
        { lane: 2, inputs: { 'exec.trade_result': 9 }, lag: { 'exec.trade_result': 1 } },
      ],
      tables: { get: () => null, rows: () => [] },
      nowMs: 9,
    }
    expect(describeHistory(view)).toMatchObject({
      section: {
        history: {
          rows: { 'exec.trade_result': 5 },
          last_write_at: new Date(2).toISOString(),
          lag: { 'exec.trade_result': 4 },
          lanes: [{ committed_offsets: { 'exec.trade_result': 7 } }, { committed_offsets: { 'exec.trade_result': 9 } }],
        },
      },
      blocked: [{ code: 'HISTORY_PAUSED', detail: 'lanes 2 are paused' }],
    })
  })
})
