import { describe, expect, it } from 'vitest'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { given } from '../given.ts'

const order = { by: 'ada', reason: 'looking', order_id: '7' }

describe('the life of a process', () => {
  const running = given(lifecycleMachine, { of: 'process' }).when('started').when('recovered')

  it('goes through recovery before it runs', () => {
    expect(given(lifecycleMachine, { of: 'process' }).value).toBe('starting')
    expect(given(lifecycleMachine, { of: 'process' }).when('started').value).toBe('recovering')
    expect(running.value).toBe('running')
  })

  it('drains from wherever it is, also paused, and ends', () => {
    const drained = running.when('order.pause', order).when('drain').when('drained')
    expect([drained.value, drained.state.status]).toEqual(['drained', 'done'])
  })

  it('a drain cannot be taken back by resume', () => {
    expect(running.when('drain').when('order.resume', order).value).toBe('draining')
  })
})

describe('the life cycle of a lane', () => {
  const inventory = { kind: 'inventory', key: 'acc' }
  const lane = given(lifecycleMachine, { of: 'lane', tells: [inventory] })

  it('runs from the start, so that a pause is its first event at the earliest', () => {
    expect(lane.value).toBe('running')
    expect(lane.when('order.pause', order).value).toBe('paused')
  })

  it('pause and resume are told to those that have something to stop, once each', () => {
    const paused = lane.when('order.pause', order)
    expect(paused.tells()).toEqual([{ to: inventory, event: { type: 'paused' } }])
    expect(paused.when('order.pause', order).changed).toBe(false)
    expect(paused.when('order.resume', order).tells()).toEqual([{ to: inventory, event: { type: 'resumed' } }])
  })
})
