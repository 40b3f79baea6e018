import { randomUUID } from 'node:crypto'
import { Host } from '#actors/runtime/host.ts'
import type { MessageBus } from '#actors/runtime/bus-port.ts'
import type { Meter } from '#actors/runtime/ports.ts'
import type { LaneStore } from '#actors/runtime/store-port.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { systemClock } from '#actors/runtime/system-clock.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { laneStore } from '#storage/lane-store.ts'

/** Its role commits; its own actors are not here. */
export const BENCH_SERVICE = 'market-reference-ingest'
/** Where one database has a second lane. */
export const BESIDE_SERVICE = 'strategy-engine'

export const quiet = { debug() {}, info() {}, warn() {}, error: (_: object, text: string) => process.stderr.write(`${text}\n`) }
const uncounted: Meter = { count() {}, observe() {} }

/** Takes everything at once, and has nothing to read: the path without Kafka. */
const noBus: MessageBus = {
  send: async () => {},
  reader: async () => ({ ends: async () => [], take() {}, leave() {}, hold() {}, resume() {}, commit() {}, close: async () => {} }),
  close: async () => {},
}

/** A service of one lane that hosts these kinds, beside the life cycle that every service has. */
export const serviceOf = (kinds: ServiceDefinition['kinds'], more: Partial<ServiceDefinition> = {}): ServiceDefinition => ({
  name: BENCH_SERVICE,
  lanes: 'single',
  kinds: { lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) }, ...kinds },
  inputs: {},
  effects: {},
  orders: {},
  configure: [],
  retainEndedMs: 0,
  ...more,
})

interface BenchHostOptions {
  /** of the service's role */
  readonly url: string
  readonly definition: ServiceDefinition
  readonly bus?: MessageBus
  readonly meter?: Meter
  readonly cacheBytes?: number | undefined
  readonly timerWindow?: number | undefined
  /** looks at what passes */
  readonly around?: (store: LaneStore) => LaneStore
}

export interface BenchHost {
  readonly host: Host
  /** until the lane was taken and ran */
  readonly readyMs: number
  /** turns committed so far */
  turned(): number
  close(): Promise<void>
}

export const startHost = async ({
  url,
  definition,
  bus = noBus,
  meter = uncounted,
  cacheBytes,
  timerWindow,
  around,
}: BenchHostOptions): Promise<BenchHost> => {
  const began = performance.now()
  const store = laneStore({ connectionString: url, applicationName: 'bench', log: quiet })
  const host = new Host({
    definition,
    release: 'bench',
    process: randomUUID(),
    store: around ? around(store) : store,
    bus,
    clock: systemClock,
    log: quiet,
    meter,
    partitionOf: () => 0,
    wantedLanes: 1,
    url: () => 'http://127.0.0.1:0',
    onBroken: (error) => {
      throw error
    },
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
    ...(timerWindow === undefined ? {} : { timerWindow }),
  })
  await host.start()
  while (host.lanes().length === 0) await moment()
  return {
    host,
    readyMs: performance.now() - began,
    turned: () => host.lanes()[0]?.turn ?? 0,
    close: async () => {
      await host.drain()
      await store.close()
    },
  }
}

export const moment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2))
