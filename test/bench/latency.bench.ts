/**
 * `npm run bench -- latency`: how long an event waits on the path through Kafka, at half of the rate that it can do. From the feed's send
 * to the commit of its turn, and to Kafka's acknowledgement of what the turn published. The rate is measured first, on a backlog, in
 * the same run; the feed is a process of its own. BENCH_ACTORS for the backlog, BENCH_SECONDS.
 */
import { loadNow, progress, say, withDatabase } from './bench-database.ts'
import { moment } from './bench-host.ts'
import { median, quantile } from './cpu.ts'
import { nowMs } from './clock.ts'
import { benchBroker, kafkaHost, openFeed, oursOnKafka } from './kafka-path.ts'
import { temporaryDir } from './temporary-dir.ts'
import { EVENTS_AN_ACTOR } from './work.ts'

const ACTORS = Number(process.env['BENCH_ACTORS'] ?? 20_000)
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 20)
/** Not counted. */
const WARM_SECONDS = 5
const ROUNDS = 3

const shown = (list: readonly number[]): string =>
  `p50 ${quantile(list, 0.5).toFixed(1)} ms, p99 ${quantile(list, 0.99).toFixed(1)} ms, most ${quantile(list, 1).toFixed(1)} ms`

say(`latency: ${loadNow()} at the start`)
const dir = temporaryDir('latency')
await withDatabase('latency', async ({ besideUrl: url, postgres }) => {
  const broker = await benchBroker(dir.path)
  try {
    const contestant = oursOnKafka(url, postgres.pid(), broker, ACTORS)
    const rates: number[] = []
    for (let round = 0; round <= ROUNDS; round++) {
      progress(`the most it can do, ${round} of ${ROUNDS}`)
      const { perSecond } = await contestant.run(`most${round}`, round === 0 ? Math.ceil(ACTORS / 4) : ACTORS)
      if (round > 0) rates.push(perSecond)
    }
    await contestant.close()
    const perSecond = Math.floor(median(rates) / 2)
    say(`  at most   ${median(rates).toFixed(0)} turns a second; fed with ${perSecond}, ${loadNow()}`)

    const actors = Math.ceil((perSecond * (SECONDS + WARM_SECONDS)) / EVENTS_AN_ACTOR)
    const [committedMs, publishedMs]: [number[], number[]] = [[], []]
    let before = Number.POSITIVE_INFINITY
    // The lane takes one partition in its order and each turn publishes one record: the n-th turn and position are the n-th event's.
    const note = (list: number[], first: number, last: number): void => {
      const now = nowMs()
      for (let n = Math.max(first, before + 1); n <= last; n++) list[n - before - 1] = now
    }
    const { turned, close } = await kafkaHost(url, broker.brokers, {
      store: (store) => ({
        ...store,
        commit: async (service, batch) => {
          const answer = await store.commit(service, batch)
          note(committedMs, batch.turn - batch.journal.length + 1, batch.turn)
          return answer
        },
      }),
      bus: (bus) => ({
        ...bus,
        send: async (records) => {
          await bus.send(records)
          const positions = records.map(({ headers }) => Number(headers['unrip-position']))
          note(publishedMs, positions[0] ?? 0, positions.at(-1) ?? 0)
        },
      }),
    })
    before = turned()
    const feed = openFeed(broker.brokers)
    const sentMs = await feed.give({ name: 'half', actors, events: EVENTS_AN_ACTOR, perSecond })
    while (publishedMs.length < sentMs.length) await moment()
    const since = (list: readonly number[]): number[] =>
      list.slice(perSecond * WARM_SECONDS).map((ms, n) => ms - (sentMs[n + perSecond * WARM_SECONDS] ?? Number.NaN))
    say(`  committed ${shown(since(committedMs))}`)
    say(`  published ${shown(since(publishedMs))}; ${sentMs.length} events, ${loadNow()}`)
    await feed.close()
    await close()
  } finally {
    await broker.stop()
  }
})
dir.remove()
