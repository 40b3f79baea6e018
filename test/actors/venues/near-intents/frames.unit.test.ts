import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readFrame } from '#actors/venues/near-intents/frames.ts'
import { normalizeQuote } from '#actors/venues/near-intents/normalize.ts'
import fixture from '#test/fixtures/near-intents/relay-messages.json' with { type: 'json' }

const BTC = 'nep141:btc.omft.near'
const EURE = 'nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near'
const base = { quote_id: 'q', defuse_asset_identifier_in: BTC, defuse_asset_identifier_out: EURE, min_deadline_ms: 60_000 }
const read = (data: object) => readFrame(JSON.stringify({ jsonrpc: '2.0', method: 'event', params: { subscription: 's', data } }))
const demand = (data: object) => {
  const frame = read(data)
  if (frame.kind !== 'quote') throw new Error(JSON.stringify(frame))
  return normalizeQuote(frame.data)
}

describe('frames of the relay', () => {
  it.each(fixture.messages.filter((message) => message.dir === 'in'))('are understood: $name', ({ name, frame }) => {
    const kind = name.startsWith('quote event') ? 'quote' : name.includes('status') && name.includes('event') ? 'status' : 'answer'
    expect(readFrame(JSON.stringify(frame)).kind).toBe(kind)
  })

  it.each(['0', '-1', '+1', '007', '1.0', '1e6', ' 1', '', 'abc', String(2n ** 127n), '9'.repeat(60)])('refuse the amount %j', (amount) => {
    expect(read({ ...base, exact_amount_in: amount })).toMatchObject({
      kind: 'unknown',
      problem: expect.stringContaining('exact_amount_in') as string,
    })
  })

  it.each(['', 'a\u0000b', 'half \ud800', 'x'.repeat(201)])('refuse the quote_id %j, which could not be stored', (quote_id) => {
    expect(read({ ...base, quote_id, exact_amount_in: '1' })).toMatchObject({
      kind: 'unknown',
      problem: expect.stringContaining('quote_id') as string,
    })
  })

  it('refuse an amount as a JSON number, which may have lost digits', () => {
    expect(read({ ...base, exact_amount_in: 1000000 }).kind).toBe('unknown')
  })

  it.each([{}, { exact_amount_in: '1', exact_amount_out: '1' }])('refuse both exact amounts and none: %j', (amounts) => {
    expect(read({ ...base, ...amounts })).toMatchObject({ kind: 'unknown', problem: expect.stringContaining('exactly one') as string })
  })

  it('take the largest i128, unknown fields, and null for what is absent', () => {
    const most = String(2n ** 127n - 1n)
    const frame = read({
      ...base,
      exact_amount_in: null,
      exact_amount_out: most,
      max_wait_ms: null,
      trusted_metadata: { source: '1click' },
      wait_ms: 1,
    })
    expect(frame).toEqual({ kind: 'quote', metadata: null, data: { ...base, exact_amount_out: most } })
  })

  it('never throw, whatever text comes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(['quote', 'status', 'answer', 'unknown']).toContain(readFrame(text).kind)
      }),
    )
  })
})

describe('a demand', () => {
  it('has the fixed amount on its side and null on the other', () => {
    expect(demand({ ...base, exact_amount_in: '1000000', max_wait_ms: 1_900 })).toEqual({
      quote_id: 'q',
      asset_in: BTC,
      asset_out: EURE,
      amount_in: '1000000',
      amount_out: null,
      fixed_side: 'in',
      ttl_ms: 1_900,
      min_deadline_ms: 60_000,
    })
    expect(demand({ ...base, exact_amount_out: '5' })).toMatchObject({ amount_in: null, amount_out: '5', fixed_side: 'out' })
  })

  it.each([
    [{ max_wait_ms: 51, min_deadline_ms: 60_000 }, 51],
    [{ max_wait_ms: 10_000, min_deadline_ms: 60_000 }, 10_000],
    [{ min_deadline_ms: 60_000 }, 3_000],
    [{ min_deadline_ms: 500 }, 500],
    [{ min_deadline_ms: 0 }, 0],
  ])('with %j takes answers for %i ms', (times, ttl) => expect(demand({ ...base, exact_amount_in: '1', ...times }).ttl_ms).toBe(ttl))
})
