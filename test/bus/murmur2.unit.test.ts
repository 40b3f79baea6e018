import fc from 'fast-check'
import { Partitioners } from 'kafkajs'
import { expect, test } from 'vitest'
import { murmur2, partitionOf } from '#bus/murmur2.ts'

const partitioner = Partitioners.DefaultPartitioner()

const kafkajsPartition = (key: string, partitions: number): number =>
  partitioner({
    topic: 't',
    partitionMetadata: Array.from({ length: partitions }, (_, partitionId) => ({
      partitionId,
      partitionErrorCode: 0,
      leader: 1,
      replicas: [1],
      isr: [1],
    })),
    message: { key, value: null },
  })

test('any key goes where the client of Kafka would send it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.integer({ min: 1, max: 64 }), (key, lanes) => {
      expect(partitionOf(key, lanes)).toBe(kafkajsPartition(key, lanes))
    }),
    { numRuns: 500 },
  )
})

// org.apache.kafka.common.utils.UtilsTest.testMurmur2, Kafka 4.1
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('%s hashes to %i, as in the tests of Kafka itself', (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash)
})

test('the pair of the first loop keeps its lane', () => {
  expect(partitionOf('near_intents:BTC/EURe', 4)).toBe(kafkajsPartition('near_intents:BTC/EURe', 4))
})
