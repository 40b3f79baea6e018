import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { laneStore } from '#storage/lane-store.ts'
import { storeReads } from '#storage/reads.ts'
import type { StoreReads } from '#storage/reads.ts'
import { freshDatabase } from './database.ts'
import type { TestDatabase } from './database.ts'
import { actorRow, bytesOf, historyRow, journalRow, takeFree } from './lane.ts'
import { silent } from './silent.ts'

const STRATEGY = 'strategy-engine'
let database: TestDatabase
let strategy: StoreReads
let executor: StoreReads
let operator: StoreReads

beforeAll(async () => {
  database = await freshDatabase()
  const readsOf = (role: string): StoreReads => storeReads({ connectionString: database.roleUrls[role] ?? '' })
  strategy = readsOf(STRATEGY)
  executor = readsOf('trade-executor')
  operator = readsOf('operator')
  await fillStrategy()
  await fillHistory()
})
afterAll(async () => {
  await Promise.all([strategy, executor, operator].map((reads) => reads.close()))
  await database.drop()
})

const storeOf = (service: string) =>
  laneStore({ connectionString: database.roleUrls[service] ?? '', applicationName: `test ${service}`, log: silent })

/** Lane 0: three quotes, one ended and one parked, a timer, an effect, an order. */
const fillStrategy = async (): Promise<void> => {
  const store = storeOf(STRATEGY)
  await store.lanes(STRATEGY, 4)
  const { id } = await store.insertOrder(STRATEGY, { by: 'ada', reason: 'test', body: { order: 'arm' }, expiresInMs: null })
  const lane = await takeFree(store, STRATEGY, 0)
  const nested = bytesOf(JSON.stringify({ v: 3, h: 'h', s: 4, value: { open: 'asking' }, c: { amount: '1' } }))
  await lane.commitNext({
    actors: [actorRow('a'), actorRow('b', { status: 'done', endedAtMs: 9 }), actorRow('c', { kind: 'quote', body: nested, sequence: 4 })],
    journal: [journalRow('a'), journalRow('c', { kind: 'quote', outcome: 'p' })],
    timersSet: [{ kind: 'quote', key: 'c', timer: 'expiry', token: 1, dueMs: 5_000, event: bytesOf('{"type":"due"}') }],
    effects: [
      {
        effect: 'e1',
        kind: 'quote',
        key: 'c',
        name: 'send',
        mode: 'ask first',
        state: 'uncertain',
        token: 0,
        notAfterMs: 7,
        askAtMs: null,
        asked: 2,
        sinceMs: 0,
        body: bytesOf('{"params":{"a":1}}'),
      },
    ],
    inputs: [{ topic: 'norm.swap_demand', entered: 3, enteredAtMs: 4, next: 5 }],
    parked: [{ turn: 2, kind: 'quote', key: 'c', cause: 'it threw', origin: 'timer expiry', event: bytesOf('{"type":"due"}') }],
    orders: [{ id, answer: { armed: true } }],
  })
  await store.deregister(lane.process)
  await store.close()
}

const fillHistory = async (): Promise<void> => {
  const store = storeOf('history-writer')
  await store.lanes('history-writer', 4)
  const lane = await takeFree(store, 'history-writer', 0)
  const at = (second: number) => ({ ingested_at: `2026-11-21T10:00:0${second}.000Z` })
  const decision = {
    quote_id: 'q1',
    decision_id: 'dec-q1',
    decision: 'trade',
    decision_reason: 'TRADE',
    price_event_id: 'p1',
    inventory_id: 'i1',
  }
  const result = { quote_id: 'q1', command_id: 'cmd-q1' }
  await lane.commitNext({
    history: [
      historyRow('raw.near_intents.quote', 'r1', { quote_id: 'q1' }, at(0)),
      historyRow('ref.market_price', 'p1', { pair: 'BTC/EURe', fair: { bid: '60000' } }, at(1)),
      historyRow('ref.market_price', 'p2', { pair: 'BTC/EURe' }, at(1)),
      historyRow('state.intent_inventory', 'v1', { inventory_id: 'i1', pair: 'BTC/EURe' }, at(2)),
      historyRow(
        'norm.swap_demand',
        'd1',
        { quote_id: 'q1', pair: 'BTC/EURe', direction: 'btc_to_eure' },
        { ...at(3), causation_id: 'r1' },
      ),
      historyRow('decision.trade_decision', 't1', decision, { ...at(4), causation_id: 'd1' }),
      historyRow(
        'cmd.execute_trade',
        'c1',
        { quote_id: 'q1', command_id: 'cmd-q1', idempotency_key: 'near_intents:q1' },
        { ...at(5), causation_id: 't1' },
      ),
      historyRow('exec.trade_result', 's1', { ...result, status: 'submitted', result_code: 'SUBMITTED' }, { ...at(6), causation_id: 'c1' }),
      historyRow('exec.trade_result', 's2', { ...result, status: 'settled', result_code: 'SETTLED' }, { ...at(7), causation_id: 'c1' }),
      historyRow('norm.swap_demand', 'd2', { quote_id: 'q2', pair: 'BTC/EURe', direction: 'eure_to_btc' }, at(8)),
    ],
  })
  await store.deregister(lane.process)
  await store.close()
}

describe('actors', () => {
  test('are listed in order, a page at a time, until the cursor ends', async () => {
    const first = await strategy.actors({ service: STRATEGY, limit: 2 })
    expect(first?.actors.map(({ kind, key, state, status }) => [kind, key, state, status])).toEqual([
      ['counter', 'a', 'counting', 'active'],
      ['counter', 'b', 'counting', 'done'],
    ])
    const second = await strategy.actors({ service: STRATEGY, limit: 2, after: first?.next ?? '' })
    expect(second).toMatchObject({ actors: [{ kind: 'quote', key: 'c', version: 3, sequence: 4 }], next: null })
    for (const place of [
      'no JSON',
      '["strategy-engine",0,"quote"]',
      '["strategy-engine",4294967296,"quote","c"]',
      '["a",0,"quote","\\u0000"]',
    ])
      expect(await strategy.actors({ limit: 2, after: Buffer.from(place).toString('base64url') }), place).toBeNull()
  })

  test('are found by kind and by state, a nested one by its outermost name too', async () => {
    expect((await strategy.actors({ kind: 'quote', limit: 9 }))?.actors).toHaveLength(1)
    expect((await strategy.actors({ state: 'open', limit: 9 }))?.actors.map(({ key }) => key)).toEqual(['c'])
    expect((await strategy.actors({ state: '{"open":"asking"}', limit: 9 }))?.actors.map(({ key }) => key)).toEqual(['c'])
    expect((await strategy.actors({ state: 'ope', limit: 9 }))?.actors).toEqual([])
  })

  test('come one by one with context, timers, effects, journal and parked events', async () => {
    expect(await strategy.actor(STRATEGY, 'quote', 'c')).toMatchObject({
      lane: 0,
      state: '{"open":"asking"}',
      context: { amount: '1' },
      timers: [{ timer: 'expiry', due_at: '1970-01-01T00:00:05.000Z', event: { type: 'due' } }],
      effects: [{ effect: 'e1', mode: 'ask first', state: 'uncertain', asked: 2, body: { params: { a: 1 } } }],
      journal: [{ turn: 2, outcome: 'parked', event: { type: 'hit', key: 'c' } }],
      parked: [{ turn: 2, cause: 'it threw', done: null }],
    })
    expect(await strategy.actor(STRATEGY, 'quote', 'none')).toBeNull()
  })

  test('of another service are not there, and the operator sees all', async () => {
    expect((await executor.actors({ limit: 9 }))?.actors).toEqual([])
    expect(await executor.actor(STRATEGY, 'quote', 'c')).toBeNull()
    expect((await operator.actors({ limit: 9 }))?.actors).toHaveLength(3)
  })
})

describe('lanes, inputs, parked events and orders', () => {
  test('are read as they stand', async () => {
    expect((await strategy.lanes())[0]).toMatchObject({ service: STRATEGY, lane: 0, owner: null, epoch: 1, batch: 1, turn: 2 })
    expect(await operator.inputs(STRATEGY)).toEqual([{ service: STRATEGY, lane: 0, topic: 'norm.swap_demand', entered: 3, next: 5 }])
    expect(await operator.parked({ limit: 9 })).toMatchObject([
      { service: STRATEGY, turn: 2, at: expect.stringMatching(/^20\d\d-/), waits: false, ordered: null, event: { type: 'due' } },
    ])
    const [order] = await operator.orders({ service: STRATEGY, limit: 1 })
    expect(order).toMatchObject({ by: 'ada', body: { order: 'arm' } })
    expect(order?.lanes).toEqual([0, 1, 2, 3].map((lane) => ({ lane, answer: lane === 0 ? { armed: true } : null })))
  })

  test('of another service are not there', async () => {
    expect([
      await executor.lanes(),
      await executor.inputs(),
      await executor.parked({ limit: 9 }),
      await executor.orders({ limit: 9 }),
    ]).toEqual([[], [], [], []])
  })
})

describe('the chain of a quote', () => {
  test('holds every record with the price and the inventory that its decision used, oldest first', async () => {
    const chain = await operator.quoteChain('q1')
    expect(chain?.records.map(({ event_id }) => event_id)).toEqual(['r1', 'p1', 'v1', 'd1', 't1', 'c1', 's1', 's2'])
    expect(chain?.records[3]).toMatchObject({
      causation_id: 'r1',
      correlation_id: 'corr-1',
      place: 'norm.swap_demand/0@7',
      payload: { direction: 'btc_to_eure' },
    })
    expect(await operator.quoteChain('none')).toBeNull()
  })

  test('is one row of the view, with every result and the final code', async () => {
    const rows = await database.admin(async (client) => (await client.query('SELECT * FROM quote_chain ORDER BY quote_id')).rows)
    expect(rows).toMatchObject([
      {
        quote_id: 'q1',
        correlation_id: 'corr-1',
        raw_event_id: 'r1',
        demand_event_id: 'd1',
        decision_event_id: 't1',
        decision: 'trade',
        price_event_id: 'p1',
        price: { fair: { bid: '60000' } },
        inventory_event_id: 'v1',
        command_event_id: 'c1',
        command_id: 'cmd-q1',
        results: [{ result_code: 'SUBMITTED' }, { result_code: 'SETTLED', causation_id: 'c1' }],
        final_result_code: 'SETTLED',
        final_result_at: new Date('2026-11-21T10:00:07.000Z'),
      },
      { quote_id: 'q2', decision_event_id: null, results: [], final_result_code: null },
    ])
  })

  test('is not for the roles of other services', async () => {
    await expect(executor.quoteChain('q1')).rejects.toThrow()
  })
})
