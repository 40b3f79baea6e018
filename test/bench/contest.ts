import { cpuOfTree, median, ownCpu } from './cpu.ts'

export interface Measured {
  readonly perSecond: number
  /** everything that took part, microseconds of CPU a transition */
  readonly cpuMicros: number
  /** without the database or server */
  readonly hostMicros: number
}

/** One way to make the same transitions durable. */
export interface Contestant {
  readonly name: string
  /** what it is, in a line */
  readonly about: string
  readonly actors: number
  /** Another set of actors each time. */
  run(round: string, actors: number): Promise<Measured>
  close(): Promise<void>
}

/** @param pids of the servers, whose CPU counts but is not the host's; `hosts`: processes that count as this one does */
export const measured = async (
  transitions: number,
  { servers, hosts = [] }: { servers: readonly number[]; hosts?: readonly number[] },
  work: () => Promise<void>,
): Promise<Measured> => {
  const cpu = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + cpuOfTree(pid), 0)
  const [ours, theirs, begun] = [ownCpu() + cpu(hosts), cpu(servers), performance.now()]
  await work()
  const seconds = (performance.now() - begun) / 1_000
  const hostMicros = ((ownCpu() + cpu(hosts) - ours) * 1e6) / transitions
  return { perSecond: transitions / seconds, hostMicros, cpuMicros: hostMicros + ((cpu(servers) - theirs) * 1e6) / transitions }
}

/** Median, and from the least to the most. */
export const spread = (values: readonly number[], digits = 0): string =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`

/** So many workers until nothing is left. */
export const inParallel = async (workers: number, count: number, one: (n: number) => Promise<void>): Promise<void> => {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) await one(n)
  }
  await Promise.all(Array.from({ length: workers }, worker))
}
