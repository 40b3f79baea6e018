/**
 * `npm run bench -- scale`: what lanes and turns cost the processes, PostgreSQL and Kafka, and the model that this gives up to
 * 1,000 lanes (docs/SCALE.md). Measured: nothing to do, a few events a batch, and as fast as it goes; one message in and one out a
 * turn. The model has for each part a cost a second and lane, a cost a batch and a cost a turn, fitted to those three. Linux.
 */
import { cpus, loadavg } from 'node:os'
import { setTimeout as after } from 'node:timers/promises'
import { Demands, Fleet } from '../scale/fleet.ts'
import { cpuOfTree } from './cpu.ts'

const LANES = Number(process.env['BENCH_LANES'] ?? 64)
const PROCESSES = Number(process.env['BENCH_PROCESSES'] ?? 2)
const MEASURE_MS = Number(process.env['BENCH_MS'] ?? 10_000)
const BACKLOG = Number(process.env['BENCH_BACKLOG'] ?? 60_000)
/** events a second, over all lanes, that make batches of one or two */
const TRICKLE = 400
/** of the model: a small batch on a database that has room */
const COMMIT_MS = 2
const PARTS = ['processes', 'PostgreSQL', 'Kafka'] as const
type Costs = Readonly<Record<(typeof PARTS)[number], number>>

interface Reading {
  readonly atMs: number
  readonly turns: number
  readonly batches: number
  readonly cpu: Costs
}

interface Measured {
  readonly turns: number
  readonly batches: number
  /** cores busy */
  readonly cores: Costs
}

const write = (line: string): void => void process.stdout.write(`${line}\n`)
const perPart = (of: (part: (typeof PARTS)[number]) => number): Costs =>
  Object.fromEntries(PARTS.map((part) => [part, of(part)])) as unknown as Costs

const read = async (fleet: Fleet): Promise<Reading> => {
  const { turns, batches } = await fleet.turns()
  const { broker, postgres } = fleet.stack
  const cpu = {
    processes: fleet.members.reduce((sum, { pid }) => sum + cpuOfTree(pid!), 0),
    PostgreSQL: cpuOfTree(postgres.pid()),
    Kafka: cpuOfTree(broker.pid()),
  }
  return { atMs: performance.now(), turns, batches, cpu }
}

/** A second's worth of what happened between two readings. */
const between = (before: Reading, now: Reading): Measured => {
  const seconds = (now.atMs - before.atMs) / 1_000
  return {
    turns: (now.turns - before.turns) / seconds,
    batches: (now.batches - before.batches) / seconds,
    cores: perPart((part) => (now.cpu[part] - before.cpu[part]) / seconds),
  }
}

const show = (what: string, { turns, batches, cores }: Measured): void =>
  write(
    `  ${what.padEnd(22)}${turns.toFixed(0).padStart(7)} turns/s ${batches.toFixed(0).padStart(6)} batches/s   cores: ${PARTS.map(
      (part) => `${part} ${cores[part].toFixed(3)}`,
    ).join(', ')}`,
  )

const until = async (what: string, ms: number, reached: () => Promise<boolean>): Promise<void> => {
  const end = performance.now() + ms
  while (!(await reached())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${ms / 1_000} s`)
    await after(50)
  }
}

const during = async (fleet: Fleet, ms: number): Promise<Measured> => {
  const before = await read(fleet)
  await after(ms)
  return between(before, await read(fleet))
}

write(
  `scale: ${LANES} lanes, ${PROCESSES} processes, load average before ${loadavg()[0]?.toFixed(1)}, ${cpus().length} cores for everything`,
)
const fleet = await Fleet.open(LANES, { bare: true })
const demands = new Demands(fleet, LANES * 8)
try {
  for (let n = 0; n < PROCESSES; n++) fleet.join()
  const began = performance.now()
  await until('every lane has an owner', 60_000, async () => (await fleet.shares()).reduce((sum, held) => sum + held, 0) === LANES)
  write(`  every lane has an owner ${((performance.now() - began) / 1_000).toFixed(1)} s after the processes were started`)
  // Compilers and caches calm down.
  demands.publish(2_000)
  await after(5_000)
  const idle = await during(fleet, MEASURE_MS)
  show('nothing to do', idle)
  const flow = setInterval(() => demands.publish(TRICKLE / 50), 20)
  await after(1_000)
  const trickle = await during(fleet, MEASURE_MS)
  clearInterval(flow)
  show(`${TRICKLE} events a second`, trickle)
  await after(1_000)
  const start = await read(fleet)
  for (let sent = 0; sent < BACKLOG; sent += 1_000) {
    demands.publish(1_000)
    await demands.drained()
  }
  await until('the backlog is taken', 120_000, async () => (await fleet.turns()).turns >= start.turns + BACKLOG)
  const full = between(start, await read(fleet))
  show('as fast as it goes', full)
  model(idle, trickle, full)
} finally {
  await demands.close()
  await fleet.close()
}

/**
 * Two equations a part: what a trickle and what a flood cost above idling are both batches x a + turns x b. A part whose batches cost
 * nothing that can be told from noise gets a = 0.
 */
function model(idle: Measured, trickle: Measured, full: Measured): void {
  const lane = perPart((part) => idle.cores[part] / LANES)
  const fitted = Object.fromEntries(
    PARTS.map((part) => {
      const [few, many] = [trickle.cores[part] - idle.cores[part], full.cores[part] - idle.cores[part]]
      const determinant = trickle.batches * full.turns - full.batches * trickle.turns
      const batch = Math.max(0, (few * full.turns - many * trickle.turns) / determinant)
      return [part, { batch, turn: Math.max(0, (many - batch * full.batches) / full.turns) }] as const
    }),
  ) as unknown as Readonly<Record<(typeof PARTS)[number], { batch: number; turn: number }>>
  write('  fitted costs, microseconds of CPU')
  for (const part of PARTS)
    write(
      `    ${part.padEnd(11)} a lane and second ${(lane[part] * 1e6).toFixed(0).padStart(6)}   a batch ${(fitted[part].batch * 1e6).toFixed(0).padStart(5)}   a turn ${(fitted[part].turn * 1e6).toFixed(1).padStart(6)}`,
    )
  write('  model: lanes x events a second and lane; a lane gathers for as long as its last commit takes (COMMIT_MS)')
  for (const lanes of [4, 16, 64, 256, 1_000])
    for (const rate of [1, 10, 100]) {
      const events = lanes * rate
      const batches = lanes / (1 / rate + COMMIT_MS / 1_000)
      const cores = perPart((part) => lanes * lane[part] + batches * fitted[part].batch + events * fitted[part].turn)
      write(
        `    ${String(lanes).padStart(5)} x ${String(rate).padStart(3)} = ${String(events).padStart(6)} turns/s ${batches.toFixed(0).padStart(6)} batches/s   cores: ${PARTS.map(
          (part) => `${part} ${cores[part].toFixed(2)}`,
        ).join(', ')}`,
      )
    }
}
