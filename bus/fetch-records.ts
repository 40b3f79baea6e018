/**
 * The records of a fetch answer in one pass. kafkajs makes a buffer, a decoder, four big integers, and an object and two buffers a header of
 * each record. Here a header that the record before had too is the same string, and only a record's value is a buffer.
 * @see https://kafka.apache.org/documentation/#recordbatch
 */
import { createRequire } from 'node:module'

/** Where kafkajs has read to. */
export interface Decoder {
  readonly buffer: Buffer
  offset: number
}

/** A record as `eachBatch` is given it: texts are texts already. */
export interface FetchedMessage {
  readonly offset: string
  readonly timestamp: string
  readonly key: string | null
  readonly value: Buffer | null
  /** lower-case names; of several with one name the last */
  readonly headers: Readonly<Record<string, string>>
  /** What kafkajs itself looks at besides. */
  readonly isControlRecord: boolean
  readonly batchContext: { readonly inTransaction: boolean; readonly producerId: string }
}

/** A record as kafkajs reads it. */
type OwnMessage = Omit<FetchedMessage, 'key' | 'headers'> & {
  readonly key: Buffer | null
  readonly headers?: Readonly<Record<string, Buffer | null | (Buffer | null)[]>>
}
export type OwnDecode = (decoder: Decoder) => Promise<OwnMessage[]>

/** kafkajs loads what reads an answer with its first fetch: it finds this then. */
export const patchFetch = (): void => {
  const require = createRequire(import.meta.url)
  const path = require.resolve('kafkajs/src/protocol/requests/fetch/v4/decodeMessages')
  const own = require(path) as OwnDecode
  require.cache[path]!.exports = decodeWith(own)
}

/** @param own kafkajs's: for what no producer of ours writes (compressed, in a transaction, an old format) */
export const decodeWith =
  (own: OwnDecode) =>
  async (decoder: Decoder): Promise<FetchedMessage[]> => {
    const from = decoder.offset + LENGTH_BYTES
    const size = decoder.buffer.readInt32BE(decoder.offset)
    const isWhole = size > 0 && from + size <= decoder.buffer.length
    const batches = isWhole ? plainBatches(decoder.buffer, from, from + size) : null
    if (!batches) return (await own(decoder)).map(inTexts)
    decoder.offset = from + size
    return readBatches(decoder.buffer, batches)
  }

const inTexts = ({ key, headers = {}, ...message }: OwnMessage): FetchedMessage => ({
  ...message,
  key: key === null ? null : key.toString(),
  headers: Object.fromEntries(
    Object.entries(headers).flatMap(([name, given]) => {
      const last = Array.isArray(given) ? given.at(-1) : given
      return last ? [[name.toLowerCase(), last.toString()]] : []
    }),
  ),
})

const LENGTH_BYTES = 4
const BATCH_HEAD_BYTES = 61
/** A batch's length is of what comes after it, at 12. */
const MEASURED_FROM = 12
const MAGIC_AT = 16
const ATTRIBUTES_AT = 21
const FIRST_TIME_AT = 27
const LAST_TIME_AT = 35
const COUNT_AT = 57
const LOG_APPEND_TIME = 0x08
/** compressed, in a transaction, or control records */
const NOT_PLAIN = 0x37

/** Where each batch begins; the last may be cut off, and is left out. Null: one of them is not plain. */
const plainBatches = (buffer: Buffer, from: number, end: number): number[] | null => {
  const found: number[] = []
  for (let at = from; at + MAGIC_AT < end;) {
    if (buffer[at + MAGIC_AT] !== 2) return null
    const next = at + MEASURED_FROM + buffer.readInt32BE(at + 8)
    if (next > end || at + BATCH_HEAD_BYTES > end) return found
    if ((buffer.readInt16BE(at + ATTRIBUTES_AT) & NOT_PLAIN) !== 0) return null
    found.push(at)
    at = next
  }
  return found
}

const NO_TRANSACTION = { inTransaction: false, producerId: '-1' }

const readBatches = (buffer: Buffer, batches: readonly number[]): FetchedMessage[] => {
  const messages: FetchedMessage[] = []
  const names = new Texts(buffer, (name) => name.toLowerCase())
  const values = new Texts(buffer, (value) => value)
  const at = new Varints(buffer)
  for (const batch of batches) {
    const firstOffset = longAt(buffer, batch)
    const firstMs = longAt(buffer, batch + FIRST_TIME_AT)
    const appended = (buffer[batch + ATTRIBUTES_AT + 1]! & LOG_APPEND_TIME) === 0 ? null : String(longAt(buffer, batch + LAST_TIME_AT))
    const count = buffer.readInt32BE(batch + COUNT_AT)
    at.offset = batch + BATCH_HEAD_BYTES
    for (let n = 0; n < count; n++) {
      const size = at.read()
      const end = at.offset + size
      at.offset++ // attributes, of which there are none
      const sinceFirstMs = at.read()
      const timestamp = appended ?? String(firstMs + sinceFirstMs)
      const offset = String(firstOffset + at.read())
      const keyBytes = at.read()
      const key = keyBytes < 0 ? null : buffer.toString('utf8', at.offset, at.offset + keyBytes)
      at.offset += Math.max(0, keyBytes)
      const valueBytes = at.read()
      const value = valueBytes < 0 ? null : buffer.subarray(at.offset, at.offset + valueBytes)
      at.offset += Math.max(0, valueBytes)
      const headers = readHeaders(at, names, values)
      messages.push({ offset, timestamp, key, value, headers, isControlRecord: false, batchContext: NO_TRANSACTION })
      at.offset = end
    }
  }
  return messages
}

const readHeaders = (at: Varints, names: Texts, values: Texts): Record<string, string> => {
  const headers: Record<string, string> = {}
  const count = at.read()
  for (let n = 0; n < count; n++) {
    const nameBytes = at.read()
    const name = names.read(n, at.offset, nameBytes)
    at.offset += nameBytes
    const valueBytes = at.read()
    if (valueBytes < 0) continue
    headers[name] = values.read(n, at.offset, valueBytes)
    at.offset += valueBytes
  }
  return headers
}

/** The names or values of a record's headers, by their place; where the bytes are those of the record before, so is the string. */
class Texts {
  readonly #buffer: Buffer
  readonly #made: (text: string) => string
  readonly #known: { from: number; bytes: number; text: string }[] = []

  constructor(buffer: Buffer, made: (text: string) => string) {
    this.#buffer = buffer
    this.#made = made
  }

  read(place: number, from: number, bytes: number): string {
    const known = this.#known[place]
    if (known && known.bytes === bytes && this.#same(known.from, from, bytes)) return known.text
    const text = this.#made(this.#buffer.toString('utf8', from, from + bytes))
    if (known) {
      known.from = from
      known.bytes = bytes
      known.text = text
    } else this.#known[place] = { from, bytes, text }
    return text
  }

  /** From the end, where those that count differ. */
  #same(one: number, other: number, bytes: number): boolean {
    const buffer = this.#buffer
    for (let n = bytes - 1; n >= 0; n--) if (buffer[one + n] !== buffer[other + n]) return false
    return true
  }
}

/** Zigzag, up to 2^53: times and offsets stay below. */
class Varints {
  readonly #buffer: Buffer
  offset = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  read(): number {
    let byte = this.#buffer[this.offset++]!
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1)
    let value = byte & 0x7f
    for (let scale = 0x80; byte >= 0x80; scale *= 0x80) {
      byte = this.#buffer[this.offset++]!
      value += (byte & 0x7f) * scale
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

const longAt = (buffer: Buffer, at: number): number => buffer.readInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)
