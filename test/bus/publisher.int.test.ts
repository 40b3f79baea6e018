import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MessageBus, OutRecord } from '#actors/runtime/bus-port.ts'
import { kafkaBus } from '#bus/kafka.ts'
import { ensureStack } from '#deploy/local/stack.ts'
import { Heard, out } from '#test/contracts/bus.ts'
import type { TcpProxy } from '#test/tcp-proxy.ts'
import { loseAnswers, PRODUCE, proxiedBus } from './proxied.ts'
import { silent } from './silent.ts'
import { makeTopics } from './topics.ts'

describe('publishing over a bad line', () => {
  let topic: string
  let bus: MessageBus
  let proxy: TcpProxy
  let close: () => Promise<void>
  let plain: MessageBus

  beforeEach(async () => {
    const { brokers } = await ensureStack()
    topic = `publish-${randomUUID()}`
    await makeTopics(brokers, [topic], 3)
    ;({ bus, proxy, close } = await proxiedBus(brokers))
    plain = kafkaBus({ brokers, clientId: 'test', log: silent })
  })
  afterEach(async () => {
    await close()
    await plain.close()
  })

  /** What the log holds, up to the record `last`. */
  const logUntil = async (partition: number, last: string): Promise<string[]> => {
    const heard = new Heard()
    const reader = await plain.reader({ service: randomUUID(), inputs: [topic], tables: [], tableBackMs: 0, ...heard.callbacks })
    reader.take(partition, { [topic]: 0 })
    await heard.until(() => heard.values().includes(last))
    await reader.close()
    return heard.values()
  }

  test('a lost acknowledgement repeats the same records in their place: nothing lost, nothing overtaken', async () => {
    await bus.send(out(topic, 0, 'warm'))
    const answers = loseAnswers(proxy, PRODUCE, 1)
    await bus.send(out(topic, 0, 'a', 'b'))
    expect(answers.lost).toBe(1)
    await bus.send(out(topic, 0, 'c'))
    expect(await logUntil(0, 'c')).toEqual(['warm', 'a', 'b', 'a', 'b', 'c'])
  })

  test('acknowledgements lost under several sources at once: a receiver that keeps a high mark has everything of each, in order', async () => {
    const answers = loseAnswers(proxy, PRODUCE, 4)
    const source = async (letter: string): Promise<void> => {
      for (let position = 0; position < 12; position += 1) await bus.send(out(topic, position % 2, `${letter}${position}`))
    }
    await Promise.all(['a', 'b', 'c', 'd'].map(source))
    expect(answers.lost).toBe(4)
    await bus.send([...out(topic, 0, 'end'), ...out(topic, 1, 'end')])
    for (const partition of [0, 1]) {
      const log = await logUntil(partition, 'end')
      for (const letter of ['a', 'b', 'c', 'd']) {
        const marks: number[] = []
        for (const text of log) {
          const position = Number(text.slice(1))
          if (text.startsWith(letter) && position > (marks.at(-1) ?? -1)) marks.push(position)
        }
        expect(marks).toEqual([0, 2, 4, 6, 8, 10].map((position) => position + partition))
      }
    }
  })

  test('a partition that does not exist is told to its sender only, of those that go together', async () => {
    const first = bus.send(out(topic, 0, 'first'))
    const [good, bad, other] = await Promise.allSettled([
      bus.send(out(topic, 0, 'good')),
      bus.send([...out(topic, 1, 'written'), ...out(topic, 9, 'bad')]),
      bus.send(out(topic, 2, 'other')),
    ])
    await first
    expect([good.status, bad.status, other.status]).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(bad).toMatchObject({ reason: { code: 'no_such_partition', message: `not written, no such partition: ${topic}/9` } })
    expect(await logUntil(0, 'good')).toEqual(['first', 'good'])
  })

  test('what is too large is told to its sender only, and the next send goes through', async () => {
    const large = Buffer.alloc(1_100_000, 'x').toString()
    const first = bus.send(out(topic, 0, 'first'))
    const [good, bad] = await Promise.allSettled([bus.send(out(topic, 0, 'good')), bus.send(out(topic, 1, large))])
    await first
    expect(good.status).toBe('fulfilled')
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'message_too_large' } })
    await bus.send(out(topic, 1, 'next'))
    expect(await logUntil(1, 'next')).toEqual(['next'])
  })

  test('pieces of 512 KiB from several sources at once all fit', async () => {
    const piece = (letter: string): OutRecord[] =>
      out(topic, 0, ...Array.from({ length: 8 }, () => letter.repeat(64 * 1024))).map((record) => ({ ...record, key: null }))
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((letter) => bus.send(piece(letter))))
    await bus.send(out(topic, 0, 'end'))
    expect((await logUntil(0, 'end')).map((text) => text[0]).join('')).toBe(
      `${['a', 'b', 'c', 'd', 'e'].map((l) => l.repeat(8)).join('')}e`,
    )
  })

  test('a topic that does not exist is refused, and the next send goes through', async () => {
    await expect(bus.send(out(`missing-${randomUUID()}`, 0, 'a'))).rejects.toMatchObject({ code: 'no_such_partition' })
    await bus.send(out(topic, 0, 'b'))
    expect(await logUntil(0, 'b')).toEqual(['b'])
  })

  test('while nobody answers a send waits, and goes through when somebody does', async () => {
    await bus.send(out(topic, 0, 'a'))
    proxy.refuse()
    const waiting = bus.send(out(topic, 0, 'b'))
    await expect.poll(() => proxy.refused, { timeout: 10_000 }).toBeGreaterThan(3)
    proxy.accept()
    await waiting
    expect((await logUntil(0, 'b')).slice(0, 2)).toEqual(['a', 'b'])
  })

  test('close does not wait for a broker that is away, and tells who waits', async () => {
    await bus.send(out(topic, 0, 'a'))
    proxy.refuse()
    const waiting = Promise.allSettled([bus.send(out(topic, 0, 'b')), bus.send(out(topic, 0, 'c'))])
    const began = performance.now()
    await bus.close()
    expect(performance.now() - began).toBeLessThan(3_000)
    for (const send of await waiting) expect(send).toMatchObject({ status: 'rejected', reason: { code: 'closed' } })
  })
})
