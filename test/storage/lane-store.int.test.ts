import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Client } from 'pg'
import { laneStore } from '#storage/lane-store.ts'
import { tcpProxy } from '#test/tcp-proxy.ts'
import type { TcpProxy } from '#test/tcp-proxy.ts'
import { freshDatabase, withClient } from './database.ts'
import type { TestDatabase } from './database.ts'
import { actorRow, historyRow, journalRow, registered, takeFree } from './lane.ts'
import type { OwnedLane } from './lane.ts'
import { silent } from './silent.ts'

/** What only a real server has: locks, roles, connections that break. The rest is the contract suite. */
const SERVICE = 'strategy-engine'
type Store = ReturnType<typeof laneStore>

let database: TestDatabase
let proxy: TcpProxy
const stores: Store[] = []
const owned: OwnedLane[] = []

beforeAll(async () => {
  database = await freshDatabase()
  const { hostname: host, port } = new URL(database.adminUrl)
  proxy = await tcpProxy({ host, port: Number(port) })
  await storeOf().lanes(SERVICE, 4)
})
afterEach(async () => {
  proxy.toClient = () => 'pass'
  proxy.toServer = () => 'pass'
  proxy.accept()
  const direct = storeOf()
  for (const { process } of owned.splice(0)) await direct.deregister(process)
  for (const store of stores.splice(0)) await store.close()
})
afterAll(async () => {
  await proxy.close()
  await database.drop()
})

const storeOf = (service = SERVICE, url = database.roleUrls[service] ?? ''): Store => {
  const store = laneStore({ connectionString: url, applicationName: `test ${service}`, log: silent, poolSize: 2 })
  stores.push(store)
  return store
}
const proxied = (): Store => {
  const url = new URL(database.roleUrls[SERVICE] ?? '')
  url.port = String(proxy.port)
  return storeOf(SERVICE, url.href)
}
const own = async (store: Store, lane: number): Promise<OwnedLane> => {
  const lease = await takeFree(store, SERVICE, lane)
  owned.push(lease)
  return lease
}
/** Runs `work` while somebody else holds the lane's row, as a commit in flight does. */
const whileHeld = <R>(lane: number, work: (holder: Client) => Promise<R>): Promise<R> =>
  database.admin(async (holder) => {
    await holder.query('BEGIN')
    await holder.query('SELECT FROM unrip.lane WHERE service = $1 AND lane = $2 FOR UPDATE', [SERVICE, lane])
    return work(holder)
  })
/** Resolves when `count` sessions wait for a lock; the answer is their backends. */
const waiting = async (holder: Client, count: number): Promise<number[]> => {
  for (;;) {
    const { rows } = await holder.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    )
    if (rows.length >= count) return rows.map(({ pid }) => pid)
  }
}

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'no error',
    (error: { code?: unknown }) => error.code,
  )

describe('a lane whose commit is in flight', () => {
  test('is not taken as a free one, which never waits', async () => {
    const store = storeOf()
    const process = await registered(store, SERVICE)
    expect(await whileHeld(0, () => store.take(process, SERVICE, 0, 'free', 10))).toBeNull()
    await store.deregister(process)
  })

  test('is taken from its expired owner once that commit is through, which the heir then recovers', async () => {
    await database.admin((client) => client.query(`SELECT pg_sleep_until(pg_postmaster_start_time() + interval '4 s')`))
    const store = storeOf()
    const zombie = await own(store, 0)
    const heir = await registered(store, SERVICE, 4_000)
    const [commit, take] = await whileHeld(0, async (holder) => {
      const committing = zombie.commitNext({ journal: [journalRow('late')], actors: [actorRow('late')] })
      await waiting(holder, 1)
      await store.renew(zombie.process, 'live', 1)
      const taking = store.take(heir, SERVICE, 0, 'expired', 10)
      await waiting(holder, 2)
      await holder.query('COMMIT')
      return Promise.all([committing, taking])
    })
    expect(take?.lane).toMatchObject({ epoch: zombie.epoch + 1, batch: commit.batch, turn: commit.turn })
    await expect(zombie.commitNext()).rejects.toMatchObject({ code: 'stale_epoch' })
    await store.deregister(heir)
  })
})

describe('a connection that breaks', () => {
  test('before the commit has arrived leaves it unknown, and the identical batch is done', async () => {
    const lane = await own(proxied(), 1)
    const batch = lane.next({ journal: [journalRow('a')] })
    proxy.toServer = () => 'cut'
    await expect(lane.commit(batch)).rejects.toMatchObject({ code: 'unknown' })
    proxy.toServer = () => 'pass'
    expect(await lane.commit(batch)).toBe('done')
  })

  test('after the commit is through leaves it unknown, and the identical batch is already there', async () => {
    const lane = await own(proxied(), 1)
    const batch = lane.next({ journal: [journalRow('a')] })
    await lane.store.load(SERVICE, 1, [{ kind: 'counter', key: 'a' }])
    proxy.toClient = () => 'cut'
    await expect(lane.commit(batch)).rejects.toMatchObject({ code: 'unknown' })
    proxy.toClient = () => 'pass'
    expect(await lane.commit(batch)).toBe('again')
  })

  test('because the server ends the session leaves it unknown', async () => {
    const lane = await own(storeOf(), 1)
    const batch = lane.next({ journal: [journalRow('a')] })
    await whileHeld(1, async (holder) => {
      const refused = codeOf(lane.commit(batch))
      const [pid] = await waiting(holder, 1)
      await holder.query('SELECT pg_terminate_backend($1)', [pid])
      expect(await refused).toBe('unknown')
    })
    expect(await lane.commit(batch)).toBe('done')
  })

  test('and cannot be made again says that nothing was written', async () => {
    const lane = await own(proxied(), 1)
    proxy.refuse()
    const batch = lane.next()
    // A connection that has not noticed yet says "unknown", which promises less; then none is left.
    const codes: unknown[] = []
    for (let attempt = 0; attempt < 4; attempt++)
      codes.push(await codeOf(lane.commit(batch)), await codeOf(lane.store.renew(lane.process, 'live', 1_000)))
    expect(codes.filter((code) => code !== 'unknown' && code !== 'unavailable')).toEqual([])
    expect(codes.slice(-2)).toEqual(['unavailable', 'unavailable'])
    proxy.accept()
    expect(await lane.commit(batch)).toBe('done')
    await lane.store.renew(lane.process, 'live', 60_000)
  })

  test('while orders are listened to comes back, and calls because one may have been missed', async () => {
    const store = proxied()
    let calls = Promise.withResolvers<string>()
    const stop = await store.onOrder(SERVICE, () => calls.resolve('called'))
    proxy.cutAll()
    expect(await calls.promise).toBe('called')
    calls = Promise.withResolvers<string>()
    await storeOf().insertOrder(SERVICE, { by: 'ada', reason: 'test', body: { order: 'pause' }, expiresInMs: null })
    expect(await calls.promise).toBe('called')
    await stop()
  })
})

describe('parked events', () => {
  test('are let go five thousand at once beside ten thousand that stay, in a time that does not multiply the two', async () => {
    const owner = await own(storeOf(), 3)
    const first = owner.next().turn + 1
    const rowsFrom = (from: number) =>
      Array.from({ length: 5_000 }, (_, n) => ({
        turn: from + n,
        kind: 'k',
        key: `${n}`,
        cause: 'c',
        origin: 'o',
        event: Buffer.from('{}'),
      }))
    for (let at = 0; at < 3; at++) {
      const parked = rowsFrom(first + at * 5_000)
      await owner.commitNext({ parked, journal: parked.map(({ key }) => journalRow(key, { outcome: 'p' })) })
    }
    const begun = performance.now()
    const letters = rowsFrom(first).map(({ turn }) => ({ turn, waits: true, cause: '', ordered: 'by ada', done: '' }))
    await owner.commitNext({ letters })
    // About 0.1 s; as a product of the two it was above the 30 s that a statement may take.
    expect(performance.now() - begun).toBeLessThan(10_000)
  }, 60_000)
})

describe('orders', () => {
  test('are seen although a later id was committed and answered first', async () => {
    const store = storeOf()
    const lane = await own(store, 2)
    await withClient(database.roleUrls[SERVICE] ?? '', async (slow) => {
      await slow.query('BEGIN')
      const inserted = await slow.query<{ id: string }>(
        `SELECT unrip.insert_order($1, 'ada', 'slow', '{"order":"disarm"}', NULL, 2) AS id`,
        [SERVICE],
      )
      const earlier = Number(inserted.rows[0]?.id)
      const later = await store.insertOrder(SERVICE, { by: 'bob', reason: 'quick', body: { order: 'arm' }, expiresInMs: null, lane: 2 })
      expect(later.id).toBeGreaterThan(earlier)
      const answered = (await store.orders(SERVICE, 2)).filter(({ reason }) => reason === 'quick')
      await lane.commitNext({ orders: answered.map(({ id }) => ({ id, answer: {} })) })
      await slow.query('COMMIT')
      expect((await store.orders(SERVICE, 2)).filter(({ reason }) => reason === 'slow')).toMatchObject([{ id: earlier }])
    })
  })
})

describe('a role', () => {
  test('of another service is refused in every call that names the service', async () => {
    const lane = await own(storeOf(), 3)
    const stranger = storeOf('trade-executor')
    const refused = { code: 'broken_contract', sqlState: '42501' }
    await expect(stranger.commit(SERVICE, lane.next())).rejects.toMatchObject(refused)
    await expect(stranger.recover(SERVICE, 3, lane.epoch, 10)).rejects.toMatchObject(refused)
    await expect(stranger.take(lane.process, SERVICE, 3, 'expired', 10)).rejects.toMatchObject(refused)
    await expect(stranger.release(SERVICE, 3, lane.epoch)).rejects.toMatchObject(refused)
    await expect(stranger.load(SERVICE, 3, [{ kind: 'k', key: 'k' }])).rejects.toMatchObject(refused)
    await expect(stranger.orders(SERVICE, 3)).rejects.toMatchObject(refused)
    await expect(stranger.insertOrder(SERVICE, { by: 'x', reason: 'x', body: { order: 'arm' }, expiresInMs: null })).rejects.toMatchObject(
      refused,
    )
    await expect(stranger.renew(lane.process, 'draining', 1)).rejects.toMatchObject(refused)
    await expect(stranger.deregister(lane.process)).rejects.toMatchObject(refused)
    await expect(stranger.lanes('inventory-sync', 1)).rejects.toMatchObject(refused)
    await lane.commitNext()
  })

  test.each(['lane', 'actor', 'journal', 'outbox', 'effect', 'operator_order'])(
    'of a service has no right on the table %s',
    async (table) => {
      await withClient(database.roleUrls[SERVICE] ?? '', async (client) => {
        await expect(client.query(`SELECT FROM unrip.${table}`)).rejects.toMatchObject({ code: '42501' })
        await expect(client.query(`DELETE FROM unrip.${table}`)).rejects.toMatchObject({ code: '42501' })
      })
    },
  )

  test('of the history writer inserts and reads history, and changes nothing', async () => {
    const writer = storeOf('history-writer')
    await writer.lanes('history-writer', 4)
    const lane = await takeFree(writer, 'history-writer', 0)
    await lane.commitNext({ history: [historyRow('ops.alert_event', 'alert-1', { alert_id: 'a1', pair: 'BTC/EURe' })] })
    await writer.deregister(lane.process)
    await withClient(database.roleUrls['history-writer'] ?? '', async (client) => {
      const { rows } = await client.query('SELECT alert_id, pair, topic, source_lane, raw FROM alert_events')
      expect(rows).toMatchObject([
        { alert_id: 'a1', pair: 'BTC/EURe', topic: 'ops.alert_event', source_lane: 'strategy-engine/0', raw: { event_id: 'alert-1' } },
      ])
      for (const change of [
        'UPDATE alert_events SET venue = $$x$$',
        'DELETE FROM alert_events',
        'TRUNCATE alert_events',
        'DROP TABLE alert_events',
      ])
        await expect(client.query(change)).rejects.toMatchObject({ code: '42501' })
    })
  })

  test('of the operator only looks, also where it says that its transactions write', async () => {
    await withClient(database.roleUrls['operator'] ?? '', async (client) => {
      await client.query('SET default_transaction_read_only = off')
      for (const call of [
        `unrip.ensure_days(7)`,
        `unrip.sweep('${SERVICE}', 1, 1)`,
        `unrip.insert_order('${SERVICE}', 'me', 'x', '{}', NULL, NULL)`,
      ])
        await expect(client.query(`SELECT ${call}`), call).rejects.toMatchObject({ code: '42501' })
    })
  })

  test('of another service cannot write history', async () => {
    const lane = await own(storeOf(), 3)
    const rows = [historyRow('ops.alert_event', 'alert-2', { alert_id: 'a2' })]
    await expect(lane.commitNext({ history: rows })).rejects.toMatchObject({ code: 'broken_contract', sqlState: '42501' })
  })
})

describe('storage that went back', () => {
  test('is noticed at the next take: every lane of every service has a new incarnation and a far higher epoch', async () => {
    const store = storeOf()
    const other = storeOf('trade-executor')
    await other.lanes('trade-executor', 4)
    const before = await own(store, 0)
    const bystander = await takeFree(other, 'trade-executor', 1)
    await database.admin((client) => client.query(`UPDATE unrip.fleet SET timeline = '00000000'`))
    const after = await own(store, 1)
    expect(after.epoch).toBeGreaterThan(before.epoch + 999)
    await expect(before.commitNext()).rejects.toMatchObject({ code: 'stale_epoch' })
    await expect(bystander.commitNext()).rejects.toMatchObject({ code: 'stale_epoch' })
    const again = await own(store, 0)
    expect(again.recovered.lane.incarnation > before.recovered.lane.incarnation).toBe(true)
    await other.deregister(bystander.process)
  })

  test('and that a host found out draws new incarnations once, however many hosts tell of it', async () => {
    const store = storeOf()
    const before = await own(store, 0)
    const { incarnation } = before.recovered.lane
    await store.reincarnate(SERVICE, 0, incarnation)
    await store.reincarnate(SERVICE, 0, incarnation)
    const after = await own(store, 0)
    expect(after.recovered.lane.incarnation > incarnation).toBe(true)
    expect(after.epoch).toBeGreaterThan(before.epoch + 999)
  })

  test('twice in a row, the second time with what the first had led to: no epoch is given out twice', async () => {
    const store = storeOf()
    await own(store, 0)
    const stored = async (work: string) => {
      const { rows } = await database.admin((client) => client.query<{ lane: object }>(work, [SERVICE]))
      return rows[0]?.lane
    }
    const forgotten = await stored('SELECT to_jsonb(l) AS lane FROM unrip.lane l WHERE service = $1 AND lane = 0')
    await database.admin((client) => client.query(`UPDATE unrip.fleet SET timeline = '00000000'`))
    const first = await own(store, 0)
    await database.admin((client) =>
      client.query(
        'UPDATE unrip.lane l SET (owner, epoch, incarnation, batch) = (SELECT r.owner, r.epoch, r.incarnation, r.batch FROM jsonb_populate_record(l, $1) r) WHERE service = $2 AND lane = 0',
        [forgotten, SERVICE],
      ),
    )
    await database.admin((client) => client.query(`UPDATE unrip.fleet SET timeline = '00000000'`))
    const second = await own(store, 0)
    expect(second.epoch).toBeGreaterThan(first.epoch)
    await expect(first.commitNext()).rejects.toMatchObject({ code: 'stale_epoch' })
  })
})
