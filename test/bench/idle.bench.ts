/** `npm run bench -- idle`: what the eight services cost when nobody asks for a quote. Prices, balances and leases go on. Linux. */
import { readFileSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import { SERVICES } from '#machines/contracts/services.ts'
import { deploy } from '../e2e/deployment.ts'
import { cpuOfTree, residentBytes } from './cpu.ts'

const SETTLE_MS = 8_000
const MEASURE_MS = 20_000

/** Resident memory with every shared page (the node binary's, mostly) divided among those that share it, bytes. */
const shareBytes = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024

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
    resident: residentBytes(deployment.pid(service)) / 2 ** 20,
    share: shareBytes(deployment.pid(service)) / 2 ** 20,
  }))
  process.stdout.write(`idle: eight services over ${seconds.toFixed(0)} s without traffic\n`)
  const line = (name: string, cpu: number, share: number, resident: number): void =>
    void process.stdout.write(
      `  ${name.padEnd(26)}${cpu.toFixed(1).padStart(6)} % of a core${share.toFixed(0).padStart(7)} MiB${resident.toFixed(0).padStart(7)} MiB with shared pages in each\n`,
    )
  for (const { service, cpu, share, resident } of rows) line(service, cpu, share, resident)
  const sum = (pick: (row: (typeof rows)[number]) => number): number => rows.reduce((total, row) => total + pick(row), 0)
  line(
    'together',
    sum(({ cpu }) => cpu),
    sum(({ share }) => share),
    sum(({ resident }) => resident),
  )
  process.stdout.write('  goals: 25 % of a core, 1024 MiB\n')
} finally {
  await deployment.stop()
}
