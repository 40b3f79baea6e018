/**
 * `npm run bench -- transitions`: durable transitions a second, against a naive form, a floor, DBOS and Restate. W1 is five events an
 * actor and a context of about 400 bytes. One machine, one run, rounds interleaved; each makes an event durable before it acknowledges
 * it. BENCH_ACTORS for ours and the floor, BENCH_PEER_ACTORS for DBOS and Restate, BENCH_ROUNDS; BENCH_ONLY=ours,naive for some of them.
 */
import type { Broker } from '#deploy/local/broker.ts'
import { floor, naive } from './baselines.ts'
import { loadNow, progress, say, withDatabase } from './bench-database.ts'
import type { BenchDatabase } from './bench-database.ts'
import type { Contestant, Measured } from './contest.ts'
import { spread } from './contest.ts'
import { median } from './cpu.ts'
import { benchBroker, oursOnKafka } from './kafka-path.ts'
import { ours } from './ours.ts'
import { dbos, installPeers, restate } from './peers.ts'
import { temporaryDir } from './temporary-dir.ts'
import { EVENTS_AN_ACTOR } from './work.ts'

const ACTORS = Number(process.env['BENCH_ACTORS'] ?? 100_000)
const NAIVE_ACTORS = Math.max(400, Math.floor(ACTORS / 20))
const KAFKA_ACTORS = Math.max(400, Math.floor(ACTORS / 5))
const PEER_ACTORS = Number(process.env['BENCH_PEER_ACTORS'] ?? 1_500)
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3)
const ONLY = process.env['BENCH_ONLY']?.split(',')
/** Compilers and caches of everybody, before the first round. */
const WARM_SHARE = 10

/** How many times as fast as each of the others ours has to be. */
const GOALS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  ours: { naive: 10, dbos: 58, restate: 35, 'restate-xstate': 55 },
  'ours-kafka': { dbos: 15, restate: 9, 'restate-xstate': 14 },
}
const HOST_MICROS_ON_KAFKA = 38

const wanted = (name: string): boolean => ONLY?.includes(name) ?? true

const contestants = async ({ url, besideUrl, postgres }: BenchDatabase, broker: Broker | null, dataDir: string): Promise<Contestant[]> => {
  const [admin, pid] = [postgres.adminUrl, postgres.pid()]
  const all: Contestant[] = []
  if (wanted('ours')) all.push(ours(url, pid, ACTORS))
  if (broker) all.push(oursOnKafka(besideUrl, pid, broker, KAFKA_ACTORS))
  if (wanted('naive')) all.push(await naive(admin, pid, NAIVE_ACTORS))
  if (wanted('floor')) all.push(await floor(admin, pid, ACTORS))
  const [wantsDbos, wantsRestate] = [wanted('dbos'), wanted('restate') || wanted('restate-xstate')]
  if ((wantsDbos || wantsRestate) && installPeers()) {
    if (wantsDbos) all.push(await dbos(admin, pid, PEER_ACTORS))
    if (wantsRestate) all.push(...((await restate(dataDir, PEER_ACTORS)) ?? []))
  }
  return all
}

const show = (results: ReadonlyMap<Contestant, readonly Measured[]>): void => {
  say(`transitions: ${EVENTS_AN_ACTOR} events an actor, ${ROUNDS} rounds, median (least to most), ${loadNow()}`)
  for (const [{ name, about, actors }, rounds] of results) {
    const rate = spread(rounds.map(({ perSecond }) => perSecond))
    const cpu = spread(
      rounds.map(({ cpuMicros }) => cpuMicros),
      1,
    )
    const host = median(rounds.map(({ hostMicros }) => hostMicros)).toFixed(1)
    say(`  ${name.padEnd(15)}${rate.padEnd(28)}/s  ${cpu.padEnd(26)} us CPU each, ${host} of it the host's`)
    say(`${' '.repeat(17)}${about}; ${actors} actors a round`)
  }
  const medians = new Map(
    [...results].map(([{ name }, rounds]) => [
      name,
      { rate: median(rounds.map(({ perSecond }) => perSecond)), cpu: median(rounds.map(({ cpuMicros }) => cpuMicros)) },
    ]),
  )
  for (const [own, goals] of Object.entries(GOALS)) {
    for (const [name, theirs] of medians) {
      const [mine, goal] = [medians.get(own), goals[name]]
      if (!mine || name in GOALS) continue
      const ratio = (mine.rate / theirs.rate).toFixed(2).padStart(7)
      const byCpu = (theirs.cpu / mine.cpu).toFixed(1)
      say(`${`  ${own} / ${name}`.padEnd(30)}${ratio}x${goal === undefined ? '' : ` (goal ${goal}x)`}; each takes ${byCpu}x our CPU`)
    }
  }
  const onKafka = [...results].find(([{ name }]) => name === 'ours-kafka')?.[1].map(({ hostMicros }) => hostMicros)
  if (onKafka) say(`  ours-kafka: ${median(onKafka).toFixed(1)} us of host CPU a turn (goal ${HOST_MICROS_ON_KAFKA})`)
}

say(`transitions: ${loadNow()} at the start`)
const dir = temporaryDir('transitions')
await withDatabase('transitions', async (database) => {
  const broker = wanted('ours-kafka') ? await benchBroker(dir.path) : null
  const all = await contestants(database, broker, dir.path)
  const results = new Map<Contestant, Measured[]>(all.map((each) => [each, []]))
  try {
    for (const each of all) await each.run('warm', Math.ceil(each.actors / WARM_SHARE))
    for (let round = 1; round <= ROUNDS; round++) {
      for (const [each, rounds] of results) {
        progress(`round ${round} of ${ROUNDS}: ${each.name}`)
        rounds.push(await each.run(`round${round}`, each.actors))
      }
    }
    show(results)
  } finally {
    for (const each of all) await each.close()
    await broker?.stop()
  }
})
dir.remove()
