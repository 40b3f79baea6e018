import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Readings } from '#control/cli/readings.ts'
import { dropOldDays } from '#deploy/cli/days.ts'
import { definitionOf } from '#deploy/cli/definitions.ts'
import { readings } from '#deploy/cli/readings.ts'
import { laneStore } from '#storage/lane-store.ts'
import { freshDatabase, TEST_LANES } from '../../storage/database.ts'
import type { TestDatabase } from '../../storage/database.ts'
import { takeFree } from '../../storage/lane.ts'
import { Recorded } from '../../storage/recorded.ts'
import { silent } from '../../bus/silent.ts'

const STRATEGY = 'strategy-engine'
const DESK = { kind: 'desk', key: 'desk' }
const START_MS = Date.UTC(2026, 10, 21, 10)
/** of the lane, by the desk's own count */
const turns: number[] = []
let database: TestDatabase
let reads: Readings

/** Eight thresholds; thousands of other turns lie between, and twice the desk had left memory. */
beforeAll(async () => {
  database = await freshDatabase()
  const store = laneStore({ connectionString: database.roleUrls[STRATEGY] ?? '', applicationName: 'test', log: silent })
  await store.lanes(STRATEGY, TEST_LANES)
  const lane = await takeFree(store, STRATEGY, 2)
  const recorded = new Recorded(lane, await definitionOf(STRATEGY, {}), DESK, START_MS)
  for (let n = 1; n <= 8; n++) {
    const order = { type: 'order.threshold', by: 'ada', reason: 'test', order_id: String(n), threshold_bps: 200 + n }
    turns[n] = await recorded.turn(order, { loaded: n === 3 || n === 6 })
    await recorded.others(n === 4 ? 7 : 2_600)
  }
  await store.deregister(lane.process)
  await store.close()
  reads = readings({ database: database.roleUrls['operator'], kafka: undefined })
})
afterAll(async () => {
  await reads.close()
  await database.drop()
})

const at = async (n: number) => (await reads.past({ service: STRATEGY, ...DESK }, { at: n }))?.found

test('the state after any turn is had from the journal, whatever lies between', async () => {
  for (let n = 1; n <= 8; n++)
    expect(await at(n)).toMatchObject({
      outcome: 'at',
      actor: {
        sequence: n,
        state: 'open',
        context: { ordered: { threshold_bps: 200 + n } },
        turn: { turn: turns[n], event: { order_id: String(n) }, code: 'same', difference: null },
      },
    })
  expect(await at(9)).toEqual({ outcome: 'not yet', sequence: 8 })
  expect(await reads.past({ kind: 'desk', key: 'none' }, { at: 1 })).toBeNull()
})

test('the state at a time is that after the last turn before it', async () => {
  const past = await reads.past(DESK, { until: START_MS + 2_500 })
  expect(past).toMatchObject({ service: STRATEGY, lane: 2, found: { outcome: 'at', actor: { sequence: 2 } } })
})

test('the diff between two turns names what changed and the turns that changed it', async () => {
  expect((await reads.past(DESK, { from: 2, to: 5 }))?.found).toMatchObject({
    outcome: 'diff',
    from: { sequence: 2 },
    to: { sequence: 5 },
    changes: [{ path: 'context.ordered.threshold_bps', before: 202, after: 205 }],
    turns: [{ sequence: 3 }, { sequence: 4 }, { sequence: 5 }],
  })
})

test('a replay of what the code at hand wrote agrees, from the first turn or from the middle', async () => {
  const told: string[] = []
  const { lanes } = await reads.replay(STRATEGY, { lane: 2 }, (line) => told.push(line))
  expect(lanes).toMatchObject([
    { lane: 2, from: 1, played: 8, other_code: 0, compared: 1, difference: null, skipped: { state_not_known: 0, not_loadable: 0 } },
  ])
  expect(lanes[0]?.turns).toBe(lanes[0]?.to)
  const middle = await reads.replay(STRATEGY, { lane: 2, from: turns[2]!, to: turns[4]! }, () => {})
  expect(middle.lanes).toMatchObject([
    { from: turns[2], to: turns[4], played: 2, compared: 0, difference: null, skipped: { state_not_known: 1 } },
  ])
  expect((await reads.replay(STRATEGY, {}, () => {})).lanes).toHaveLength(TEST_LANES)
  await expect(reads.replay(STRATEGY, { lane: 9 }, () => {})).rejects.toMatchObject({ code: 'NO_SUCH_LANE' })
  await expect(reads.replay('strategy', {}, () => {})).rejects.toMatchObject({ code: 'NO_SUCH_SERVICE' })
})

test('a replay that comes to another state than the one stored says so, though nothing was asked for in it', async () => {
  const changed = (from: string, to: string) =>
    database.admin((client) =>
      client.query(
        `UPDATE unrip.actor SET body = convert_to(replace(convert_from(body, 'UTF8'), $1, $2), 'UTF8') WHERE service = $3 AND kind = 'desk'`,
        [from, to, STRATEGY],
      ),
    )
  await changed('208', '209')
  const { lanes } = await reads.replay(STRATEGY, { lane: 2 }, () => {})
  expect(lanes[0]).toMatchObject({
    compared: 1,
    difference: {
      turn: turns[8],
      actor: 'desk/desk',
      sequence: 8,
      what: 'state',
      recorded: expect.stringContaining('209'),
      computed: expect.stringContaining('208'),
    },
  })
  await changed('209', '208')
})

test('a replay stops at the first turn whose outputs are not those recorded', async () => {
  await database.admin((client) =>
    client.query(`UPDATE unrip.journal SET hashes = array_fill('\\xff'::bytea, ARRAY[turns]) WHERE service = $1 AND turn IN ($2, $3)`, [
      STRATEGY,
      turns[5],
      turns[7],
    ]),
  )
  const { lanes } = await reads.replay(STRATEGY, { lane: 2 }, () => {})
  expect(lanes[0]).toMatchObject({
    to: turns[5],
    difference: {
      turn: turns[5],
      actor: 'desk/desk',
      sequence: 5,
      event: { order_id: '5' },
      code: 'same',
      what: 'outputs',
      recorded: 'ff',
      computed: '',
    },
  })
})

test('days are dropped by the owner of the tables, and by nobody else', async () => {
  await database.admin((client) =>
    client.query(`CREATE TABLE unrip.journal_20200101 PARTITION OF unrip.journal FOR VALUES FROM ('20200101') TO ('20200102')`),
  )
  await expect(dropOldDays({ database: database.roleUrls[STRATEGY], kafka: undefined }, 14)).rejects.toMatchObject({ code: 'NOT_OURS' })
  await expect(dropOldDays({ database: undefined, kafka: undefined }, 14)).rejects.toMatchObject({ code: 'NO_DATABASE' })
  expect(await dropOldDays({ database: database.adminUrl, kafka: undefined }, 14)).toEqual(['unrip.journal_20200101'])
})

test('where the days before are gone the history goes back to the first snapshot that is kept', async () => {
  await database.admin((client) => client.query('DELETE FROM unrip.journal WHERE service = $1 AND turn < $2', [STRATEGY, turns[4]]))
  expect(await at(6)).toMatchObject({ outcome: 'at', actor: { sequence: 6 } })
  expect(await at(5)).toMatchObject({ outcome: 'at', actor: { sequence: 5, context: { ordered: { threshold_bps: 205 } } } })
  expect(await at(4)).toEqual({ outcome: 'not kept', from: 5 })
  const { lanes } = await reads.replay(STRATEGY, { lane: 2 }, () => {})
  expect(lanes[0]).toMatchObject({ from: turns[4], skipped: { state_not_known: 2 } })
})
