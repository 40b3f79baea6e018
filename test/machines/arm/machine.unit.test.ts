import { describe, expect, it } from 'vitest'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import { armMachine } from '#machines/arm/machine.ts'

const machine = runnable(armMachine, 1)
const desk = { kind: 'desk', key: 'desk' }
const stamp = { now: 1_000, id: 'i:1', cause: null }
const order = { by: 'ann', reason: 'go', order_id: '7' }
const arm = (more: object = {}) => ({ type: 'order.arm', ...stamp, ...order, ...more })
const released = (release: string, incarnation = 'i1') => ({ type: 'released', ...stamp, release, incarnation })

const after = (...events: { type: string }[]) => {
  let { state } = machine.begin({ tells: desk })
  let outputs: unknown = []
  for (const event of [released('r1'), ...events]) ({ state, outputs } = machine.turn(state, event))
  return { value: state.value, context: state.context, outputs }
}

describe('arm', () => {
  it('a new lane is disarmed', () => {
    expect(after().value).toBe('disarmed')
  })

  it('an arm order for the running release arms and tells the desk', () => {
    const { value, outputs } = after(arm({ release: 'r1' }))
    expect(value).toBe('armed')
    expect(outputs).toEqual([{ does: 'tell', to: desk, event: { type: 'armed', by: 'ann', reason: 'go' } }])
  })

  it('an arm order that names no release is for the one that runs', () => {
    expect(after(arm()).context).toMatchObject({ armed_for: { release: 'r1', incarnation: 'i1' }, by: 'ann', since_ms: 1_000 })
  })

  it('an arm order for another release or incarnation leaves it disarmed and is noted', () => {
    expect(after(arm({ release: 'r0' }))).toMatchObject({ value: 'disarmed', outputs: [], context: { refused: { release: 'r0' } } })
    expect(after(arm({ incarnation: 'i0' })).value).toBe('disarmed')
  })

  it('a disarm order disarms and tells the desk, once', () => {
    const disarm = { type: 'order.disarm', ...stamp, ...order, reason: 'stop' }
    expect(after(arm(), disarm)).toMatchObject({ value: 'disarmed', outputs: [{ event: { type: 'disarmed', reason: 'stop' } }] })
    expect(after(arm(), disarm, disarm).outputs).toEqual([])
  })

  it('a fresh release or incarnation disarms what was armed for another (I7)', () => {
    expect(after(arm(), released('r2')).value).toBe('disarmed')
    expect(after(arm(), released('r1', 'i2')).value).toBe('disarmed')
    expect(after(arm(), released('r2')).outputs).toMatchObject([{ event: { type: 'disarmed' } }])
  })

  it('an arm order before anybody is known to run the lane is refused', () => {
    const { state } = machine.begin({ tells: desk })
    expect(machine.turn(state, arm()).state.value).toBe('disarmed')
  })

  it('the same release after a crash stays armed', () => {
    expect(after(arm(), released('r1'), released('r1')).value).toBe('armed')
  })
})
