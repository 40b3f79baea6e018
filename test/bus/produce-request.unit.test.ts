import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { patchKafkajs } from '#bus/kafkajs-patches.ts'
import { crc32c, folded, produceRequest } from '#bus/produce-request.ts'
import type { Produced, ProducedRecord } from '#bus/produce-request.ts'

const require = createRequire(import.meta.url)
const theirs = require('kafkajs/src/protocol/requests/produce/v7/request') as (given: Produced<object>) => {
  encode(): Promise<{ buffer: Buffer }>
}

const bytes = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }).map((of) => Buffer.from(of)),
)
const value = fc.oneof(fc.constantFrom('same', 'other'), fc.string({ unit: 'grapheme', maxLength: 200 }))
const name = fc.oneof(fc.constantFrom('one', 'two'), fc.string({ unit: 'grapheme', maxLength: 20 }))
const record: fc.Arbitrary<ProducedRecord> = fc.record({
  key: fc.option(bytes),
  value: fc.oneof(bytes, fc.constant(null)),
  headers: fc.dictionary(name, value, { maxKeys: 4 }),
})
const partition = fc.record({ partition: fc.nat(2 ** 31 - 1), records: fc.array(record, { minLength: 1, maxLength: 150 }) })
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
          const request = <M extends object>(
            messages: (partition: number, records: readonly ProducedRecord[]) => readonly M[],
          ): Produced<M> => ({
            acks: -1,
            timeout: 8_000,
            topicData: data.map(({ topic, partitions }) => ({
              topic,
              partitions: partitions.map((of) => ({ partition: of.partition, messages: messages(of.partition, of.records) })),
            })),
          })
          const { buffer } = await theirs(request((_, records) => records)).encode()
          expect(
            Buffer.compare(
              produceRequest(
                request((...of) => [folded(...of)]),
                Date.now(),
              ),
              buffer,
            ),
          ).toBe(0)
        }),
        { numRuns: 150 },
      )
    } finally {
      vi.useRealTimers()
    }
  })

  it("is ours in the requests of kafkajs's producer, and kafkajs's own for messages that are not folded", async () => {
    patchKafkajs()
    const produce = require('kafkajs/src/protocol/requests/produce') as {
      protocol(of: { version: number }): (given: Produced<object>) => { request: { encode(): Promise<{ buffer: Buffer }> } }
    }
    const records = [{ key: 'k', value: 'folded value', headers: { name: 'value' } }]
    const given = (message: object): Produced<object> => ({
      acks: -1,
      timeout: 1,
      topicData: [{ topic: 't', partitions: [{ partition: 0, messages: [message] }] }],
    })
    for (const message of [folded(0, records), records[0]!]) {
      const { buffer } = await produce.protocol({ version: 7 })(given(message)).request.encode()
      expect(buffer.includes('folded value')).toBe(true)
    }
    expect(() => produce.protocol({ version: 2 })(given(folded(0, records)))).toThrow('version 2')
  })

  it('is summed as RFC 3720 says', () => {
    expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe306_9283)
    expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a91_36aa)
  })
})
