import { expect, test } from 'vitest'
import { readOptions, UsageFault } from './options.ts'

test('without arguments: twenty kills, half as many other faults, seed 1', () => {
  expect(readOptions([])).toEqual({ kills: 20, others: 10, seed: 1, json: false, help: false })
})

test('kills, others and seed are whole numbers', () => {
  expect(readOptions(['--kills', '5', '--others', '0', '--seed', '42', '--json'])).toEqual({
    kills: 5,
    others: 0,
    seed: 42,
    json: true,
    help: false,
  })
})

test.each([
  [['--kills', 'x'], '--kills wants a whole number, not "x"'],
  [['--kills', '-1'], '--kills'],
  [['--seed', '1.5'], '--seed wants a whole number, not "1.5"'],
  [['--others', ''], '--others wants a whole number, not ""'],
  [['--murder'], "Unknown option '--murder'"],
  [['all'], "Unexpected argument 'all'"],
])('what cannot be understood is named: %j', (argv, message) => {
  expect(() => readOptions(argv)).toThrow(UsageFault)
  expect(() => readOptions(argv)).toThrow(message)
})
