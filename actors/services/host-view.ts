import { z } from 'zod'
import type { Host } from '#actors/runtime/host.ts'
import { WhichLetters } from '#actors/runtime/lane/letters.ts'
import type { HostState, HostView, OrderRoute } from '#control/host-view.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { pastOf } from './history.ts'
import type { Histories } from './history.ts'
import { withLifecycle } from './lifecycle-kind.ts'
import type { Section, SectionView, Service } from './run-service.ts'

interface ActorReads extends Histories {
  actors(query: { service: string; kind?: string; state?: string; limit: number; after?: string }): ReturnType<HostView['actors']>
  actor(service: string, kind: string, key: string): Promise<object | null>
}

interface ViewOptions {
  readonly host: Host
  readonly service: Service
  readonly release: string
  readonly reads: () => Promise<ActorReads>
  /** the service's own counts, beside the host's */
  readonly counters: ReadonlyMap<string, number>
  readonly drain: (why: string) => Promise<void>
  /** called after the answer to a drain order can have left */
  readonly onDrained: () => void
}

/** What control sees of a host: `/state`, orders, machines and stored actors. */
export const hostView = (options: ViewOptions): HostView => {
  const { host, service, release, reads, drain, onDrained } = options
  const { definition } = service
  const sinces = new Map<string, string>()
  return {
    service: host.service,
    release,
    describe: async () => withSince(describe(options), sinces),
    notReady: async () => notReady(host),
    order: (order, waitMs) => host.submit(order, waitMs),
    drain: async (by, reason) => {
      await drain(`ordered by ${by}: ${reason}`)
      setImmediate(onDrained)
    },
    orders: [
      ...Object.entries(definition.orders).map(([name, { route, summary, schema }]): OrderRoute => ({ name, ...route, summary, schema })),
      ...REPAIRS.filter(({ name }) => host.ownOrders.includes(name)),
    ],
    machines: () =>
      [...host.machines].map(([kind, machine]) => ({
        kind,
        version: machine.version,
        hash: machine.hash,
        config: machine.config as object,
        mermaid: machine.mermaid(),
      })),
    actors: async (query) => (await reads()).actors({ service: host.service, ...query }),
    actor: async (kind, key) => (await reads()).actor(host.service, kind, key),
    past: async (kind, key, wish) => pastOf(await reads(), withLifecycle(definition), { kind, key }, wish),
    reading: async (path) => {
      const order = Object.values(definition.orders).find(({ route }) => route.method === 'PUT' && route.path === path)
      const found = order && host.actor(order.to.kind, order.to.key)[0]
      return found ? (found.context as object) : null
    },
  }
}

/** What is followed is said again at least once a second while it is confirmed. */
const FOLLOWED_SILENT_MS = 10_000

const nothing = z.strictObject({})
/** Orders of the runtime itself, for a person who has looked. */
const REPAIRS: readonly OrderRoute[] = [
  {
    name: 'accept-loss',
    method: 'POST',
    path: '/accept-loss',
    summary: 'A halted input goes on at what its log still has',
    schema: nothing,
  },
  {
    name: 'replay-dead-letters',
    method: 'POST',
    path: '/dead-letters/replay',
    summary: 'Parked events are taken again, and then what waited behind them, in order',
    schema: WhichLetters,
  },
  {
    name: 'drop-dead-letters',
    method: 'POST',
    path: '/dead-letters/drop',
    summary: 'Parked events are given up, and what waited behind them goes on in order',
    schema: WhichLetters,
  },
  {
    name: 'reconcile',
    method: 'POST',
    path: '/reconcile',
    summary: 'The database is right as it is; arming is allowed again',
    schema: nothing,
  },
]

/** What knows only that it blocks now has blocked since it was first seen to. */
const withSince = (state: HostState, sinces: Map<string, string>): HostState => {
  const blocked = state.blocked.map((each) => {
    const first = sinces.get(each.code)
    return first !== undefined && first < each.since ? { ...each, since: first } : each
  })
  sinces.clear()
  for (const { code, since } of blocked) sinces.set(code, since)
  return { ...state, blocked }
}

const notReady = (host: Host): string[] => {
  if (host.draining) return ['draining']
  const away = host.away().map(({ code, detail }) => `${code}: ${detail}`)
  const { lifecycle } = host
  return lifecycle === 'starting' || lifecycle === 'recovering' ? [lifecycle, ...away] : away
}

const describe = ({ host, service, release, counters }: ViewOptions): HostState => {
  const nowMs = Date.now()
  const lanes = host.lanes()
  const merged = { ...host.counters(), ...Object.fromEntries(counters) }
  const view: SectionView = {
    actor: (kind, key) => host.actor(kind, key),
    counters: merged,
    openEffects: (name) =>
      lanes.reduce((sum, { effects }) => sum + effects.reduce((open, effect) => open + (effect.name === name ? effect.open : 0), 0), 0),
    tables: host.tables,
    lanes,
    nowMs,
  }
  const own: Section = service.describe(view)
  const halted = lanes.flatMap(({ lane, halted: halt }) =>
    halt ? [{ code: halt.code, since: new Date(halt.since_ms).toISOString(), detail: `lane ${lane}: ${halt.detail}` }] : [],
  )
  const disagreeing = lanes.flatMap(({ lane, disagreement }) =>
    disagreement
      ? [{ code: 'STATE_DISAGREES', since: new Date(disagreement.since_ms).toISOString(), detail: `lane ${lane}: ${disagreement.detail}` }]
      : [],
  )
  const away = host.away().map(({ code, sinceMs, detail }) => ({ code, since: new Date(sinceMs).toISOString(), detail }))
  const notTaken = [...host.notTaken].map(([lane, { sinceMs, why }]) => ({
    code: 'LANE_NOT_STARTED',
    since: new Date(sinceMs).toISOString(),
    detail: `lane ${lane}: ${why}`,
  }))
  const notLoadable = [...host.notLoadable].map(([lane, { sinceMs, structures }]) => ({
    code: 'LANE_NOT_LOADABLE',
    since: new Date(sinceMs).toISOString(),
    detail: `lane ${lane} may hold ${structures.join(', ')} (kind, version, structure), which this release cannot load; see unrip snapshots check`,
  }))
  const blocked = [...away, ...notLoadable, ...notTaken, ...halted, ...disagreeing, ...(own.blocked ?? [])]
  const inputs = Object.keys(service.definition.inputs) as TopicName[]
  const followed = Object.keys(service.definition.follows ?? {}) as TopicName[]
  const lastCommitMs = host.lastCommitMs()
  return {
    service: host.service,
    release,
    lifecycle: host.lifecycle,
    healthy:
      (own.healthy ?? own.connected !== false) &&
      host.connected &&
      notTaken.length === 0 &&
      notLoadable.length === 0 &&
      halted.length === 0 &&
      disagreeing.length === 0,
    connected: host.connected && own.connected !== false,
    // What cannot be heard, or written, may have changed.
    authoritative: lanes.length > 0 && away.length === 0 && own.authoritative !== false,
    blocked,
    inputs: {
      // Nobody has to ask or to trade: that an input is silent says nothing.
      ...Object.fromEntries(inputs.map((topic) => [topic, { ...host.seen(topic), stale: false }])),
      ...Object.fromEntries(
        followed.map((topic) => {
          const seen = host.seen(topic)
          return [topic, { ...seen, stale: seen.age_ms === null || seen.age_ms > FOLLOWED_SILENT_MS }]
        }),
      ),
      ...Object.fromEntries(
        Object.entries(own.inputs ?? {}).map(([name, { atMs, stale }]) => [
          name,
          { at: atMs === null ? null : new Date(atMs).toISOString(), age_ms: atMs === null ? null : nowMs - atMs, stale },
        ]),
      ),
    },
    last_success: own.lastSuccess ?? (lastCommitMs === null ? null : { at: new Date(lastCommitMs).toISOString(), what: 'commit' }),
    counters: merged,
    lanes: lanes.map(({ counters: _, ...lane }) => lane),
    ...own.section,
  }
}
