import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import { z } from 'zod'
import type { HostState } from '../host-view.ts'
import { FROM_STATE } from './metric-table.ts'

type Name = keyof typeof FROM_STATE

/** The counters of `/state` that have a metric of their own, by what their name begins with; the rest of the name is the label. */
const BY_PREFIX: Readonly<Record<string, Name>> = {
  fetched: 'unrip_records_taken_total',
  repeated: 'unrip_records_repeated_total',
  published: 'unrip_records_published_total',
  dropped: 'unrip_dropped_total',
  ignored: 'unrip_ignored_total',
  parked: 'unrip_parked_total',
  parked_by: 'unrip_parked_causes_total',
  letters: 'unrip_letters_total',
  effect: 'unrip_effect_ends_total',
  feed: 'unrip_feed_events_total',
}

/** What a lane says of itself, as far as it is counted here. */
const Lane = z.object({
  lane: z.number(),
  halted: z.looseObject({}).nullish(),
  lag: z.record(z.string(), z.number()).default({}),
  marks: z.record(z.string(), z.object({ count: z.number(), moved_ms: z.number().nullable() })).default({}),
  mailbox: z.number().default(0),
  timers: z.number().default(0),
  effects: z.array(z.object({ state: z.string(), open: z.number(), since_ms: z.number() })).default([]),
  parked_actors: z.number().default(0),
  parked: z.object({ held: z.number(), waiting: z.number() }).default({ held: 0, waiting: 0 }),
  outbox_bytes: z.number().default(0),
  cache: z.object({ bytes: z.number(), hits: z.number(), misses: z.number() }).default({ bytes: 0, hits: 0, misses: 0 }),
})
type Lane = z.infer<typeof Lane>
type Labels = Readonly<Record<string, string>>
type Set = (name: Name, value: number, labels?: Labels) => void

/**
 * Registers what is read off `/state`, and returns what sets it: called right before each scrape.
 * Counters are set to what the state says; they fall only when the process is another one.
 * @param wallMs ms since 1970, for ages
 */
export const stateMetrics = (registry: Registry, wallMs: () => number = Date.now): ((state: HostState, isReady: boolean) => void) => {
  const made = new Map(Object.entries(FROM_STATE).map(([name, row]) => [name, metric(name, row, registry)]))
  const set: Set = (name, value, labels = {}) => {
    const found = made.get(name)
    if (found instanceof Gauge) found.set(labels, value)
    else found?.inc(labels, value)
  }
  return (state, isReady) => {
    for (const each of made.values()) clear(each)
    set('unrip_ready', Number(isReady))
    set('unrip_connected', Number(state.connected))
    const armed = armedIn(state)
    if (armed !== null) set('unrip_armed', Number(armed))
    for (const { code } of state.blocked) set('unrip_blocked', 1, { code })
    for (const [input, { age_ms }] of Object.entries(state.inputs))
      if (age_ms !== null) set('unrip_input_age_seconds', age_ms / 1_000, { input })
    ofLanes(
      state.lanes.flatMap((lane) => Lane.safeParse(lane).data ?? []),
      wallMs(),
      set,
    )
    for (const [name, n] of Object.entries(state.counters)) {
      const [, prefix = '', rest = ''] = /^([^.]+)\.(.+)$/.exec(name) ?? []
      const own = BY_PREFIX[prefix]
      if (n < 0) continue
      const [label = ''] = Object.keys(FROM_STATE[own ?? 'unrip_events_total'].labels)
      set(own ?? 'unrip_events_total', n, { [label]: own === undefined ? name : rest })
    }
  }
}

/** What is summed over the lanes that this process owns. */
const TOTALS: { readonly [N in Name]?: (lane: Lane) => number } = {
  unrip_lanes_owned: () => 1,
  unrip_lanes_halted: ({ halted }) => Number(halted != null),
  unrip_mailbox_events: ({ mailbox }) => mailbox,
  unrip_timers: ({ timers }) => timers,
  unrip_parked: ({ parked_actors }) => parked_actors,
  unrip_outbox_bytes: ({ outbox_bytes }) => outbox_bytes,
  unrip_cache_bytes: ({ cache }) => cache.bytes,
  unrip_cache_hits_total: ({ cache }) => cache.hits,
  unrip_cache_misses_total: ({ cache }) => cache.misses,
}

const ofLanes = (lanes: readonly Lane[], nowMs: number, set: Set): void => {
  for (const [name, of] of Object.entries(TOTALS)) set(name as Name, sum(lanes.map(of)))
  for (const state of FROM_STATE.unrip_parked_events.labels.state)
    set('unrip_parked_events', sum(lanes.map(({ parked }) => parked[state])), { state })
  for (const state of FROM_STATE.unrip_effects.labels.state) {
    const found = lanes.flatMap(({ effects }) => effects.filter((effect) => effect.state === state))
    const since = Math.min(nowMs, ...found.map(({ since_ms }) => since_ms))
    set('unrip_effects', sum(found.map(({ open }) => open)), { state })
    set('unrip_effect_age_seconds', (nowMs - since) / 1_000, { state })
  }
  for (const { lane, lag } of lanes)
    for (const [topic, records] of Object.entries(lag)) set('unrip_lag_records', records, { topic, lane: String(lane) })
  for (const [topic, marks] of Map.groupBy(
    lanes.flatMap((lane) => Object.entries(lane.marks)),
    ([name]) => name,
  )) {
    const count = sum(marks.map(([, mark]) => mark.count))
    set('unrip_marks', count, { topic })
    const moved = Math.max(...marks.map(([, { moved_ms }]) => moved_ms ?? 0))
    if (moved > 0) set('unrip_mark_age_seconds', Math.max(0, nowMs - moved) / 1_000, { topic })
  }
}

/** Whether the service is armed; strategy and executor have it in their own section, null elsewhere. */
export const armedIn = (state: HostState): boolean | null => {
  for (const section of [state['strategy'], state['executor']])
    if (typeof section === 'object' && section !== null && 'armed' in section) return section.armed === true
  return null
}

const metric = (name: string, { help, labels, type }: (typeof FROM_STATE)[Name], registry: Registry): Counter | Gauge => {
  const options = { name, help, labelNames: Object.keys(labels), registers: [registry] }
  return type === 'gauge' ? new Gauge(options) : new Counter(options)
}

/** `reset` alone leaves a 0 behind where there are no labels. */
const clear = (each: Counter | Gauge): void => {
  each.reset()
  each.remove({})
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
