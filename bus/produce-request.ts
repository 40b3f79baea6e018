/**
 * A produce request in one buffer. kafkajs makes an encoder of 512 zeroed bytes for each record and each header of it and copies them
 * into each other: a third of what a turn with one record out cost the host. Before that it sorts records by partition, copying all that it
 * has at each: so it is given one message a partition (`folded`), which only here becomes the records that it stands for.
 * @see https://kafka.apache.org/documentation/#recordbatch and the Produce API, versions 3 to 7
 */
import { createRequire } from 'node:module'
import type { Message } from 'kafkajs'

type Bytes = string | Uint8Array
export interface ProducedRecord {
  readonly key: Bytes | null
  readonly value: Bytes | null
  readonly headers: Readonly<Record<string, string>>
}
interface Folded {
  readonly records: readonly ProducedRecord[]
}

/** As kafkajs gives it to its own encoder. */
export interface Produced<M = Folded> {
  readonly acks: number
  readonly timeout: number
  readonly topicData: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly messages: readonly M[] }[]
  }[]
}

interface Encoder {
  writeBufferInternal(buffer: Buffer): void
}
interface ProduceModule {
  protocol(of: { version: number }): (given: Produced<object>) => { request: { encode(): Promise<Encoder> }; response: unknown }
}

const FIRST_WITH_RECORD_BATCHES = 3
const NOTHING = Buffer.alloc(0)

/** All that goes to one partition, as one message for kafkajs's producer. */
export const folded = (partition: number, records: readonly ProducedRecord[]): Message & Folded => ({ partition, value: NOTHING, records })

/** Everything that this project sends is folded and encoded here, neither idempotent nor compressed; what is not is kafkajs's own. */
export const patchProduce = (): void => {
  const require = createRequire(import.meta.url)
  const produce = require('kafkajs/src/protocol/requests/produce') as ProduceModule
  const EncoderOfKafkajs = require('kafkajs/src/protocol/encoder') as new (size: number) => Encoder
  const { protocol } = produce
  produce.protocol = (of) => {
    const own = protocol(of)
    return (given) => {
      const made = own(given)
      if (!isFolded(given)) return made
      if (of.version < FIRST_WITH_RECORD_BATCHES) throw new Error(`the broker takes only version ${of.version} of Produce`)
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

const isFolded = (given: Produced<object>): given is Produced =>
  given.topicData.every(({ partitions }) => partitions.every(({ messages }) => messages.every((message) => 'records' in message)))

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
      const records = messages.length === 1 ? messages[0]!.records : messages.flatMap((message) => message.records)
      const known: KnownSizes = new Map()
      const bodies = records.map((record, index) => bodyBytes(record, index, known))
      return { partition, records, bodies, bytes: bodies.reduce((sum, size) => sum + varintBytes(size) + size, BATCH_HEAD) }
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
    for (const { partition, records, bodies, bytes } of partitions) {
      at = buffer.writeInt32BE(partition, at)
      at = buffer.writeInt32BE(bytes, at)
      at = writeBatch(buffer, at, records, bodies, nowMs)
    }
  }
  return buffer
}

const writeBatch = (buffer: Buffer, from: number, records: readonly ProducedRecord[], bodies: readonly number[], nowMs: number): number => {
  let at = from + BATCH_HEAD
  const known: KnownPlaces = new Map()
  for (let index = 0; index < records.length; index++) at = writeRecord(buffer, at, records[index]!, index, bodies[index]!, known)
  buffer.fill(0, from, from + SUMMED_FROM)
  buffer.writeInt32BE(at - from - MEASURED_FROM, from + 8)
  buffer.writeInt8(2, from + 16)
  let head = buffer.writeInt16BE(0, from + SUMMED_FROM)
  head = buffer.writeInt32BE(records.length - 1, head)
  head = writeLong(buffer, nowMs, head)
  head = writeLong(buffer, nowMs, head)
  head = buffer.fill(0xff, head, head + 8) && head + 8 // no producer id
  head = buffer.writeInt16BE(0, head)
  head = buffer.writeInt32BE(0, head)
  buffer.writeInt32BE(records.length, head)
  buffer.writeUInt32BE(crc32c(buffer, from + SUMMED_FROM, at), from + 17)
  return at
}

/** Of each name, the header last seen: most are the source's, and the same in every record. */
type KnownSizes = Map<string, { value: string; bytes: number }>
/** The same, and where it was written: it is copied from there. */
type KnownPlaces = Map<string, { value: string; from: number; to: number }>

/** All in a batch have its time. */
const writeRecord = (
  buffer: Buffer,
  from: number,
  { key, value, headers }: ProducedRecord,
  index: number,
  bytes: number,
  known: KnownPlaces,
): number => {
  let at = writeVarint(buffer, bytes, from)
  buffer[at++] = 0
  buffer[at++] = 0
  at = writeVarint(buffer, index, at)
  at = writeBytes(buffer, key, at)
  at = writeBytes(buffer, value, at)
  at = writeVarint(buffer, countOf(headers), at)
  for (const name in headers) at = writeHeader(buffer, at, name, headers[name]!, known)
  return at
}

const writeHeader = (buffer: Buffer, from: number, name: string, value: string, known: KnownPlaces): number => {
  const last = known.get(name)
  if (last?.value === value) {
    buffer.copyWithin(from, last.from, last.to)
    return from + last.to - last.from
  }
  const to = writeBytes(buffer, value, writeBytes(buffer, name, from))
  if (!last) known.set(name, { value, from, to })
  else {
    last.value = value
    last.from = from
    last.to = to
  }
  return to
}

const bodyBytes = ({ key, value, headers }: ProducedRecord, index: number, known: KnownSizes): number => {
  let bytes = 2 + varintBytes(index) + sizedBytes(key) + sizedBytes(value) + varintBytes(countOf(headers))
  for (const name in headers) bytes += headerBytes(name, headers[name]!, known)
  return bytes
}

const headerBytes = (name: string, value: string, known: KnownSizes): number => {
  const last = known.get(name)
  if (last?.value === value) return last.bytes
  const bytes = sizedBytes(name) + sizedBytes(value)
  if (!last) known.set(name, { value, bytes })
  else {
    last.value = value
    last.bytes = bytes
  }
  return bytes
}

const countOf = (headers: Readonly<Record<string, string>>): number => {
  let count = 0
  for (const _ in headers) count++
  return count
}

/** Keys, names and numbers: going through them here is cheaper than a call out of JavaScript. */
const SHORT = 24

const isShortAscii = (text: string): boolean => {
  if (text.length > SHORT) return false
  for (let n = 0; n < text.length; n++) if (text.charCodeAt(n) >= 0x80) return false
  return true
}

const lengthOf = (value: Bytes): number => {
  if (typeof value !== 'string') return value.length
  return isShortAscii(value) ? value.length : Buffer.byteLength(value)
}

const sizedBytes = (value: Bytes | null): number => {
  if (value === null) return 1
  const length = lengthOf(value)
  return varintBytes(length) + length
}

const writeBytes = (buffer: Buffer, value: Bytes | null, from: number): number => {
  if (value === null) return writeVarint(buffer, -1, from)
  if (typeof value === 'string' && isShortAscii(value)) {
    let at = writeVarint(buffer, value.length, from)
    for (let n = 0; n < value.length; n++) buffer[at++] = value.charCodeAt(n)
    return at
  }
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
