import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FetchedMessage, OwnDecode } from '#bus/fetch-records.ts'
import { decodeWith } from '#bus/fetch-records.ts'
import { patchKafkajs } from '#bus/kafkajs-patches.ts'

const require = createRequire(import.meta.url)
const own = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages') as OwnDecode
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => { buffer: Buffer; offset: number }
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as { RecordBatch(given: object): Promise<{ buffer: Buffer }> }
const record = require('kafkajs/src/protocol/recordBatch/record/v0') as (given: object) => object

const text = fc.string({ unit: 'grapheme', maxLength: 60 })
const recordIn = fc.record({
  key: fc.option(text),
  value: fc.option(fc.uint8Array({ maxLength: 300 }).map((of) => Buffer.from(of))),
  headers: fc.dictionary(fc.oneof(fc.constantFrom('Unrip-Source', 'b'), text), fc.oneof(fc.constantFrom('same', 'samf'), text), {
    maxKeys: 4,
  }),
  timestampDelta: fc.oneof(fc.constant(0), fc.integer({ min: -1_000, max: 2 ** 40 })),
})
const batchIn = fc.record({
  firstOffset: fc.integer({ min: 0, max: 2 ** 50 }),
  firstTimestamp: fc.integer({ min: 0, max: 2 ** 42 }),
  records: fc.array(recordIn, { minLength: 1, maxLength: 150 }),
})
type BatchIn = typeof batchIn extends fc.Arbitrary<infer T> ? T : never

const bytesOf = async ({ firstOffset, firstTimestamp, records }: BatchIn, more: object = {}): Promise<Buffer> => {
  const made = await RecordBatch({
    firstOffset: BigInt(firstOffset),
    firstTimestamp,
    maxTimestamp: firstTimestamp + 7,
    lastOffsetDelta: records.length - 1,
    records: records.map((of, offsetDelta) => record({ ...of, offsetDelta })),
    ...more,
  })
  return made.buffer
}

/** With something before and after it, as in an answer. */
const answerOf = (batches: readonly Buffer[], cutBytes = 0): Buffer => {
  const body = Buffer.concat(batches)
  const kept = body.subarray(0, body.length - cutBytes)
  const length = Buffer.alloc(4)
  length.writeInt32BE(kept.length)
  return Buffer.concat([Buffer.from('abc'), length, kept, Buffer.from('what comes after')])
}

const decoderOf = (answer: Buffer) => {
  const decoder = new Decoder(answer)
  decoder.offset = 3
  return decoder
}

const byKafkajs = async (answer: Buffer): Promise<{ messages: object[]; offset: number }> => {
  const decoder = decoderOf(answer)
  const messages = (await own(decoder)).map(({ key, value, headers = {}, offset, timestamp, isControlRecord, batchContext }) => ({
    offset,
    timestamp,
    key: key === null ? null : key.toString(),
    value,
    headers: Object.fromEntries(Object.entries(headers).map(([name, given]) => [name.toLowerCase(), String(given)])),
    isControlRecord,
    batchContext: { inTransaction: batchContext.inTransaction, producerId: batchContext.producerId },
  }))
  return { messages, offset: decoder.offset }
}

const byUs = async (answer: Buffer, theirs: OwnDecode): Promise<{ messages: FetchedMessage[]; offset: number }> => {
  const decoder = decoderOf(answer)
  return { messages: await decodeWith(theirs)(decoder), offset: decoder.offset }
}

const notAsked: OwnDecode = () => {
  throw new Error('kafkajs was asked')
}

/** Two names that differ only in case are one to us and two to kafkajs; and a name that every object has, it takes for one seen before. */
const isReadAlike = ({ records }: BatchIn): boolean =>
  records.every(({ headers }) => {
    const names = Object.keys(headers)
    return new Set(names.map((name) => name.toLowerCase())).size === names.length && !names.some((name) => name in {})
  })

describe('the records of a fetch answer', () => {
  it("are those that kafkajs's own decoder reads, whatever is in them and wherever the answer is cut off", async () => {
    const batches = fc.array(batchIn.filter(isReadAlike), { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(batches, fc.nat(400), async (given, cut) => {
        const all = await Promise.all(given.map((of) => bytesOf(of)))
        const answer = answerOf(all, Math.min(cut, all.at(-1)!.length - 20))
        expect(await byUs(answer, notAsked)).toEqual(await byKafkajs(answer))
      }),
      { numRuns: 100 },
    )
  })

  it('have the time of the broker where the topic says so', async () => {
    const bytes = await bytesOf({
      firstOffset: 5,
      firstTimestamp: 1_000,
      records: [{ key: null, value: null, headers: {}, timestampDelta: 3 }],
    })
    bytes[22] = 0x08
    const { messages } = await byUs(answerOf([bytes]), notAsked)
    expect(messages).toMatchObject([{ offset: '5', timestamp: '1007', key: null, value: null }])
  })

  it("are kafkajs's where they are compressed or in a transaction, with texts for keys and headers all the same", async () => {
    const records = [{ key: 'k', value: Buffer.from('v'), headers: { Name: 'value' }, timestampDelta: 0 }]
    const given = { firstOffset: 5, firstTimestamp: 1_000, records }
    for (const more of [{ compression: 1 }, { transactional: true }]) {
      const { messages } = await byUs(answerOf([await bytesOf(given, more)]), own)
      expect(messages).toMatchObject([{ offset: '5', timestamp: '1000', key: 'k', headers: { name: 'value' } }])
      expect(messages[0]?.value?.toString()).toBe('v')
    }
  })

  it('are read by this in the fetches that kafkajs makes', async () => {
    patchKafkajs()
    const { decode } = require('kafkajs/src/protocol/requests/fetch/v11/response') as { decode(bytes: Buffer): Promise<object> }
    const batch = await bytesOf({
      firstOffset: 5,
      firstTimestamp: 1_000,
      records: [{ key: 'k', value: null, headers: {}, timestampDelta: 0 }],
    })
    const head = Buffer.alloc(4 + 2 + 4 + 4)
    head.writeInt32BE(1, 10)
    const topic = Buffer.concat([Buffer.from([0, 1]), Buffer.from('t'), Buffer.from([0, 0, 0, 1])])
    const partition = Buffer.alloc(4 + 2 + 8 + 8 + 8 + 4 + 4)
    const size = Buffer.alloc(4)
    size.writeInt32BE(batch.length)
    const answer = await decode(Buffer.concat([head, topic, partition, size, batch]))
    expect(answer).toMatchObject({ responses: [{ partitions: [{ messages: [{ offset: '5', key: 'k' }] }] }] })
  })

  it('of nobody are an empty answer', async () => {
    expect((await byUs(answerOf([]), own)).messages).toEqual([])
  })
})
