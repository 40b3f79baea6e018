import { describe, expect, it } from 'vitest'
import type { Item } from '#actors/runtime/lane/mailbox.ts'
import { Mailbox } from '#actors/runtime/lane/mailbox.ts'

const record = (offset: number, bytes = 10, topic = 't'): Item => ({
  from: 'record',
  record: { topic, partition: 0, offset, key: null, value: new Uint8Array(bytes), headers: {}, timestampMs: 0 },
})
const order = (id: number): Item => ({
  from: 'order',
  order: { id, lane: 0, atMs: 0, expiresAtMs: null, by: 'me', reason: 'test', body: { order: 'x' } },
})
const names = (items: readonly Item[]): (string | number)[] =>
  items.map((item) => (item.from === 'record' ? item.record.offset : item.from === 'order' ? `order ${item.order.id}` : item.from))

const filled = (...items: Item[]): Mailbox => {
  const mailbox = new Mailbox()
  for (const item of items) mailbox.add(item)
  return mailbox
}

describe('a mailbox', () => {
  it('gives orders ahead of all else, and everything else as it arrived', () => {
    expect(names(filled(record(1), order(7), record(2), order(8)).take(10))).toEqual(['order 7', 'order 8', 1, 2])
  })

  it('gives only orders while Kafka takes nothing', () => {
    const mailbox = filled(record(1), order(7))
    expect(names(mailbox.take(10, 'orders'))).toEqual(['order 7'])
    expect(names(mailbox.take(10))).toEqual([1])
  })

  it('takes an order once, however often it is read', () => {
    const mailbox = filled(order(7), order(7))
    expect(names(mailbox.take(10))).toEqual(['order 7'])
    mailbox.add(order(7))
    expect(mailbox.length).toBe(0)
  })

  it('gives at most 1,024 events or one mebibyte at once', () => {
    const many = filled(...Array.from({ length: 2_000 }, (_, offset) => record(offset)))
    expect(many.take(Number.POSITIVE_INFINITY)).toHaveLength(1_024)
    expect(many.length).toBe(976)
    const large = filled(...Array.from({ length: 10 }, (_, offset) => record(offset, 300 * 1024)))
    expect(large.take(Number.POSITIVE_INFINITY)).toHaveLength(4)
  })

  it('takes back in front what was refused, in its order', () => {
    const mailbox = filled(record(1), record(2), record(3), order(7))
    const taken = mailbox.take(3)
    mailbox.add(record(4))
    mailbox.putBack(taken)
    expect(names(mailbox.take(10))).toEqual(['order 7', 1, 2, 3, 4])
  })

  it('is full above four mebibytes and low below a quarter of that', () => {
    const mailbox = filled(...Array.from({ length: 16 }, (_, offset) => record(offset, 256 * 1024)))
    expect([mailbox.full, mailbox.low]).toEqual([true, false])
    const taken = mailbox.take(4).length + mailbox.take(4).length + mailbox.take(4).length
    expect(taken).toBe(12)
    expect([mailbox.full, mailbox.low]).toEqual([false, false])
    mailbox.take(1)
    expect(mailbox.low).toBe(true)
  })

  it('counts again what was put back, and no longer what was dropped', () => {
    const mailbox = filled(...Array.from({ length: 16 }, (_, offset) => record(offset, 256 * 1024, offset % 2 ? 'work' : 't')))
    mailbox.putBack(mailbox.take(4))
    expect(mailbox.full).toBe(true)
    mailbox.dropRecords('work')
    expect(mailbox.full).toBe(false)
    expect(names(mailbox.take(20))).toEqual([0, 2, 4, 6])
  })
})
