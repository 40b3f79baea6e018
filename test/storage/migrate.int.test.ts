import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { topicNames } from '#machines/contracts/topics.ts'
import { historyTables } from '#storage/history/rows.ts'
import { dropDays } from '#storage/days.ts'
import { laneStore } from '#storage/lane-store.ts'
import { migrate } from '#storage/migrate.ts'
import { freshDatabase, TEST_LANES, withClient } from './database.ts'
import type { TestDatabase } from './database.ts'
import { actorRow, journalRow, takeFree } from './lane.ts'
import { silent } from './silent.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.drop())

describe('migrating', () => {
  test('again changes nothing but the passwords, also from two processes at once', async () => {
    const again = (): ReturnType<typeof migrate> => migrate({ adminUrl: database.adminUrl, lanes: TEST_LANES, log: silent })
    const [, last] = [await again(), await Promise.all([again(), again()])]
    expect(Object.keys(last[0].roleUrls)).toContain('operator')
    const given = await migrate({ adminUrl: database.adminUrl, lanes: TEST_LANES, log: silent, passwords: { operator: 'p:w@d/1' } })
    const who = await withClient(given.roleUrls['operator'] ?? '', async (client) => (await client.query('SELECT current_user AS me')).rows)
    expect(who).toEqual([{ me: 'unrip_operator' }])
    Object.assign(database, given)
  })

  test('with another number of lanes is refused', async () => {
    await expect(migrate({ adminUrl: database.adminUrl, lanes: TEST_LANES + 1, log: silent })).rejects.toMatchObject({
      code: 'broken_contract',
    })
  })

  test('leaves every function of the schema with a fixed search path where it runs as its owner, and closed to the public', async () => {
    const rows = await database.admin(async (client) => {
      const { rows: functions } = await client.query<{ name: string; config: string[] | null; definer: boolean; open: boolean }>(
        `SELECT proname AS name, proconfig AS config, prosecdef AS definer, has_function_privilege('public', p.oid, 'EXECUTE') AS open
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'unrip'`,
      )
      return functions
    })
    expect(rows.length).toBeGreaterThan(20)
    expect(rows.filter(({ open }) => open)).toEqual([])
    expect(
      rows.filter(({ definer, config }) => definer && !config?.some((setting) => setting.startsWith('search_path=unrip, pg_temp'))),
    ).toEqual([])
  })

  test('has a history table for every topic, with the columns that the table of topics says', async () => {
    expect(Object.keys(historyTables).toSorted()).toEqual(topicNames.filter((topic) => topic !== 'ops.lane_state').toSorted())
    const generated = await database.admin(async (client) => {
      const { rows } = await client.query<{ table_name: string; columns: string[] }>(
        `SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) AS columns FROM information_schema.columns
         WHERE table_schema = 'public' AND is_generated = 'ALWAYS' GROUP BY table_name`,
      )
      return new Map(rows.map(({ table_name, columns }) => [table_name, columns]))
    })
    for (const { table, columns } of Object.values(historyTables)) expect([table, generated.get(table)]).toEqual([table, [...columns]])
  })
})

describe('the days ahead', () => {
  test('are there for a week, for all that grows', async () => {
    const counts = await database.admin(async (client) => {
      const { rows } = await client.query<{ parent: string; days: string }>(
        `SELECT inhparent::regclass::text AS parent, count(*)::text AS days FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid
         WHERE c.relkind = 'r' GROUP BY 1`,
      )
      return rows
    })
    expect(counts).toHaveLength(3 + Object.keys(historyTables).length)
    expect(counts.every(({ days }) => days === '9')).toBe(true)
  })

  test('are made again by any service, and a commit without its day is told to come again', async () => {
    const connectionString = database.roleUrls['strategy-engine'] ?? ''
    const store = laneStore({ connectionString, applicationName: 'test', log: silent })
    await store.lanes('strategy-engine', TEST_LANES)
    const lane = await takeFree(store, 'strategy-engine', 0)
    const { rows } = await database.admin((client) =>
      client.query<{ day: string }>(`SELECT 'unrip.journal_' || to_char(unrip.today(), 'YYYYMMDD') AS day`),
    )
    await database.admin((client) => client.query(`DROP TABLE ${rows[0]?.day}`))
    const batch = lane.next({ journal: [journalRow('a')] })
    await expect(lane.commit(batch)).rejects.toMatchObject({ code: 'unavailable', sqlState: '23514' })
    await withClient(connectionString, (client) => client.query('SELECT unrip.ensure_days()'))
    expect(await lane.commit(batch)).toBe('done')
    await store.deregister(lane.process)
    await store.close()
  })

  test('that are over go, but for those with something not published or not resolved', async () => {
    await database.admin(async (client) => {
      for (const parent of ['journal', 'outbox', 'parked'])
        for (const day of ['20200101', '20200102'])
          await client.query(
            `CREATE TABLE unrip.${parent}_${day} PARTITION OF unrip.${parent} FOR VALUES FROM ('${day}') TO ('${Number(day) + 1}')`,
          )
      await client.query(
        `INSERT INTO unrip.outbox (day, service, lane, batch, incarnation, code_hash, blob) VALUES ('20200102', 'strategy-engine', 0, 999, uuidv7(), '', 'x')`,
      )
    })
    const dropped = await dropDays({ adminUrl: database.adminUrl, keepDays: 2, log: silent })
    expect(dropped.toSorted()).toEqual(
      ['journal_20200101', 'journal_20200102', 'outbox_20200101', 'parked_20200101', 'parked_20200102'].map((name) => `unrip.${name}`),
    )
  })

  test('that a run cut short has left half detached, or detached and not dropped, go with the next', async () => {
    await database.admin(async (client) => {
      for (const day of ['20200103', '20200104'])
        await client.query(
          `CREATE TABLE unrip.journal_${day} PARTITION OF unrip.journal FOR VALUES FROM ('${day}') TO ('${Number(day) + 1}')`,
        )
      await client.query('ALTER TABLE unrip.journal DETACH PARTITION unrip.journal_20200104')
      await database.admin(async (reader) => {
        await reader.query('BEGIN; SELECT count(*) FROM unrip.journal')
        await client.query('SET statement_timeout = 300')
        await expect(client.query('ALTER TABLE unrip.journal DETACH PARTITION unrip.journal_20200103 CONCURRENTLY')).rejects.toMatchObject({
          code: '57014',
        })
        await reader.query('ROLLBACK')
      })
    })
    const drop = () => dropDays({ adminUrl: database.adminUrl, keepDays: 2, parents: ['unrip.journal'], log: silent })
    expect((await drop()).toSorted()).toEqual(['unrip.journal_20200103', 'unrip.journal_20200104'])
    expect(await drop()).toEqual([])
  })
})

describe('sweeping', () => {
  test('removes what ended before a time, and nothing that lives', async () => {
    const store = laneStore({ connectionString: database.roleUrls['trade-executor'] ?? '', applicationName: 'test', log: silent })
    await store.lanes('trade-executor', TEST_LANES)
    const { id } = await store.insertOrder('trade-executor', {
      by: 'ada',
      reason: 'test',
      body: { order: 'arm' },
      expiresInMs: null,
      lane: 1,
    })
    const lane = await takeFree(store, 'trade-executor', 1)
    await lane.commitNext({
      actors: [actorRow('old', { status: 'done', endedAtMs: 10 }), actorRow('young', { status: 'done', endedAtMs: 90 }), actorRow('alive')],
      orders: [{ id, answer: {} }],
    })
    expect(await store.sweep('trade-executor', 50, 100)).toBe(1)
    expect(await store.sweep('trade-executor', 50, 100)).toBe(0)
    const left = await store.load(
      'trade-executor',
      1,
      ['old', 'young', 'alive'].map((key) => ({ kind: 'counter', key })),
    )
    expect(left.map(({ key }) => key).toSorted()).toEqual(['alive', 'young'])
    expect(await store.sweep('trade-executor', Date.now() + 3_600_000, 100)).toBe(2)
    expect(await store.orderAnswers('trade-executor', id)).toEqual([])
    await store.deregister(lane.process)
    await store.close()
  })
})
