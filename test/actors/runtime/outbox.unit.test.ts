import { describe, expect, it } from 'vitest'
import type { Emitted } from '#actors/runtime/outbox.ts'
import { inPieces, Outbox, packOutbox, unpackOutbox } from '#actors/runtime/outbox.ts'
import type { OutRecord } from '#actors/runtime/bus-port.ts'
import { VirtualTime } from '../../simulation/virtual-time.ts'

const emitted = (position: number, topic = 't', bytes = 1): Emitted => ({
  topic,
  partition: 0,
  key: null,
  position,
  text: 'x'.repeat(bytes),
})
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const positions = (records: readonly OutRecord[]): number[] => records.map(({ headers }) => Number(headers['unrip-position']))

const begun = () => {
  const time = new VirtualTime(0)
  const sends: { records: readonly OutRecord[]; answer: () => void; refuse: () => void }[] = []
  const published: number[] = []
  const outbox = new Outbox({
    source: 's/0',
    published: 0,
    bus: {
      send: (records) =>
        new Promise((resolve, reject) => sends.push({ records, answer: resolve, refuse: () => reject(new Error('no leader')) })),
      reader: () => Promise.reject(new Error('not here')),
      close: async () => {},
    },
    clock: { wallMs: () => time.nowMs, monotonicMs: () => time.nowMs, after: (ms, run) => time.after(ms, 'timer', run) },
    log: quiet,
    onPublished: (batch) => published.push(batch),
  })
  const pass = async (ms: number): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    const until = time.nowMs + ms
    while (await time.step(until));
  }
  return { outbox, sends, published, pass }
}

describe('the outbox', () => {
  it('has one send under way, and what gathers meanwhile goes in the next, in order', async () => {
    const { outbox, sends, published, pass } = begun()
    for (const batch of [1, 2, 3]) outbox.add(batch, 'i', [emitted(batch)])
    await pass(10)
    expect(sends.map(({ records }) => positions(records))).toEqual([[1]])
    sends[0]!.answer()
    await pass(10)
    expect(sends.map(({ records }) => positions(records))).toEqual([[1], [2, 3]])
    expect(published).toEqual([1])
    sends[1]!.answer()
    await pass(10)
    expect(published).toEqual([1, 3])
    expect([outbox.idle, outbox.waitingBytes]).toEqual([true, 0])
  })

  it('sends the bytes that were packed, which are those of the texts, and as many as there are records', async () => {
    const texts = ['{"a":1}', '{"größe":"∞ \u{1f600} \\n"}', '{}']
    const records = texts.map((text, index): Emitted => ({
      topic: 't',
      partition: 1,
      key: index === 1 ? 'k"\n' : null,
      position: index + 1,
      text,
    }))
    const blob = packOutbox(records)
    expect(unpackOutbox(blob)).toEqual(records)
    const { outbox, sends, pass } = begun()
    outbox.add(1, 'i', records, blob)
    await pass(10)
    expect(sends[0]!.records.map(({ key, value }) => ({ key, text: Buffer.from(value).toString() }))).toEqual(
      records.map(({ key, text }) => ({ key, text })),
    )
    expect(sends[0]!.records.every(({ value }) => value.buffer === blob.buffer)).toBe(true)
    for (const other of [records.slice(1), [...records, records[0]!]]) expect(() => outbox.add(2, 'i', other, blob)).toThrow('as many')
  })

  it('sends the identical list again until it is answered', async () => {
    const { outbox, sends, published, pass } = begun()
    outbox.add(1, 'i', [emitted(1), emitted(2)])
    outbox.add(2, 'i', [emitted(3)])
    for (let tries = 0; tries < 3; tries++) {
      await pass(300)
      sends[tries]!.refuse()
    }
    await pass(300)
    expect(sends).toHaveLength(4)
    expect(sends.every(({ records }) => records === sends[0]!.records)).toBe(true)
    expect(published).toEqual([])
  })

  it('counts a batch as published when its last piece is acknowledged', async () => {
    const { outbox, sends, published, pass } = begun()
    outbox.add(1, 'i', [emitted(1, 't', 400_000), emitted(2, 't', 400_000)])
    await pass(1)
    sends[0]!.answer()
    await pass(1)
    expect([sends.length, published]).toEqual([2, []])
    sends[1]!.answer()
    await pass(1)
    expect(published).toEqual([1])
  })

  it('goes on after it was given nothing', async () => {
    const { outbox, sends, pass } = begun()
    outbox.add(0, 'i', [])
    outbox.add(0, 'i', [emitted(1)])
    await pass(1)
    expect(sends).toHaveLength(1)
  })

  it('sends nothing more once it is closed', async () => {
    const { outbox, sends, pass } = begun()
    outbox.add(1, 'i', [emitted(1)])
    outbox.add(2, 'i', [emitted(2)])
    await pass(1)
    const drained = outbox.drained()
    outbox.close()
    await drained
    sends[0]!.refuse()
    await pass(1_000)
    expect(sends).toHaveLength(1)
  })
})

describe('pieces', () => {
  const record = (partition: number, bytes: number, name: string): OutRecord => ({
    topic: 't',
    partition,
    key: name,
    value: new Uint8Array(bytes),
    headers: {},
  })

  it('hold at most half a mebibyte for a partition, keep the order and lose nothing', () => {
    const records = [
      record(0, 300_000, 'a'),
      record(1, 300_000, 'b'),
      record(0, 300_000, 'c'),
      record(1, 100_000, 'd'),
      record(0, 600_000, 'e'),
    ]
    expect(inPieces(records).map((piece) => piece.map(({ key }) => key).join(''))).toEqual(['ab', 'cd', 'e'])
    expect(inPieces([])).toEqual([])
  })
})
