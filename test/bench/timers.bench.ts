/**
 * `npm run bench -- timers`: how late timers are at 5,000 due a second, a million armed in one lane. From due to committed; and how soon
 * a host is ready, and the same with a tenth of the actors. BENCH_ACTORS, BENCH_RATE, BENCH_SECONDS.
 */
import { setTimeout as after } from 'node:timers/promises'
import { loadNow, progress, say, withDatabase } from './bench-database.ts'
import type { BenchDatabase } from './bench-database.ts'
import { cpuOfTree, quantile } from './cpu.ts'
import { hostChild } from './host-child.ts'
import { storeWaiters } from './waiters.ts'
import type { Waiters } from './waiters.ts'

const ACTORS = Number(process.env['BENCH_ACTORS'] ?? 1_000_000)
const RATE = Number(process.env['BENCH_RATE'] ?? 5_000)
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 15)
/** Compilers and caches; not counted. */
const WARM_SECONDS = 3
const CACHE_BYTES = 32 * 1024 * 1024
/** For filling: a second for every so many rows, and more. */
const STORED_PER_SECOND = 15_000

/**
 * The first change of a page after a checkpoint is logged as the whole page. Timers that are neighbours in time are spread over the
 * whole table: in a large one nearly every timer meets pages that nobody has changed yet, and that is what it costs more.
 */
const wholePages = (admin: BenchDatabase['admin']): Promise<number> =>
  admin(async (db) => Number((await db.query('SELECT wal_fpi FROM pg_stat_wal')).rows[0].wal_fpi))

const run = async ({ url, postgres, admin }: BenchDatabase, actors: number): Promise<number> => {
  const fired = Math.min(actors, RATE * (SECONDS + WARM_SECONDS))
  const waiters: Waiters = {
    actors,
    fromMs: Date.now() + 5_000 + Math.ceil(actors / STORED_PER_SECOND) * 1_000,
    perSecond: RATE,
    soon: fired,
  }
  progress(`storing ${actors} actors and timers`)
  await admin((db) => storeWaiters(db, waiters))
  const host = hostChild()
  const ready = await host.ask({ do: 'start', url, cacheBytes: CACHE_BYTES })
  const early = waiters.fromMs - Date.now()
  if (early < 0) progress(`stored ${(-early / 1_000).toFixed(1)} s too slowly: what was due by then fires at once`)
  await after(Math.max(0, early))
  const before = { host: cpuOfTree(host.pid), postgres: cpuOfTree(postgres.pid()), pages: await wholePages(admin) }
  let report = ready
  while (report.fired < fired) {
    await after(1_000)
    report = await host.ask({ do: 'report', late: false })
  }
  const [hostMicros, postgresMicros] = [cpuOfTree(host.pid) - before.host, cpuOfTree(postgres.pid()) - before.postgres].map(
    (seconds) => (seconds * 1e6) / fired,
  )
  const pages = ((await wholePages(admin)) - before.pages) / fired
  const counted = (await host.ask({ do: 'report', late: true })).late.slice(WARM_SECONDS * RATE)
  const resident = Math.max(ready.residentBytes, report.residentBytes) / 2 ** 20
  await host.kill()
  const successor = hostChild()
  const again = await successor.ask({ do: 'start', url, cacheBytes: CACHE_BYTES })
  await successor.stop()
  say(`${actors} stored actors and armed timers, ${loadNow()}`)
  say(`  ready        ${ready.readyMs.toFixed(0)} ms for the lane, ${ready.upMs.toFixed(0)} ms from the start of the process (goal 2000)`)
  say(
    `  late         p50 ${quantile(counted, 0.5)} ms, p99 ${quantile(counted, 0.99)} ms (goal 50), most ${quantile(counted, 1)} ms; ` +
      `${fired} fired at ${RATE} a second, ${report.fired - fired} twice`,
  )
  say(
    `  CPU a timer  ${hostMicros?.toFixed(0)} us of the host, ${postgresMicros?.toFixed(0)} us of PostgreSQL; ${pages.toFixed(2)} whole pages logged each`,
  )
  say(
    `  memory       ${resident.toFixed(0)} MiB resident, ${report.timersInMemory} timers in it, ${(report.cache.bytes / 2 ** 20).toFixed(1)} MiB cached`,
  )
  say(`  killed       its successor had the lane ${again.upMs.toFixed(0)} ms after it was started; the lease is 1500`)
  return ready.readyMs
}

say(`timers: ${loadNow()} at the start`)
const readyMs: number[] = []
for (const actors of [ACTORS / 10, ACTORS]) await withDatabase('timers', async (database) => void readyMs.push(await run(database, actors)))
say(
  `  ten times the actors: ready in ${((readyMs[1] ?? 0) / (readyMs[0] ?? 1)).toFixed(1)} times the time; a timer costs PostgreSQL more by the pages above`,
)
