import { expect, it } from 'vitest'
import { onlyLane, Rig } from './rig.ts'
import { outside, workerService } from './worker.ts'

it('what has ended is swept in small steps, one soon after the other until nothing is left, and after an error later', async () => {
  const rig = new Rig(workerService(outside()))
  const [asked, left]: [{ at: number; limit: number }[], { rows: number }] = [[], { rows: 0 }]
  const begun = rig.time.nowMs
  await rig.start({
    store: (own) => ({
      ...own,
      sweep: async (_service, _before, limit) => {
        asked.push({ at: rig.time.nowMs - begun, limit })
        if (asked.length === 1) throw new Error('no connection')
        const gone = Math.min(limit, left.rows)
        left.rows -= gone
        return gone
      },
    }),
  })
  left.rows = 9_000
  await rig.pass(600_100)
  expect(asked).toHaveLength(1)
  await rig.pass(605_000)
  expect(left.rows).toBe(0)
  expect(asked.slice(1)).toHaveLength(5)
  expect(asked.at(-1)!.at - asked[1]!.at).toBeLessThan(5_000)
  for (const { limit } of asked) expect(limit).toBeLessThanOrEqual(5_000)
})

it('a mark stays while a record of its source may still wait in the log, and goes once all of it is read', async () => {
  const rig = new Rig(workerService(outside()))
  const running = await rig.start()
  const rare = { source: 'feed#rare', incarnation: '019b0000-0000-7000-8000-0000000000aa' }
  const order = async (name: string): Promise<void> => {
    void running.host.submit({ order: name, by: 'me', reason: 'test', arguments: {} }, 1_000)
    await rig.pass(100)
  }
  rig.put('a', { type: 'note' }, rare)
  for (let n = 0; n < 3; n++) rig.put('a', { type: 'note' })
  await rig.pass(50)
  await order('pause')
  rig.put('a', { type: 'say' }, rare)
  rig.bus.trim('norm.swap_demand', 0, 2)
  await rig.pass(700_000)
  await order('resume')
  expect(onlyLane(running).halted).toBeNull()
  expect(rig.seen('a')?.at(-1)).toBe('say')
  rig.bus.trim('norm.swap_demand', 0, 5)
  await rig.pass(700_000)
  expect(rig.lane.marks.size).toBe(0)
})
