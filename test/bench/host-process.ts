/** A host with waiters in a process of its own: what it takes to be ready and how much memory it needs, and something to kill. */
import type { LaneStore } from '#actors/runtime/store-port.ts'
import { moment, startHost } from './bench-host.ts'
import { ownCpu } from './cpu.ts'
import { dueOf, KIND, waiterKey, waiterService } from './waiters.ts'
import type { Waiters } from './waiters.ts'

export type HostCommand =
  | { readonly do: 'start'; readonly url: string; readonly cacheBytes: number; readonly timerWindow?: number }
  /** one event for each of so many waiters, `inFlight` at a time */
  | { readonly do: 'poke'; readonly waiters: Waiters; readonly from: number; readonly to: number; readonly inFlight: number }
  /** `late`: with all of `HostReport.late` */
  | { readonly do: 'report'; readonly late: boolean }
  | { readonly do: 'stop' }

export interface HostReport {
  /** of the lane, and of the process since it was started */
  readonly readyMs: number
  readonly upMs: number
  readonly fired: number
  /** wall clock, when the first timer's turn was committed here */
  readonly firstTurnMs: number | null
  /** from due to committed, of every timer that has fired so far, ms; empty where it was not asked for */
  readonly late: readonly number[]
  readonly residentBytes: number
  /** after a collection */
  readonly heapBytes: number
  readonly cpuSeconds: number
  readonly cache: { readonly bytes: number; readonly hits: number; readonly misses: number }
  readonly timersInMemory: number
  readonly turned: number
}

const late: number[] = []
let firstTurnMs: number | null = null

const watched = (store: LaneStore): LaneStore => ({
  ...store,
  commit: async (service, batch) => {
    const answer = await store.commit(service, batch)
    const now = Date.now()
    for (const { kind, key } of batch.timersOff) {
      if (kind !== KIND) continue
      late.push(now - dueOf(key))
      firstTurnMs ??= now
    }
    return answer
  },
})

/** Asking costs a microsecond: once for so many. */
const STEP = 100

const poke = async ({ host, turned }: Running, { waiters, from, to, inFlight }: Extract<HostCommand, { do: 'poke' }>): Promise<void> => {
  const before = turned()
  for (let n = from; n < to; n++) {
    host.tell({ kind: KIND, key: waiterKey(n, waiters) }, { type: 'poke' })
    if (n % STEP === 0) while (n - from - (turned() - before) >= inFlight) await moment()
  }
  while (turned() - before < to - from) await moment()
}

type Running = Awaited<ReturnType<typeof startHost>>
let running: Running | null = null
let upMs = 0

/** Of a process started with `--expose-gc`. */
const liveBytes = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const report = (withLate: boolean): HostReport => {
  const lane = running?.host.lanes()[0]
  if (!running || !lane) throw new Error('the host has no lane')
  return {
    readyMs: running.readyMs,
    upMs,
    fired: late.length,
    firstTurnMs,
    late: withLate ? late : [],
    residentBytes: process.memoryUsage().rss,
    heapBytes: liveBytes(),
    cpuSeconds: ownCpu(),
    cache: lane.cache,
    timersInMemory: lane.timers,
    turned: lane.turn,
  }
}

const obey = async (command: HostCommand): Promise<void> => {
  if (command.do === 'stop') {
    await running?.close()
    return process.disconnect?.()
  }
  if (command.do === 'start') {
    running = await startHost({ ...command, definition: waiterService, around: watched })
    upMs = performance.now()
  }
  if (command.do === 'poke' && running) await poke(running, command)
  process.send?.(report(command.do === 'report' && command.late))
}

process.on('message', (command: HostCommand) => void obey(command))
