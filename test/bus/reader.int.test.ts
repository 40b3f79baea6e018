import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BusReader, MessageBus } from '#actors/runtime/bus-port.ts'
import { kafkaBus } from '#bus/kafka.ts'
import { ensureStack } from '#deploy/local/stack.ts'
import { Heard, out } from '#test/contracts/bus.ts'
import { cutAfter } from '#test/tcp-proxy.ts'
import { proxiedBus } from './proxied.ts'
import { silent } from './silent.ts'
import { makeTopics, remakeTopic, withAdmin } from './topics.ts'

describe('reading a log that is not what it was', () => {
  let brokers: string
  let topic: string
  let quiet: string
  let service: string
  let bus: MessageBus
  let heard: Heard

  beforeEach(async () => {
    ;({ brokers } = await ensureStack())
    ;[topic, quiet, service] = [`read-${randomUUID()}`, `quiet-${randomUUID()}`, `service-${randomUUID()}`]
    await makeTopics(brokers, [topic, quiet], 3)
    bus = kafkaBus({ brokers, clientId: 'test', log: silent })
    heard = new Heard()
  })
  afterEach(async () => {
    await bus.close()
    assert.deepEqual(heard.failures, [])
  })

  const read = (options: { inputs?: string[]; tables?: string[] } = {}): Promise<BusReader> =>
    bus.reader({ service, inputs: options.inputs ?? [topic], tables: options.tables ?? [], tableBackMs: 60_000, ...heard.callbacks })
  const sendTexts = (count: number, from = 0, partition = 0): Promise<void> =>
    bus.send(out(topic, partition, ...Array.from({ length: count }, (_, index) => String(from + index))))

  test('records that retention has taken are a gap, from the offset that the log begins at', async () => {
    await sendTexts(8)
    await withAdmin(brokers, async (admin) => {
      await admin.fetchTopicOffsets(topic) // kafkajs deletes only in topics that it has met
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] })
    })
    const reader = await read()
    expect(await reader.ends(0)).toEqual([{ topic, low: 5, high: 8, committed: null }])
    reader.take(0, { [topic]: 2 })
    await heard.until(() => heard.gaps.length > 0)
    expect(heard.gaps).toEqual([{ lane: 0, topic, expected: 2, found: 5 }])
    expect(heard.records).toEqual([])
    reader.resume(0, topic, 5)
    await heard.until(() => heard.records.length === 3)
    expect(heard.values()).toEqual(['5', '6', '7'])
  })

  test('an offset past the end of a log that nobody writes to is found all the same', async () => {
    const reader = await read()
    reader.take(1, { [topic]: 4 })
    await heard.until(() => heard.gaps.length > 0)
    expect(heard.gaps).toEqual([{ lane: 1, topic, expected: 4, found: 0 }])
  })

  test('a topic made anew and shorter is a gap, and nothing of the new one is handed on', async () => {
    await sendTexts(5)
    const reader = await read()
    reader.take(0, { [topic]: 0 })
    await heard.until(() => heard.records.length === 5)
    await remakeTopic(brokers, topic, 3)
    await sendTexts(2, 100)
    await heard.until(() => heard.gaps.length > 0)
    expect(heard.gaps).toEqual([{ lane: 0, topic, expected: 5, found: expect.toSatisfy((found: number) => found <= 2) as number }])
    expect(heard.records.length).toBe(5)
    reader.resume(0, topic, 0)
    await heard.until(() => heard.records.length === 7)
    expect(heard.values().slice(5)).toEqual(['100', '101'])
  })

  test('a topic made anew and already longer is known by the commit that went with it', async () => {
    await sendTexts(3)
    const reader = await read()
    reader.take(0, { [topic]: 0 })
    await heard.until(() => heard.records.length === 3)
    reader.commit(0, { [topic]: 3 })
    await expect.poll(async () => (await reader.ends(0))[0]?.committed, { timeout: 5_000, interval: 100 }).toBe(3)
    await remakeTopic(brokers, topic, 3)
    const writer = kafkaBus({ brokers, clientId: 'test', log: silent })
    await writer.send(out(topic, 0, ...Array.from({ length: 10 }, (_, index) => `new ${index}`)))
    await writer.close()
    await heard.until(() => heard.gaps.length > 0)
    expect(heard.gaps).toEqual([{ lane: 0, topic, expected: 3, found: 0 }])
    expect(heard.records.length).toBe(3)
    reader.resume(0, topic, 0)
    await heard.until(() => heard.records.length === 13)
    expect(heard.gaps.length).toBe(1)
  })

  test('at a takeover the same is told by ends: an offset of ours and no commit', async () => {
    await sendTexts(3)
    const before = await read()
    before.take(0, { [topic]: 0 })
    before.commit(0, { [topic]: 3 })
    await expect.poll(async () => (await before.ends(0))[0]?.committed, { timeout: 5_000, interval: 100 }).toBe(3)
    await before.close()
    await remakeTopic(brokers, topic, 3)
    await sendTexts(9)
    const after = await read()
    expect(await after.ends(0)).toEqual([{ topic, low: 0, high: 9, committed: null }])
  })

  test('a topic that goes for good is told, and once it is back the others go on', async () => {
    await sendTexts(2)
    const reader = await read({ inputs: [topic, quiet] })
    reader.take(0, { [topic]: 0, [quiet]: 0 })
    await heard.until(() => heard.records.length === 2)
    await withAdmin(brokers, (admin) => admin.deleteTopics({ topics: [topic] }))
    await bus.send(out(quiet, 0, 'x'))
    await heard.until(() => heard.gaps.length > 0)
    expect(heard.gaps).toEqual([{ lane: 0, topic, expected: 2, found: 0 }])
    await makeTopics(brokers, [topic], 3)
    await heard.until(() => heard.values(quiet).length === 1)
    expect(heard.values(topic).length).toBe(2)
  })

  // In kafkajs a pause with a list of partitions after one without un-pauses all the others.
  test('holding, leaving and taking one lane never lets another one flow that nobody took', async () => {
    const reader = await read()
    reader.take(1, { [topic]: 0 })
    reader.hold(1, topic)
    reader.resume(1, topic)
    reader.leave(1)
    reader.take(2, { [topic]: 0 })
    reader.hold(2, topic)
    await Promise.all([0, 1, 2].map((partition) => sendTexts(3, 0, partition)))
    reader.take(1, { [topic]: 2 })
    await heard.until(() => heard.records.length === 1)
    await sendTexts(1, 3, 1)
    await heard.until(() => heard.records.length === 2)
    expect(heard.records.map(({ partition, offset }) => [partition, offset])).toEqual([
      [1, 2],
      [1, 3],
    ])
  })

  test('an answer that is cut in the middle is fetched again, whole', async () => {
    const { bus: proxied, proxy, close } = await proxiedBus(brokers)
    const texts = Array.from({ length: 400 }, (_, index) => `${index} ${'x'.repeat(500)}`)
    for (let at = 0; at < texts.length; at += 100) await bus.send(out(topic, 0, ...texts.slice(at, at + 100)))
    let cuts = 0
    const cut = cutAfter(70_000)
    proxy.toClient = (passing) => {
      if (cuts === 3 || cut(passing) === 'pass') return 'pass'
      cuts += 1
      return 'cut'
    }
    const reader = await proxied.reader({ service, inputs: [topic], tables: [], tableBackMs: 0, ...heard.callbacks })
    reader.take(0, { [topic]: 0 })
    await heard.until(() => heard.records.length >= texts.length)
    expect(cuts).toBe(3)
    expect(heard.values()).toEqual(texts)
    expect(heard.gaps).toEqual([])
    await close()
  })

  test('connections on which nothing passes any more are given up: sends and reading go on over new ones', async () => {
    const { bus: proxied, proxy, close } = await proxiedBus(brokers)
    const reader = await proxied.reader({ service, inputs: [topic], tables: [], tableBackMs: 0, ...heard.callbacks })
    reader.take(0, { [topic]: 0 })
    await proxied.send(out(topic, 0, 'a'))
    await heard.until(() => heard.records.length === 1)
    proxy.stall()
    await proxied.send(out(topic, 0, 'b'))
    await heard.until(() => heard.values().includes('b'))
    await proxied.send(out(topic, 0, 'c'))
    await heard.until(() => heard.values().includes('c'))
    expect([...new Set(heard.values())]).toEqual(['a', 'b', 'c'])
    await close()
  })

  test("a break that outlasts kafkajs's tries costs no session: what it was before is not waited for", async () => {
    const { promise: begunAnew, resolve } = Promise.withResolvers<void>()
    const warn = (_: object, text: string): void => void (text.startsWith('Restarting the consumer') && resolve())
    const { bus: proxied, proxy, close } = await proxiedBus(brokers, { ...silent, warn })
    const reader = await proxied.reader({ service, inputs: [topic], tables: [], tableBackMs: 0, ...heard.callbacks })
    reader.take(0, { [topic]: 0 })
    // As when a load balancer stands before a broker that is away: connections open, and end with what is sent.
    proxy.toServer = () => 'cut'
    proxy.cutAll()
    await begunAnew
    proxy.toServer = () => 'pass'
    const began = performance.now()
    await sendTexts(1)
    await heard.until(() => heard.records.length === 1)
    // kafkajs's session is 30 s.
    expect(performance.now() - began).toBeLessThan(15_000)
    await close()
  })

  test('while no broker answers a reader waits, and is there when one does', async () => {
    const { bus: proxied, proxy, close } = await proxiedBus(brokers)
    await sendTexts(1)
    proxy.refuse()
    const opening = proxied.reader({ service, inputs: [topic], tables: [], tableBackMs: 0, ...heard.callbacks })
    await expect.poll(() => proxy.refused, { timeout: 10_000 }).toBeGreaterThan(3)
    proxy.accept()
    ;(await opening).take(0, { [topic]: 0 })
    await heard.until(() => heard.records.length === 1)
    expect(heard.values()).toEqual(['0'])
    await close()
  })

  test('a bus that is closed while its reader still waits for a broker ends at once, and so does the wait', async () => {
    const { bus: proxied, proxy, close } = await proxiedBus(brokers)
    proxy.refuse()
    const opening = Promise.allSettled([proxied.reader({ service, inputs: [topic], tables: [], tableBackMs: 0, ...heard.callbacks })])
    await expect.poll(() => proxy.refused, { timeout: 10_000 }).toBeGreaterThan(1)
    const began = performance.now()
    await proxied.close()
    expect(performance.now() - began).toBeLessThan(3_000)
    expect(await opening).toMatchObject([{ status: 'rejected', reason: { code: 'closed' } }])
    await close()
  })

  test('a reader of a topic that does not exist is refused by name', async () => {
    await expect(read({ inputs: [`missing-${randomUUID()}`] })).rejects.toMatchObject({ code: 'no_such_partition' })
  })

  test('what a lane has committed is there as soon as it is left, for whoever takes it next', async () => {
    await sendTexts(4)
    const reader = await read()
    reader.take(0, { [topic]: 0 })
    reader.take(1, { [topic]: 0 })
    reader.commit(0, { [topic]: 3 })
    reader.leave(0)
    await expect.poll(async () => (await reader.ends(0))[0]?.committed, { timeout: 5_000, interval: 20 }).toBe(3)
    reader.commit(1, { [topic]: 0 })
    await reader.close()
    const next = await read()
    expect((await next.ends(1))[0]?.committed).toBe(0)
  })

  test('a closed reader leaves no group behind', async () => {
    const reader = await read()
    await reader.close()
    const groups = await withAdmin(brokers, async (admin) => (await admin.listGroups()).groups.map(({ groupId }) => groupId))
    expect(groups.filter((group) => group.startsWith(service))).toEqual([])
  })

  test('a table that is made anew goes on with what it now holds', async () => {
    await bus.send(out(quiet, 0, 'a', 'b', 'c'))
    await read({ tables: [quiet] })
    await heard.until(() => heard.table.length === 3)
    await remakeTopic(brokers, quiet, 3)
    const writer = kafkaBus({ brokers, clientId: 'test', log: silent })
    await writer.send(out(quiet, 0, 'd'))
    await heard.until(() => heard.table.length === 4)
    expect(heard.table.map(({ offset }) => offset)).toEqual([0, 1, 2, 0])
    await writer.close()
  })
})
