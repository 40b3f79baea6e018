import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { crc32c, isPlain, produceRequest } from '#bus/produce-request.ts'
import type { Produced } from '#bus/produce-request.ts'

const require = createRequire(import.meta.url)
const theirs = require('kafkajs/src/protocol/requests/produce/v7/request') as (given: Produced) => { encode(): Promise<{ buffer: Buffer }> }

const bytes = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }).map((of) => Buffer.from(of)),
)
const message = fc.record({
  key: fc.option(bytes),
  value: fc.oneof(bytes, fc.constant(null)),
  headers: fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.string({ unit: 'grapheme', maxLength: 200 }), { maxKeys: 4 }),
})
const partition = fc.record({ partition: fc.nat(2 ** 31 - 1), messages: fc.array(message, { minLength: 1, maxLength: 150 }) })
const topicData = fc.array(
  fc.record({ topic: fc.string({ minLength: 1 }), partitions: fc.array(partition, { minLength: 1, maxLength: 3 }) }),
  {
    minLength: 1,
    maxLength: 3,
  },
)

describe('a produce request', () => {
  it("has the bytes of kafkajs's own, whatever is in it", async () => {
    vi.useFakeTimers({ now: 1_764_000_000_123, toFake: ['Date'] })
    try {
      await fc.assert(
        fc.asyncProperty(topicData, async (data) => {
          const given: Produced = { acks: -1, timeout: 8_000, topicData: data }
          const { buffer } = await theirs(given).encode()
          expect(Buffer.compare(produceRequest(given, Date.now()), buffer)).toBe(0)
        }),
        { numRuns: 150 },
      )
    } finally {
      vi.useRealTimers()
    }
  })

  it("is ours as kafkajs's producer asks for it, and kafkajs's where more is asked for", () => {
    const messages = [{ key: 'k', value: 'v', headers: { name: 'value' } }]
    const partitions = [{ partition: 0, firstSequence: 0, messages }]
    // As producer/sendMessages.js and broker/index.js of 2.2.4 call it.
    const asked: Produced = {
      acks: -1,
      timeout: 1,
      compression: 0,
      producerId: -1,
      producerEpoch: 0,
      topicData: [{ topic: 't', partitions }],
    }
    expect(isPlain(asked)).toBe(true)
    const timed = [{ partition: 0, messages: [{ ...messages[0]!, timestamp: '1' }] }]
    const binary = [{ partition: 0, messages: [{ ...messages[0]!, headers: { name: Buffer.from('v') } }] }]
    const sequenced = [{ partition: 0, firstSequence: 5, messages }]
    for (const other of [timed, binary, sequenced])
      expect(isPlain({ ...asked, topicData: [{ topic: 't', partitions: other }] })).toBe(false)
    for (const more of [{ compression: 1 }, { producerId: 7 }, { transactionalId: 'x' }]) expect(isPlain({ ...asked, ...more })).toBe(false)
  })

  it('is summed as RFC 3720 says', () => {
    expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe306_9283)
    expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a91_36aa)
  })
})
