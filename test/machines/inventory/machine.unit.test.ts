import { describe, expect, it } from 'vitest'
import { IntentInventory } from '#machines/contracts/records/inventory.ts'
import { inventoryMachine } from '#machines/inventory/machine.ts'
import { given } from '../given.ts'

const T = 1_800_000_000_000
const config = { account_id: 'solver.near', pair: 'BTC/EURe', token_ids: ['btc', 'eure'], read_every_ms: 1_000, pending_every_ms: 15_000 }
const read = (btc: string, eure: string, height = 200, disagreement: string | null = null) => ({
  answer: { spendable: { btc, eure }, block_height: height, block_timestamp_ms: T - 1_500, read_at_ms: T - 5, disagreement },
})
const pending = (pending_in: object = {}, pending_out: object = {}, withdrawn: object = {}) => ({
  answer: { pending_in, pending_out, withdrawn },
})
const order = { by: 'ada', reason: 'look', order_id: '1' }
const started = given(inventoryMachine, undefined, T).when('configured', config, T)
const synced = started.when('readPending.done', pending({ btc: '50' }), T).when('readBalances.done', read('100', '7'), T)
const record = (of: { messages(topic?: string): Record<string, unknown>[] }) =>
  IntentInventory.parse(of.messages('state.intent_inventory')[0])

/** Lets timers fire until the balances are read again. */
const readAgain = (from: typeof synced): typeof synced => {
  let at = from.elapse()
  while (at.effects('readBalances').length === 0) at = at.elapse()
  return at
}

describe('reading', () => {
  it('asks the verifier and the bridge at once when configured', () => {
    expect(started.effects()).toEqual([
      { name: 'readBalances', params: { account_id: 'solver.near', token_ids: ['btc', 'eure'] } },
      { name: 'readPending', params: { account_id: 'solver.near', token_ids: ['btc', 'eure'] } },
    ])
  })

  it('publishes what is credited, and what is pending only beside it', () => {
    expect(record(synced)).toMatchObject({
      inventory_id: 'inv-solver.near-200000',
      version: 200_000,
      block_height: 200,
      spendable: { btc: '100', eure: '7' },
      pending_in: { btc: '50' },
      reconciliation: { status: 'ok', detail: null },
      read_at_ms: T - 5,
    })
  })

  it('is asked again a second after the answer, never while one is under way', () => {
    expect(synced.timers.get('xstate.after.untilNextRead.inventory.syncing.balances.waiting')).toBe(T + 1_000)
    expect(readAgain(synced).when('order.refresh', order).effects('readBalances')).toEqual([])
    expect(
      synced
        .when('order.refresh', order)
        .effects()
        .map(({ name }) => name),
    ).toEqual(['readBalances', 'readPending'])
  })

  it('of the same block again has a higher version', () => {
    expect(record(readAgain(synced).when('readBalances.done', read('100', '7'))).version).toBe(200_001)
  })

  it('of an older block is thrown away and counted', () => {
    const older = readAgain(synced).when('readBalances.done', read('900', '7', 199))
    expect(older.messages()).toEqual([])
    expect(older.context).toMatchObject({ outdated: 1, balances: { block_height: 200 } })
  })

  it('a failure publishes nothing, counts, and is tried again after 2, 4, then 5 s', () => {
    let at = started
    for (const wait of [2_000, 4_000, 5_000, 5_000]) {
      at = at.when('readBalances.failed', { error: 'no NEAR node answered' })
      expect(at.messages()).toEqual([])
      const due = at.timers.get('xstate.after.untilNextRead.inventory.syncing.balances.waiting')!
      at = readAgain(at)
      expect(due - T).toBeGreaterThanOrEqual(wait)
    }
    expect(at.context['reads']).toEqual({ failures: 4, last_error: 'no NEAR node answered', last_ok_at: null })
  })
})

describe('reconciliation', () => {
  it('nodes that disagree are said, with the lower balances', () => {
    const split = readAgain(synced).when('readBalances.done', read('90', '7', 201, 'http://a: 90, http://b: 100'))
    expect(record(split).reconciliation).toEqual({ status: 'disagreement', detail: 'http://a: 90, http://b: 100' })
  })

  it('a trade moves two tokens and is no drift', () => {
    expect(record(readAgain(synced).when('readBalances.done', read('90', '9', 201))).reconciliation.status).toBe('ok')
  })

  it('a lone fall is drift, asks the bridge at once, and stays until explained', () => {
    const fallen = readAgain(synced).when('readBalances.done', read('90', '7', 201))
    expect(record(fallen).reconciliation).toMatchObject({ status: 'drift' })
    expect(fallen.effects('readPending')).toHaveLength(1)
    const unexplained = fallen.when('readPending.done', pending({}, {}, { btc: '5' }))
    expect(record(readAgain(unexplained).when('readBalances.done', read('90', '7', 202))).reconciliation.status).toBe('drift')
    const explained = fallen.when('readPending.done', pending({}, { btc: '10' }, { btc: '10' }))
    expect(record(readAgain(explained).when('readBalances.done', read('90', '7', 202))).reconciliation.status).toBe('ok')
  })

  it('a drift that a person has looked at is taken as it is', () => {
    const fallen = readAgain(synced)
      .when('readBalances.done', read('90', '7', 201))
      .when('order.refresh', order)
    expect(fallen.context['drift']).toBeNull()
  })
})

describe('a paused inventory', () => {
  it('reads nothing, publishes nothing of a late answer, and reads at once when resumed', () => {
    const paused = readAgain(synced).when('paused')
    expect(paused.timers.size).toBe(0)
    expect(paused.when('readBalances.done', read('1', '1', 300)).outputs).toEqual([])
    expect(
      paused
        .when('resumed')
        .effects()
        .map(({ name }) => name),
    ).toEqual(['readBalances', 'readPending'])
  })
})
