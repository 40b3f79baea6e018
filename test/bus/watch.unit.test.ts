import { expect, test } from 'vitest'
import type { BrokerView } from '#bus/cluster.ts'
import { Commits } from '#bus/commits.ts'
import { Cursors } from '#bus/cursors.ts'
import { Watch } from '#bus/watch.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }

/** A broker whose answer about the ends is on its way until `answer()`; commits are answered at once, and the answer has none. */
const slowBroker = () => {
  const asked = Promise.withResolvers<void>()
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
  const view: BrokerView = {
    ends: async (places) => {
      asked.resolve()
      await answered
      return places.map(({ topic, partition }) => ({ topic, partition, low: 0, high: 0, committed: null }))
    },
    committed: async () => [],
    commit: async () => {},
    offsetsSince: async () => [],
    refresh: async () => {},
  }
  return { view, asked: asked.promise, answer }
}

const watched = () => {
  const broker = slowBroker()
  const cursors = new Cursors()
  const commits = new Commits({ view: broker.view, log, onVanished: () => {} })
  const said: string[] = []
  const watch = new Watch({ view: broker.view, cursors, commits, onLost: () => said.push('lost'), onSound: () => said.push('sound') })
  return { ...broker, cursor: cursors.start('t', 0, 0, false), commits, watch, said }
}

test('a commit that goes out while the answer is on its way is not missing from it', async () => {
  const { asked, answer, commits, cursor, watch, said } = watched()
  const judged = watch.judge(cursor)
  await asked
  commits.note({ topic: 't', partition: 0, offset: 0 })
  await expect.poll(() => commits.seen({ topic: 't', partition: 0 }), { timeout: 3_000 }).toBe(0)
  answer()
  await judged
  expect(said).toEqual(['sound'])
  watch.close()
  commits.close()
})

test('a commit that was there before the question and is gone went with its topic', async () => {
  const { asked, answer, commits, cursor, watch, said } = watched()
  commits.note({ topic: 't', partition: 0, offset: 0 })
  await expect.poll(() => commits.seen({ topic: 't', partition: 0 }), { timeout: 3_000 }).toBe(0)
  const judged = watch.judge(cursor)
  await asked
  answer()
  await judged
  expect(said[0]).toBe('lost')
  watch.close()
  commits.close()
})
