/**
 * `npm run bench -- loop`: request frame in to signed response frame out on the whole local stack. Against a floor chain on the same
 * broker and database in the same run: produce, consume, one fsynced insert, produce, consume, one fsynced insert, and nothing else
 * (floor-chain.ts: two processes, kafkajs and pg by hand, each batch in one statement). The loop's clock is the simulated relay's,
 * from the frame handed to the socket to the response read from it. Linux.
 */
import { cpus } from 'node:os'
import { setTimeout as after } from 'node:timers/promises'
import { BTC_IDS, EURE } from '../simulators/tokens.ts'
import { deploy } from '../e2e/deployment.ts'
import type { Deployment } from '../e2e/deployment.ts'
import { cpuOfTree, quantile } from './cpu.ts'
import { openFloor } from './floor.ts'
import type { Floor } from './floor.ts'

const RATES = [50, 300]
/** The chain is warm soon; eight services and a JVM compile for as long as there is something new. */
const FLOOR_WARM_MS = 5_000
const LOOP_WARM_MS = 25_000
const MEASURE_MS = 15_000

/** The pair's requests that were answered in time, of those that could be: the rest of the traffic is off the pair or above the cap. */
const ANSWERABLE = 0.92 * 0.95

interface Measured {
  readonly list: readonly number[]
  /** of the requests that could be answered */
  readonly answered: number
  /** cores busy: all of the machine, and the whole local stack with venues */
  readonly machine: number
  readonly own: number
}

const loop = async ({ venues, ready }: Deployment, rate: number): Promise<Measured> => {
  await venues.traffic(true, rate)
  await after(LOOP_WARM_MS)
  const before = { broadcast: (await venues.latency()).broadcast, busy: busySeconds(), own: cpuOfTree(ready.pid), at: performance.now() }
  await venues.resetLatency()
  await after(MEASURE_MS)
  const { list, broadcast } = await venues.latency()
  const seconds = (performance.now() - before.at) / 1_000
  const machine = (busySeconds() - before.busy) / seconds
  const own = (cpuOfTree(ready.pid) - before.own) / seconds
  await venues.traffic(false)
  return { list, answered: list.length / ((broadcast - before.broadcast) * ANSWERABLE), machine, own }
}

/** Seconds of CPU that everything on this machine has used. */
const busySeconds = (): number => cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0) / 1_000

const quantiles = (list: readonly number[]) => ({ p50: quantile(list, 0.5), p99: quantile(list, 0.99) })
const shown = ({ p50, p99 }: ReturnType<typeof quantiles>): string =>
  `p50 ${p50.toFixed(1).padStart(7)} ms   p99 ${p99.toFixed(1).padStart(7)} ms`

const compare = async (deployment: Deployment, floor: Floor, rate: number): Promise<void> => {
  const below = quantiles(await floor.measure(rate, FLOOR_WARM_MS, MEASURE_MS))
  const { list, answered, machine, own } = await loop(deployment, rate)
  process.stdout.write(
    `loop at ${rate}/s: ${list.length} responses, ${(answered * 100).toFixed(0)} % of the requests that could be answered; ` +
      `${own.toFixed(2)} cores busy with it, ${machine.toFixed(2)} of ${cpus().length} with everything\n  floor ${shown(below)}\n`,
  )
  if (list.length === 0) return void process.stdout.write('  loop  no response in time\n')
  const above = quantiles(list)
  process.stdout.write(`  loop  ${shown(above)}\n`)
  process.stdout.write(
    `  loop / floor: p50 ${(above.p50 / below.p50).toFixed(2)}x (goal 2x), p99 ${(above.p99 / below.p99).toFixed(2)}x (goal 2.5x)\n`,
  )
}

const deployment = await deploy({ args: ['--fresh'], follow: false })
try {
  const { venues, ready } = deployment
  await venues.traffic(false)
  // Thousands of offers are open at once: enough to give for each.
  await venues.mint(EURE, `1000000${'0'.repeat(18)}`)
  for (const token of BTC_IDS) await venues.mint(token, `20${'0'.repeat(8)}`)
  const floor = await openFloor(ready.kafka, ready.database)
  try {
    for (const rate of RATES) await compare(deployment, floor, rate)
  } finally {
    await floor.close()
  }
  process.stdout.write(`  ${(await venues.report()).violations.length} violations counted by the simulated venues\n`)
} finally {
  await deployment.stop()
}
