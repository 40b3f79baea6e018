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
  effect: 'unrip_effect_ends_total',
  feed: 'unrip_feed_events_total',
}

/** What a lane says of itself, as far as it is counted here. */
const Lane = z.object({
  cache: z.object({ hits: z.number(), misses: z.number() }).optional(),
  effects: z.array(z.object({ state: z.string() })).default([]),
})

/**
 * Registers what is read off `/state`, and returns what sets it: called right before each scrape.
 * Counters are set to what the state says; they fall only when the process is another one.
 */
export const stateMetrics = (registry: Registry): ((state: HostState, isReady: boolean) => void) => {
  const made = new Map(Object.entries(FROM_STATE).map(([name, row]) => [name, metric(name, row, registry)]))
  const set = (name: Name, value: number, label?: string): void => {
    const [labelName] = FROM_STATE[name].labels
    const labels = label === undefined || labelName === undefined ? {} : { [labelName]: label }
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
    for (const { code } of state.blocked) set('unrip_blocked', 1, code)
    for (const [input, { age_ms }] of Object.entries(state.inputs))
      if (age_ms !== null) set('unrip_input_age_seconds', age_ms / 1_000, input)
    const lanes = state.lanes.flatMap((lane) => Lane.safeParse(lane).data ?? [])
    for (const [effectState, open] of Map.groupBy(
      lanes.flatMap(({ effects }) => effects),
      (effect) => effect.state,
    ))
      set('unrip_effects', open.length, effectState)
    set('unrip_cache_hits_total', sum(lanes.map(({ cache }) => cache?.hits ?? 0)))
    set('unrip_cache_misses_total', sum(lanes.map(({ cache }) => cache?.misses ?? 0)))
    for (const [name, n] of Object.entries(state.counters)) {
      const [, prefix = '', rest = ''] = /^([^.]+)\.(.+)$/.exec(name) ?? []
      const own = BY_PREFIX[prefix]
      if (n < 0) continue
      set(own ?? 'unrip_events_total', n, own === undefined ? name : rest)
    }
  }
}

/** Whether the service is armed; strategy and executor have it in their own section, null elsewhere. */
export const armedIn = (state: HostState): boolean | null => {
  for (const section of [state['strategy'], state['executor']])
    if (typeof section === 'object' && section !== null && 'armed' in section) return section.armed === true
  return null
}

const metric = (name: string, { help, labels, type }: (typeof FROM_STATE)[Name], registry: Registry): Counter | Gauge => {
  const options = { name, help, labelNames: [...labels], registers: [registry] }
  return type === 'gauge' ? new Gauge(options) : new Counter(options)
}

/** `reset` alone leaves a 0 behind where there are no labels. */
const clear = (each: Counter | Gauge): void => {
  each.reset()
  each.remove({})
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
