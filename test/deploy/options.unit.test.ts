import { expect, test } from 'vitest'
import { readEnv, readOptions } from '#deploy/local/options.ts'

test('arguments are read, and what is not one is named', () => {
  expect(readOptions(['--quotes', '5', '--json'])).toEqual({ disarmed: false, quotes: 5, json: true, fresh: false, help: false })
  expect(() => readOptions(['--quotes', 'five'])).toThrow('--quotes wants a whole number above zero, not "five"')
  expect(() => readOptions(['--quote', '5'])).toThrow('--quote')
  expect(() => readOptions(['extra'])).toThrow('extra')
})

test('a malformed variable is named with its value, a malformed secret without', () => {
  expect(() => readEnv({ CONTROL_BASE_PORT: 'abc' })).toThrow(
    /^malformed environment: CONTROL_BASE_PORT \(it is "abc"\): .*Mend or unset it$/,
  )
  expect(() => readEnv({ KAFKA_BROKERS: 'localhost' })).toThrow('KAFKA_BROKERS (it is "localhost"): expected a comma list of host:port')
  expect(() => readEnv({ KAFKA_BROKERS: '' })).toThrow('KAFKA_BROKERS')
  expect(() => readEnv({ DATABASE_URL: 'mysql://u:secret@h/d' })).toThrow(/^malformed environment: DATABASE_URL: (?!.*secret)/)
  expect(() => readEnv({ KRAKEN_WS_URL: 'https://ws.kraken.com' })).toThrow('KRAKEN_WS_URL')
})

test('an empty environment means the local stack on the default ports', () => {
  expect(readEnv({})).toMatchObject({ CONTROL_BASE_PORT: 4101, CONTROL_HOST: '127.0.0.1', LANES: 4 })
})
