import { DatabaseError } from 'pg'
import { describe, expect, test } from 'vitest'
import { StoreError, isSessionOver, toStoreError } from '#storage/errors.ts'

const said = (code: string, severity = 'ERROR'): DatabaseError => Object.assign(new DatabaseError('said', 4, 'error'), { code, severity })

describe('an error of PostgreSQL', () => {
  test.each([
    ['UR001', 'stale_epoch'],
    ['UR002', 'batch_conflict'],
    ['UR003', 'went_back'],
    ['22021', 'bad_data'],
    ['22P05', 'bad_data'],
    ['54000', 'bad_data'],
    ['23514', 'unavailable'],
    ['23505', 'broken_contract'],
    ['23000', 'broken_contract'],
    ['42501', 'broken_contract'],
    ['42883', 'broken_contract'],
    ['40001', 'unavailable'],
    ['53100', 'unavailable'],
    ['55P03', 'unavailable'],
    ['57014', 'unavailable'],
    ['58030', 'unavailable'],
    ['25006', 'unavailable'],
    ['XX000', 'unavailable'],
  ])('with SQLSTATE %s is %s', (sqlState, code) => {
    expect(toStoreError(said(sqlState), 'lane x/0: batch 1', true)).toMatchObject({ code, sqlState, message: 'lane x/0: batch 1: said' })
  })

  test('that ends the session leaves a statement unknown that had been sent', () => {
    expect(toStoreError(said('57P01', 'FATAL'), 'x', true)).toMatchObject({ code: 'unknown', sqlState: '57P01' })
    expect(toStoreError(said('57P03', 'FATAL'), 'x', false)).toMatchObject({ code: 'unavailable' })
    expect([isSessionOver(said('57P01', 'FATAL')), isSessionOver(said('22021')), isSessionOver(new Error('ECONNRESET'))]).toEqual([
      true,
      false,
      true,
    ])
  })
})

test('a broken connection leaves a statement unknown that had been sent, and one that had not provably undone', () => {
  expect(toStoreError(new Error('gone'), 'x', true).code).toBe('unknown')
  expect(toStoreError(new Error('gone'), 'x', false).code).toBe('unavailable')
})

test('an error that is named already stays as it is', () => {
  const error = new StoreError('bad_data', 'x')
  expect(toStoreError(error, 'y', true)).toBe(error)
})
