/** `npm run bench -- idle`: what the eight services cost when nobody asks for a quote. Prices, balances and leases go on. Linux. */
import { setTimeout as after } from 'node:timers/promises'
import { SERVICES } from '#deploy/local/services.ts'
import { deploy } from '../e2e/deployment.ts'
import { cpuOfTree, residentBytes } from './cpu.ts'

const SETTLE_MS = 8_000
const MEASURE_MS = 20_000

const deployment = await deploy({ args: ['--fresh'], follow: false })
try {
  await deployment.venues.traffic(false)
  // Open offers of the first seconds end, caches and compilers calm down.
  await after(SETTLE_MS)
  const before = SERVICES.map((service) => cpuOfTree(deployment.pid(service)))
  const began = performance.now()
  await after(MEASURE_MS)
  const seconds = (performance.now() - began) / 1_000
  const rows = SERVICES.map((service, index) => ({
    service,
    cpu: ((cpuOfTree(deployment.pid(service)) - (before[index] ?? 0)) / seconds) * 100,
    mib: residentBytes(deployment.pid(service)) / 2 ** 20,
  }))
  process.stdout.write(`idle: eight services over ${seconds.toFixed(0)} s without traffic\n`)
  for (const { service, cpu, mib } of rows)
    process.stdout.write(`  ${service.padEnd(26)}${cpu.toFixed(1).padStart(6)} %${mib.toFixed(0).padStart(7)} MiB\n`)
  const sum = (pick: (row: (typeof rows)[number]) => number): number => rows.reduce((total, row) => total + pick(row), 0)
  process.stdout.write(
    `  together ${sum(({ cpu }) => cpu).toFixed(1)} % of a core (goal 25 %), ${sum(({ mib }) => mib).toFixed(0)} MiB resident (goal 1024; shared pages count in each)\n`,
  )
} finally {
  await deployment.stop()
}
