import { expect, test } from 'vitest'
import { Heard, out } from '#test/contracts/bus.ts'
import { memoryBus, steps } from './bus.ts'

const opened = async () => {
  const { schedule, next, settle, waiting } = steps()
  const bus = memoryBus({ partitions: 2, schedule })
  const process = bus.connect()
  const heard = new Heard()
  const reader = await process.reader({ service: 's', inputs: ['t'], tables: [], tableBackMs: 0, ...heard.callbacks })
  reader.take(0, { t: 0 })
  return { bus, process, heard, reader, next, settle, waiting }
}

test('write, delivery and acknowledgement are steps, and nothing happens before its step', async () => {
  const { bus, process, heard, next, waiting } = await opened()
  let acknowledged = false
  const sent = process.send(out('t', 0, 'a')).then(() => (acknowledged = true))
  expect([waiting(), bus.log('t').length]).toEqual([['write'], 0])
  next()
  expect([waiting().toSorted(), bus.log('t').length, heard.records.length, acknowledged]).toEqual([['acknowledge', 'deliver'], 1, 0, false])
  next()
  expect(heard.values()).toEqual(['a'])
  next()
  await sent
  expect(acknowledged).toBe(true)
})

test.each([
  ['acknowledgement lost', ['a', 'b']],
  ['half written', ['a']],
  ['not written', []],
] as const)('a send of which the %s rejects, and the log holds %j', async (fate, held) => {
  const { bus, process, settle } = await opened()
  bus.nextFates(fate)
  const [sent] = await Promise.all([Promise.allSettled([process.send([...out('t', 0, 'a'), ...out('t', 1, 'b')])]), settle()])
  expect(sent).toMatchObject([{ status: 'rejected', reason: { code: 'unavailable' } }])
  expect(bus.log('t').map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(held)
})

test('a crashed process hears nothing more, and what it had not written stays unwritten', async () => {
  const { bus, process, heard, settle } = await opened()
  void process.send(out('t', 0, 'a'))
  process.crash()
  bus.write(out('t', 0, 'b'))
  await settle()
  expect([heard.values(), bus.log('t').length]).toEqual([[], 1])
})

test('a topic made anew, truncated or trimmed is a gap where the reader is', async () => {
  const { bus, heard, reader, settle } = await opened()
  bus.write(out('t', 0, 'a', 'b', 'c'))
  await settle()
  bus.truncate('t', 0, 1)
  await settle()
  reader.resume(0, 't', 1)
  bus.trim('t', 0, 3)
  await settle()
  reader.commit(0, { t: 3 })
  reader.resume(0, 't', 3)
  bus.recreate('t')
  await settle()
  expect(heard.gaps.map(({ expected, found }) => [expected, found])).toEqual([
    [3, 1],
    [1, 3],
    [3, 0],
  ])
  expect(bus.committed('s', 't', 0)).toBe(null)
})

test('what is stalled is delivered when it goes on', async () => {
  const { bus, heard, settle } = await opened()
  bus.stall('t')
  bus.write(out('t', 0, 'a'))
  await settle()
  expect(heard.values()).toEqual([])
  bus.go('t')
  await settle()
  expect(heard.values()).toEqual(['a'])
})
