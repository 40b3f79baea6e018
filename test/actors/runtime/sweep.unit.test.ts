import { expect, it } from 'vitest'
import { Rig } from './rig.ts'
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
