/**
 * `npm run bench -- takeover`: from kill -9 of a lane's owner to the first turn that its successor has committed. With 10,000 and with
 * 100,000 actors and armed timers; by a process that stands by, and by one that is started at that moment. BENCH_KILLS.
 */
import { setTimeout as after } from 'node:timers/promises'
import { loadNow, progress, say, withDatabase } from './bench-database.ts'
import type { BenchDatabase } from './bench-database.ts'
import { spread } from './contest.ts'
import { hostChild } from './host-child.ts'
import type { HostChild } from './host-child.ts'
import { storeWaiters } from './waiters.ts'

const KILLS = Number(process.env['BENCH_KILLS'] ?? 5)
const CACHE_BYTES = 32 * 1024 * 1024
/** Timers due a second, so that there is always something to turn. */
const RATE = 200
const GOAL_MS = 3_000

const processes = ({ admin }: BenchDatabase): Promise<number> =>
  admin(async (db) => {
    const { rows } = await db.query<{ n: number }>('SELECT count(*)::int AS n FROM unrip.process WHERE expires_at > clock_timestamp()')
    return rows[0]?.n ?? 0
  })

/** The owner works; it is killed; the answer is who has the lane now, and after how long it had committed a turn. */
const kill = async (
  database: BenchDatabase,
  owner: HostChild,
  how: 'standby' | 'started',
): Promise<{ successor: HostChild; ms: number }> => {
  const start = { do: 'start', url: database.url, cacheBytes: CACHE_BYTES } as const
  const standby = how === 'standby' ? hostChild() : null
  const taken = standby?.ask(start)
  if (standby) while ((await processes(database)) < 2) await after(50)
  // Somewhere between two renewals.
  await after(500 + Math.random() * 500)
  const killedMs = Date.now()
  await owner.kill()
  const successor = standby ?? hostChild()
  await (taken ?? successor.ask(start))
  for (;;) {
    const { firstTurnMs } = await successor.ask({ do: 'report', late: false })
    if (firstTurnMs !== null) return { successor, ms: firstTurnMs - killedMs }
    await after(5)
  }
}

const run = async (database: BenchDatabase, actors: number): Promise<void> => {
  progress(`storing ${actors} actors and timers`)
  await database.admin((db) => storeWaiters(db, { actors, fromMs: Date.now(), perSecond: RATE, soon: actors }))
  let owner = hostChild()
  await owner.ask({ do: 'start', url: database.url, cacheBytes: CACHE_BYTES })
  say(`${actors} actors, ${loadNow()}`)
  for (const how of ['standby', 'started'] as const) {
    const took: number[] = []
    for (let n = 0; n < KILLS; n++) {
      progress(`kill ${n + 1} of ${KILLS}, ${how}`)
      const { successor, ms } = await kill(database, owner, how)
      owner = successor
      took.push(ms)
    }
    say(
      `  ${how === 'standby' ? 'a process that stands by  ' : 'one started at that moment'}  ${spread(took)} ms to the first turn (goal ${GOAL_MS}, the lease is 1500)`,
    )
  }
  await owner.stop()
}

say(`takeover: ${loadNow()} at the start; ${KILLS} kills each, median (least to most)`)
for (const actors of [10_000, 100_000]) await withDatabase('takeover', (database) => run(database, actors))
