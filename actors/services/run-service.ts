import { randomUUID } from 'node:crypto'
import type { z } from 'zod'
import type { FeedRecord } from '#actors/runtime/feed-source.ts'
import { Host } from '#actors/runtime/host.ts'
import type { LaneView } from '#actors/runtime/lane/lane-options.ts'
import type { Meter } from '#actors/runtime/ports.ts'
import type { StoreFence } from '#actors/runtime/store-port.ts'
import type { CommonEnv } from '#actors/runtime/service-env.ts'
import { systemClock } from '#actors/runtime/system-clock.ts'
import type { ServiceDefinition, Tables } from '#actors/runtime/service.ts'
import { kafkaBus } from '#bus/kafka.ts'
import { partitionOf } from '#bus/murmur2.ts'
import type { Blocked } from '#control/host-view.ts'
import { serveControl } from '#control/http/serve.ts'
import { makeLog } from '#control/telemetry/log.ts'
import type { Logger } from '#control/telemetry/log.ts'
import { makeRegistry, metrics } from '#control/telemetry/metrics.ts'
import { isSecretName } from '#control/telemetry/redact.ts'
import { Secret } from '#control/telemetry/secret.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import { laneStore } from '#storage/lane-store.ts'
import type { StoreReads } from '#storage/reads.ts'
import { hostView } from './host-view.ts'
import { withLifecycle } from './lifecycle-kind.ts'
import { tellRecords } from './record-lines.ts'
import type { RecordLines } from './record-lines.ts'
import { watchState } from './state-watch.ts'

/** What a service may do with its own host. Usable once the host runs; before, events go nowhere and actors are unknown. */
export interface ServiceContext {
  readonly log: Logger
  readonly meter: Meter
  readonly release: string
  readonly nowMs: () => number
  /** An event from this process's own connections for an actor of its lane. False: no lane is held here. */
  tell(to: Address, event: { readonly type: string } & Readonly<Record<string, unknown>>): boolean
  /** The definition's `learnt` has grown. */
  tellLearnt(): void
  /** Records of a feed, without a commit in their path. False: dropped and counted. */
  publish(records: readonly FeedRecord[]): boolean
  /** The oracle of this effect may know soon: it is asked often, for a while. */
  hurry(effect: string): boolean
  /** A fixed actor in every held lane. */
  actor(kind: string, key: string): readonly { lane: number; state: unknown; context: unknown }[]
  /** Adds to the service's counters in `/state`. */
  count(name: string, n?: number): void
}

export interface Service {
  /** A memory beside the database; see `StoreFence`. */
  readonly fence?: StoreFence
  /** `lifecycle` is added to its kinds. */
  readonly definition: ServiceDefinition
  /** Its lines about committed records. */
  readonly lines?: RecordLines
  /** Opens the service's own connections; called once the host runs. */
  start?(): Promise<void> | void
  /** Nothing new from outside: called before lanes are drained. */
  stopFeeds?(): Promise<void> | void
  /** Closes what effects may still have needed: called when the lanes are drained. */
  close?(): Promise<void> | void
  describe(view: SectionView): Section
}

export interface SectionView {
  actor(kind: string, key: string): readonly { lane: number; state: unknown; context: unknown }[]
  /** counts since the process started; see `/state` */
  readonly counters: Readonly<Record<string, number>>
  /** open effects of a name, over all held lanes */
  openEffects(name: string): number
  readonly tables: Tables
  readonly lanes: readonly Pick<LaneView, 'lane' | 'inputs' | 'lag'>[]
  readonly nowMs: number
}

export interface Section {
  /** the service's own part of `/state`, under its name */
  readonly section: Readonly<Record<string, object>>
  /** false: it cannot do what it is for. Absent: as `connected` */
  readonly healthy?: boolean
  /** to its venue */
  readonly connected?: boolean
  readonly authoritative?: boolean
  readonly blocked?: readonly Blocked[]
  /** name → when it was last confirmed, ms; and whether that is too old */
  readonly inputs?: Readonly<Record<string, { atMs: number | null; stale: boolean }>>
  readonly lastSuccess?: { readonly at: string; readonly what: string } | null
}

type CommonValues = z.infer<z.ZodObject<typeof CommonEnv>>

/**
 * Runs one service as this process: reads its environment once, wires store, bus, control and host, and ends with an exit code.
 * An unusable environment is one line on stderr and exit 1; a drained end is exit 0.
 */
export const runService = async <E extends CommonValues>(options: {
  readonly name: string
  readonly Env: z.ZodType<E>
  readonly build: (env: E, context: ServiceContext) => Service | Promise<Service>
}): Promise<void> => {
  const { name } = options
  const env = readEnv(options.Env, name)
  const process_ = randomUUID()
  const release = env.RELEASE ?? `unknown-${process_}`
  const log = makeLog({ service: name, level: env.LOG_LEVEL, namespace: env.POD_NAMESPACE, secrets: secretsOf(env) })
  const hostLog = log.child({ component: 'host' })
  // Node's own warnings would be lines that are no JSON.
  process.removeAllListeners('warning')
  process.on('warning', (warning) => hostLog.warn({ event: 'node.warning', error: warning }, warning.message))
  const registry = makeRegistry({ service: name, release })
  const meter = metrics(registry)
  const counters = new Map<string, number>()
  let host: Host | null = null
  const context: ServiceContext = {
    log: log.child({ component: 'service' }),
    meter,
    release,
    nowMs: () => systemClock.wallMs(),
    tell: (to, event) => host?.tell(to, event) ?? false,
    tellLearnt: () => host?.tellLearnt(),
    publish: (records) => host?.source.publish(records) ?? false,
    hurry: (effect) => host?.hurry(effect) ?? false,
    actor: (kind, key) => host?.actor(kind, key) ?? [],
    count: (counter, n = 1) => void counters.set(counter, (counters.get(counter) ?? 0) + n),
  }
  const ended = (code: number): void => {
    process.exitCode = code
    // Timers of drivers must not keep a drained process alive.
    setImmediate(() => process.exit(code))
  }
  const broken = (error: Error): void => {
    hostLog.error({ event: 'host.broken', error }, error.message)
    ended(1)
  }
  const store = laneStore({ connectionString: env.DATABASE_URL, applicationName: name, log: log.child({ component: 'storage' }) })
  // slonik takes 14 MB and is loaded when somebody first asks for a stored actor.
  let opened: Promise<StoreReads> | null = null
  const reads = (): Promise<StoreReads> =>
    (opened ??= import('#storage/reads.ts').then(({ storeReads }) => storeReads({ connectionString: env.DATABASE_URL })))
  const bus = kafkaBus({ brokers: env.KAFKA_BROKERS, clientId: `${name}-${process_.slice(0, 8)}`, log: log.child({ component: 'bus' }) })
  let ending: Promise<void> | null = null
  try {
    const service = await options.build(env, context)
    const definition = withLifecycle(service.definition)
    let url = ''
    host = new Host({
      definition,
      release,
      process: process_,
      store,
      bus,
      clock: systemClock,
      log,
      meter,
      partitionOf: (laneKey) => partitionOf(laneKey, env.LANES),
      wantedLanes: env.LANES,
      url: () => url,
      onBroken: broken,
      ...(service.fence ? { fence: service.fence } : {}),
      onEmitted: tellRecords(service.lines ?? {}, (error) =>
        hostLog.error({ event: 'log.record_not_told', error }, 'a record has no line'),
      ),
    })
    const running = host
    const drain = (why: string): Promise<void> => {
      ending ??= (async () => {
        hostLog.info({ event: 'host.draining' }, why)
        stopWatch()
        await service.stopFeeds?.()
        await running.drain()
        await service.close?.()
      })()
      return ending
    }
    const view = hostView({ host, service, release, reads, counters, drain, onDrained: () => void end() })
    const control = await serveControl({
      view,
      host: env.CONTROL_HOST,
      port: env.CONTROL_PORT,
      metrics: registry,
      log,
      ...(env.CONTROL_TOKEN ? { token: env.CONTROL_TOKEN } : {}),
    })
    url = control.url
    const stopWatch = watchState(() => view.describe(), systemClock, log.child({ component: 'state' }))
    const end = async (): Promise<void> => {
      await control.close()
      await Promise.allSettled([bus.close(), store.close(), opened?.then((open) => open.close())])
      hostLog.info({ event: 'host.drained' }, 'drained')
      ended(0)
    }
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void drain(signal).then(end, broken))
    await host.start()
    await service.start?.()
    hostLog.info({ event: 'host.running', url, release, process: process_ }, `${name} runs`)
  } catch (error) {
    // A start that a drain has overtaken was cut short by us.
    if (ending === null) broken(error instanceof Error ? error : new Error(String(error)))
  }
}

/** Values that are removed from the log wherever they turn up. */
const secretsOf = (env: object): Secret[] =>
  Object.entries(env).flatMap(([name, value]) => (isSecretName(name) && typeof value === 'string' ? [new Secret(value)] : []))

const readEnv = <E>(Env: z.ZodType<E>, name: string): E => {
  const parsed = Env.safeParse(process.env)
  if (parsed.success) return parsed.data
  const lines = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  process.stderr.write(`${name}: ${lines.join('; ')}\n`)
  process.exit(1)
}
