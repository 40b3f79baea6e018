import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseExact, plainDecimal } from '#actors/venues/json.ts'

describe('parseExact', () => {
  it('keeps every digit of every number, in objects and arrays', () => {
    expect(parseExact('{"a":12345678901234567891,"b":[45281.0,-1e-7],"c":"7","d":null,"e":true}')).toEqual({
      a: '12345678901234567891',
      b: ['45281.0', '-1e-7'],
      c: '7',
      d: null,
      e: true,
    })
  })

  it.each(['', '{', 'NaN', '<html>'])('is undefined for %j, which is not JSON', (text) => expect(parseExact(text)).toBeUndefined())
})

describe('plainDecimal', () => {
  it.each([
    ['45281.0', '45281.0'],
    ['0.10', '0.10'],
    ['1.2e-7', '0.00000012'],
    ['12E3', '12000'],
    ['1.25e1', '12.5'],
    ['1e+21', '1000000000000000000000'],
    ['-0.5e-1', '-0.05'],
    ['0e0', '0'],
    ['007', '7'],
  ])('writes %s as %s', (source, expected) => expect(plainDecimal(source)).toBe(expected))

  it.each(['', 'abc', '1.', '.5', '+1', '0x10', 'Infinity', '1e9999', ' 1', null, undefined, 7])('is null for %j', (source) =>
    expect(plainDecimal(source)).toBeNull(),
  )

  it('means the same number as the float that JSON would have made', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e40, max: 1e40 }), (number) => {
        const plain = plainDecimal(JSON.stringify(number))
        expect(plain).not.toContain('e')
        expect(Number(plain)).toBe(Object.is(number, -0) ? 0 : number)
      }),
    )
  })
})
