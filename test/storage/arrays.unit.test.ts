import { describe, expect, test } from 'vitest'
import { booleans, bytes, ints, jsons, letters, longs, texts, uuids } from '#storage/arrays.ts'

/** What PostgreSQL's array_recv reads: header, then a length and the bytes of each element. */
const decoded = (buffer: Buffer | null): { type: number; hasNulls: boolean; values: (Buffer | null)[] } => {
  if (buffer === null) throw new Error('an array')
  expect([buffer.readInt32BE(0), buffer.readInt32BE(16)]).toEqual([1, 1])
  const values: (Buffer | null)[] = []
  let at = 20
  for (let index = 0; index < buffer.readInt32BE(12); index++) {
    const length = buffer.readInt32BE(at)
    values.push(length < 0 ? null : buffer.subarray(at + 4, at + 4 + length))
    at += 4 + Math.max(length, 0)
  }
  expect(at).toBe(buffer.length)
  return { type: buffer.readUInt32BE(8), hasNulls: buffer.readInt32BE(4) === 1, values }
}
const self = <T>(value: T): T => value

describe('a binary array', () => {
  test('of no rows is null, so that an empty family costs nothing', () => {
    expect([texts([], self), bytes([], self), letters([], self), uuids([], self)]).toEqual([null, null, null, null])
    expect([longs([], self), ints([], self), booleans([], self), jsons([], self)]).toEqual([null, null, null, null])
  })

  test('of texts counts bytes and not characters', () => {
    const { type, values } = decoded(texts(['', 'a', 'ä€😀'], self))
    expect(type).toBe(25)
    expect(values.map(String)).toEqual(['', 'a', 'ä€😀'])
  })

  test('of bytes keeps nulls apart from nothing', () => {
    const { type, hasNulls, values } = decoded(bytes([Buffer.from([0, 255]), null, Buffer.alloc(0)], self))
    expect([type, hasNulls, values[0]?.toString('hex'), values[1], values[2]?.length]).toEqual([17, true, '00ff', null, 0])
  })

  test.each([0, 1, -1, 2 ** 31, 2 ** 32, -(2 ** 32), 2 ** 32 + 5, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])(
    'of bigint holds %d',
    (value) => {
      expect(decoded(longs([value], self)).values[0]?.readBigInt64BE()).toBe(BigInt(value))
    },
  )

  test.each([Number.NaN, 1.5, 2 ** 53, Number.POSITIVE_INFINITY])('of bigint refuses %d', (value) => {
    expect(() => longs([value], self)).toThrow(RangeError)
  })

  test('of uuids holds 16 bytes each and refuses what is none', () => {
    const uuid = '01a1fd89-f7e4-7b22-ae36-fb68602de9f4'
    expect(decoded(uuids([uuid], self)).values[0]?.toString('hex')).toBe(uuid.replaceAll('-', ''))
    for (const wrong of ['', 'x', `${uuid}0`, uuid.replace('0', 'g'), '0'.repeat(36)])
      expect(() => uuids([wrong], self)).toThrow(RangeError)
  })

  test('of letters, integers, booleans and JSON has their types', () => {
    expect(decoded(letters(['taken', 'p'], self))).toMatchObject({ type: 18, values: [Buffer.from('t'), Buffer.from('p')] })
    expect(decoded(ints([-7], self)).values[0]?.readInt32BE()).toBe(-7)
    expect(decoded(booleans([true, false], self)).values.map((value) => value?.[0])).toEqual([1, 0])
    expect(decoded(jsons([{ a: 1 }], self))).toMatchObject({ type: 3802, values: [Buffer.from('\u0001{"a":1}')] })
  })
})
