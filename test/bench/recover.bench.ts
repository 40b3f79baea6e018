/**
 * `npm run bench -- recover`: how soon a lane of a million stored actors is ready, and what one costs that is not in memory. How much
 * memory there is after more actors than the cache holds have had a turn, and the same with a tenth of them. BENCH_ACTORS.
 */
import { loadNow, progress, say, withDatabase } from './bench-database.ts'
import type { BenchDatabase } from './bench-database.ts'
import { cpuOfTree } from './cpu.ts'
import { hostChild } from './host-child.ts'
import type { HostReport } from './host-process.ts'
import { storeWaiters } from './waiters.ts'
import type { Waiters } from './waiters.ts'

const ACTORS = Number(process.env['BENCH_ACTORS'] ?? 1_000_000)
const CACHE_BYTES = 16 * 2 ** 20
/** More than twice what the cache holds. */
const TOUCHED = 40_000
const IN_FLIGHT = 2_000

const run = async ({ url, postgres, admin }: BenchDatabase, actors: number): Promise<{ readyMs: number; coldMicros: number }> => {
  const waiters: Waiters = { actors, fromMs: Date.now() + 86_400_000, perSecond: 5_000, soon: 0 }
  progress(`storing ${actors} actors and timers`)
  await admin((db) => storeWaiters(db, waiters))
  const host = hostChild()
  const ready = await host.ask({ do: 'start', url, cacheBytes: CACHE_BYTES })
  const poked = async (from: number, to: number): Promise<{ micros: number; after: HostReport }> => {
    const before = cpuOfTree(host.pid) + cpuOfTree(postgres.pid())
    const after = await host.ask({ do: 'poke', waiters, from, to, inFlight: IN_FLIGHT })
    return { micros: ((cpuOfTree(host.pid) + cpuOfTree(postgres.pid()) - before) * 1e6) / (to - from), after }
  }
  const touched = Math.min(TOUCHED, actors / 2)
  // Compilers first, on actors that are not met again.
  await poked(actors - touched / 4, actors)
  const cold = await poked(0, touched)
  const warm = await poked(touched - 5_000, touched)
  const { hits, misses } = warm.after.cache
  const ratio = (hits - cold.after.cache.hits) / (hits - cold.after.cache.hits + misses - cold.after.cache.misses)
  await host.stop()
  say(`${actors} stored actors and armed timers, ${loadNow()}`)
  say(`  ready    ${ready.readyMs.toFixed(0)} ms for the lane, ${ready.upMs.toFixed(0)} ms from the start of the process (goal 2000)`)
  say(`  at first ${mib(ready.residentBytes)} resident, ${ready.timersInMemory} timers in memory`)
  say(
    `  a turn   ${cold.micros.toFixed(0)} us CPU, host and PostgreSQL, of an actor not in memory; ${warm.micros.toFixed(0)} us of one that is (${(ratio * 100).toFixed(0)} % hits)`,
  )
  say(
    `  later    ${mib(warm.after.residentBytes)} resident, ${mib(warm.after.heapBytes)} of it live, after ${touched * 1.25 + 5_000} turns; ` +
      `${mib(warm.after.cache.bytes)} cached of ${mib(CACHE_BYTES)} allowed`,
  )
  return { readyMs: ready.readyMs, coldMicros: cold.micros }
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

say(`recover: ${loadNow()} at the start`)
const runs: { readyMs: number; coldMicros: number }[] = []
for (const actors of [ACTORS / 10, ACTORS]) await withDatabase('recover', async (database) => void runs.push(await run(database, actors)))
const [tenth, whole] = runs
if (tenth && whole) {
  say(
    `  ten times the actors: ready in ${(whole.readyMs / tenth.readyMs).toFixed(1)} times the time, a cold turn ${(whole.coldMicros / tenth.coldMicros).toFixed(1)} times the CPU`,
  )
}
