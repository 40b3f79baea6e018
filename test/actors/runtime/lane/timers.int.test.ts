import { setTimeout as after } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hostChild } from '#test/bench/host-child.ts'
import type { HostReport } from '#test/bench/host-process.ts'
import { dueOf, KIND, storeWaiters } from '#test/bench/waiters.ts'
import { freshDatabase } from '#test/storage/database.ts'
import type { TestDatabase } from '#test/storage/database.ts'

const ACTORS = 20_000
/** A tenth of what they need, and more than a batch does. */
const CACHE_BYTES = 2 * 1024 * 1024
/** A tenth of what is due within a second. */
const WINDOW = 1_000
const SERVICE = 'market-reference-ingest'

let database: TestDatabase
beforeAll(async () => (database = await freshDatabase()))
afterAll(() => database.drop())

/** Asks until it is so; the answer is every report on the way. */
const until = async (host: ReturnType<typeof hostChild>, isSo: (report: HostReport) => boolean): Promise<HostReport[]> => {
  const reports: HostReport[] = []
  for (;;) {
    const report = await host.ask({ do: 'report', late: false })
    reports.push(report)
    if (isSo(report)) return reports
    await after(50)
  }
}

describe('a lane with far more timers and actors than it keeps in memory', () => {
  it('fires each once and in order, over kill -9 and takeover, within the bytes of its cache', async () => {
    const url = database.roleUrls[SERVICE] ?? ''
    await database.admin((db) => storeWaiters(db, { actors: ACTORS, fromMs: Date.now() - 1_000, perSecond: 10_000, soon: ACTORS }))
    const start = { do: 'start', url, cacheBytes: CACHE_BYTES, timerWindow: WINDOW } as const

    const first = hostChild()
    await first.ask(start)
    const before = await until(first, ({ fired }) => fired >= ACTORS / 4)
    await first.kill()
    const second = hostChild()
    await second.ask(start)
    const stored = async (): Promise<number> =>
      database.admin(async (db) => Number((await db.query('SELECT count(*) FROM unrip.timer')).rows[0].count))
    const behind: HostReport[] = []
    while ((await stored()) > 0) behind.push(...(await until(second, () => true)))
    await second.stop()

    for (const { cache, timersInMemory } of [...before, ...behind]) {
      expect(cache.bytes).toBeLessThanOrEqual(CACHE_BYTES)
      expect(timersInMemory).toBeLessThanOrEqual(2 * WINDOW + 1_024)
    }
    const { turns, sequences } = await database.admin(async (db) => ({
      turns: (await db.query<{ key: string }>('SELECT key FROM seen.journal WHERE kind = $1 ORDER BY turn', [KIND])).rows,
      sequences: (await db.query('SELECT sequence::int, count(*)::int FROM unrip.actor WHERE kind = $1 GROUP BY 1', [KIND])).rows,
    }))
    expect(new Set(turns.map(({ key }) => key)).size).toBe(ACTORS)
    expect(turns).toHaveLength(ACTORS)
    expect(sequences).toEqual([{ sequence: 2, count: ACTORS }])
    const dues = turns.map(({ key }) => dueOf(key))
    expect(dues).toEqual(dues.toSorted((a, b) => a - b))
  }, 120_000)
})
