/**
 * A produce request in one buffer. kafkajs makes an encoder of 512 zeroed bytes for each record and each header of it and copies them
 * into each other: a third of what a turn with one record out cost the host.
 * @see https://kafka.apache.org/documentation/#recordbatch and the Produce API, versions 3 to 7
 */
import { createRequire } from 'node:module'

type Bytes = string | Buffer
interface ProducedMessage {
  readonly key?: Bytes | null
  readonly value: Bytes | null
  readonly headers?: Readonly<Record<string, unknown>>
  readonly timestamp?: string
}

/** As kafkajs gives it to its own encoder. */
export interface Produced {
  readonly acks: number
  readonly timeout: number
  readonly compression?: number
  readonly transactionalId?: string | null
  /** a Long in kafkajs's defaults; -1: none */
  readonly producerId?: unknown
  readonly producerEpoch?: number
  readonly topicData: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      readonly firstSequence?: number
      readonly messages: readonly ProducedMessage[]
    }[]
  }[]
}

interface Encoder {
  writeBufferInternal(buffer: Buffer): void
}
interface ProduceModule {
  protocol(of: { version: number }): (given: Produced) => { request: { encode(): Promise<Encoder> }; response: unknown }
}

const FIRST_WITH_RECORD_BATCHES = 3

/** Everything that this project sends is encoded here; what kafkajs could send besides (idempotent, compressed, with times) is its own. */
export const patchProduce = (): void => {
  const require = createRequire(import.meta.url)
  const produce = require('kafkajs/src/protocol/requests/produce') as ProduceModule
  const EncoderOfKafkajs = require('kafkajs/src/protocol/encoder') as new (size: number) => Encoder
  const { protocol } = produce
  produce.protocol = (of) => {
    const own = protocol(of)
    return (given) => {
      const made = own(given)
      if (of.version < FIRST_WITH_RECORD_BATCHES || !isPlain(given)) return made
      const encode = async (): Promise<Encoder> => {
        const bytes = produceRequest(given, Date.now())
        const encoder = new EncoderOfKafkajs(bytes.length)
        encoder.writeBufferInternal(bytes)
        return encoder
      }
      return { ...made, request: { ...made.request, encode } }
    }
  }
}

/** Neither idempotent nor compressed, and no record with a time of its own. */
export const isPlain = ({ compression, transactionalId, producerId = -1, producerEpoch, topicData }: Produced): boolean =>
  !compression &&
  transactionalId == null &&
  String(producerId) === '-1' &&
  !producerEpoch &&
  topicData.every(({ partitions }) => partitions.every(({ firstSequence, messages }) => !firstSequence && messages.every(isPlainMessage)))

const isPlainMessage = ({ headers, timestamp }: ProducedMessage): boolean => {
  if (timestamp !== undefined) return false
  for (const name in headers) if (typeof headers[name] !== 'string') return false
  return true
}

/** Of a batch, before its records: first offset, length, leader epoch, magic, sum, attributes, last delta, times, producer, epoch, sequence, count. */
const BATCH_HEAD = 8 + 4 + 4 + 1 + 4 + 2 + 4 + 8 + 8 + 8 + 2 + 4 + 4
/** The sum is over what comes after it. */
const SUMMED_FROM = 8 + 4 + 4 + 1 + 4
/** The length is of what comes after it. */
const MEASURED_FROM = 8 + 4

export const produceRequest = ({ acks, timeout, topicData }: Produced, nowMs: number): Buffer => {
  const topics = topicData.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition, messages }) => {
      const bodies = messages.map(bodyBytes)
      return { partition, messages, bodies, bytes: bodies.reduce((sum, size) => sum + varintBytes(size) + size, BATCH_HEAD) }
    }),
  }))
  const all = topics.flatMap(({ partitions }) => partitions)
  const names = topics.reduce((sum, { topic }) => sum + 2 + Buffer.byteLength(topic) + 4, 0)
  const buffer = Buffer.allocUnsafe(2 + 2 + 4 + 4 + names + all.reduce((sum, { bytes }) => sum + 4 + 4 + bytes, 0))
  let at = buffer.writeInt16BE(-1, 0) // no transaction
  at = buffer.writeInt16BE(acks, at)
  at = buffer.writeInt32BE(timeout, at)
  at = buffer.writeInt32BE(topics.length, at)
  for (const { topic, partitions } of topics) {
    at = buffer.writeInt16BE(Buffer.byteLength(topic), at)
    at += buffer.write(topic, at)
    at = buffer.writeInt32BE(partitions.length, at)
    for (const { partition, messages, bodies, bytes } of partitions) {
      at = buffer.writeInt32BE(partition, at)
      at = buffer.writeInt32BE(bytes, at)
      at = writeBatch(buffer, at, messages, bodies, nowMs)
    }
  }
  return buffer
}

const writeBatch = (
  buffer: Buffer,
  from: number,
  messages: readonly ProducedMessage[],
  bodies: readonly number[],
  nowMs: number,
): number => {
  let at = from + BATCH_HEAD
  for (const [index, message] of messages.entries()) at = writeRecord(buffer, at, message, index, bodies[index]!)
  buffer.fill(0, from, from + SUMMED_FROM)
  buffer.writeInt32BE(at - from - MEASURED_FROM, from + 8)
  buffer.writeInt8(2, from + 16)
  let head = buffer.writeInt16BE(0, from + SUMMED_FROM)
  head = buffer.writeInt32BE(messages.length - 1, head)
  head = writeLong(buffer, nowMs, head)
  head = writeLong(buffer, nowMs, head)
  head = buffer.fill(0xff, head, head + 8) && head + 8 // no producer id
  head = buffer.writeInt16BE(0, head)
  head = buffer.writeInt32BE(0, head)
  buffer.writeInt32BE(messages.length, head)
  buffer.writeUInt32BE(crc32c(buffer, from + SUMMED_FROM, at), from + 17)
  return at
}

/** All in a batch have its time. */
const writeRecord = (buffer: Buffer, from: number, { key, value, headers = {} }: ProducedMessage, index: number, bytes: number): number => {
  let at = writeVarint(buffer, bytes, from)
  buffer[at++] = 0
  buffer[at++] = 0
  at = writeVarint(buffer, index, at)
  at = writeBytes(buffer, key, at)
  at = writeBytes(buffer, value, at)
  const names = Object.keys(headers)
  at = writeVarint(buffer, names.length, at)
  for (const name of names) {
    at = writeBytes(buffer, name, at)
    at = writeBytes(buffer, headers[name] as string, at)
  }
  return at
}

const bodyBytes = ({ key, value, headers = {} }: ProducedMessage, index: number): number => {
  const names = Object.keys(headers)
  let bytes = 2 + varintBytes(index) + sizedBytes(key) + sizedBytes(value) + varintBytes(names.length)
  for (const name of names) bytes += sizedBytes(name) + sizedBytes(headers[name] as string)
  return bytes
}

const lengthOf = (value: Bytes): number => (typeof value === 'string' ? Buffer.byteLength(value) : value.length)

const sizedBytes = (value: Bytes | null | undefined): number => {
  if (value == null) return 1
  const length = lengthOf(value)
  return varintBytes(length) + length
}

const writeBytes = (buffer: Buffer, value: Bytes | null | undefined, from: number): number => {
  if (value == null) return writeVarint(buffer, -1, from)
  const at = writeVarint(buffer, lengthOf(value), from)
  if (typeof value === 'string') return at + buffer.write(value, at)
  buffer.set(value, at)
  return at + value.length
}

/** Zigzag; sizes and counts stay far below 2^31. */
const varintBytes = (value: number): number => {
  let bytes = 1
  for (let rest = (value << 1) ^ (value >> 31); (rest & ~0x7f) !== 0; rest >>>= 7) bytes++
  return bytes
}

const writeVarint = (buffer: Buffer, value: number, from: number): number => {
  let at = from
  let rest = (value << 1) ^ (value >> 31)
  for (; (rest & ~0x7f) !== 0; rest >>>= 7) buffer[at++] = (rest & 0x7f) | 0x80
  buffer[at++] = rest
  return at
}

const writeLong = (buffer: Buffer, value: number, at: number): number =>
  buffer.writeUInt32BE(value >>> 0, buffer.writeInt32BE(Math.floor(value / 2 ** 32), at))

// --- CRC-32C, four bytes a step -------------------------------------------------------------------------------------

const CASTAGNOLI = 0x82f6_3b78

const [FIRST, SECOND, THIRD, FOURTH] = ((): [Int32Array, Int32Array, Int32Array, Int32Array] => {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ CASTAGNOLI : sum >>> 1
    return sum
  })
  const shifted = (table: Int32Array): Int32Array => table.map((sum) => (sum >>> 8) ^ first[sum & 0xff]!)
  const second = shifted(first)
  const third = shifted(second)
  return [first, second, third, shifted(third)]
})()

export const crc32c = (buffer: Uint8Array, from: number, to: number): number => {
  let sum = -1
  let at = from
  for (; at + 4 <= to; at += 4) {
    sum ^= buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24)
    sum = FOURTH[sum & 0xff]! ^ THIRD[(sum >>> 8) & 0xff]! ^ SECOND[(sum >>> 16) & 0xff]! ^ FIRST[sum >>> 24]!
  }
  for (; at < to; at++) sum = FIRST[(sum ^ buffer[at]!) & 0xff]! ^ (sum >>> 8)
  return ~sum >>> 0
}
