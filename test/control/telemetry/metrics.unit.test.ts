import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import type { Meter } from '#actors/runtime/ports.ts'
import { COUNTERS, FROM_STATE, HISTOGRAMS } from '#control/telemetry/metric-table.ts'
import { makeRegistry, metrics } from '#control/telemetry/metrics.ts'
import { stateMetrics } from '#control/telemetry/state-metrics.ts'
import { fakeHost } from '../http/fake-host.ts'

test('what is counted and observed is exposed under its name and labels', async () => {
  const registry = new Registry()
  const meter = metrics(registry)
  meter.count('unrip_turns_total', 3, { outcome: 'taken' })
  meter.count('unrip_epochs_lost_total')
  meter.observe('unrip_commit_duration_seconds', 0.004)
  const text = await registry.metrics()
  expect(text).toContain('unrip_turns_total{outcome="taken"} 3')
  expect(text).toContain('unrip_epochs_lost_total 1')
  expect(text).toContain('unrip_commit_duration_seconds_bucket{le="0.005"} 1')
})

test('a counter is 0 before its first event, for each value of its label that is known', async () => {
  const registry = new Registry()
  metrics(registry)
  expect(await registry.metrics()).toContain('unrip_epochs_lost_total 0')
  expect(await registry.metrics()).toContain('unrip_gate_refused_total{reason="too late"} 0')
})

test('the meter fits what the runtime asks for; an unknown name or label is counted as misuse and throws nothing', async () => {
  const registry = new Registry()
  const meter: Meter = metrics(registry)
  meter.count('unrip_invented_total')
  meter.count('unrip_turns_total', 1, { quote_id: 'q-1' })
  meter.count('unrip_turns_total', -1, { outcome: 'taken' })
  expect(await registry.metrics()).toContain('unrip_meter_misuse_total 3')
})

test('what /state says is read off it anew at each scrape', async () => {
  const registry = new Registry()
  const refresh = stateMetrics(registry, () => 10_000)
  const { state } = fakeHost()
  const blocked = [{ code: 'PRICE_STALE', since: '', detail: '' }]
  const open = { name: 'send', state: 'uncertain' }
  const lanes = [
    {
      lane: 0,
      cache: { bytes: 900, hits: 3, misses: 1 },
      effects: [
        { ...open, open: 1, since_ms: 7_500 },
        { ...open, open: 2, since_ms: 4_000 },
      ],
      lag: { 'exec.trade_result': 12 },
      marks: { 'exec.trade_result': { count: 2, moved_ms: 9_000 } },
      parked_actors: 1,
    },
    { lane: 1, halted: { code: 'OFFSET_LOST' }, parked_actors: 2, marks: { 'exec.trade_result': { count: 3, moved_ms: 9_750 } } },
  ]
  refresh({ ...state, blocked, lanes, counters: { 'dropped.quote.due': 2, 'relay.ok': 5, turns: 12 } }, false)
  const before = await registry.metrics()
  for (const line of [
    'unrip_ready 0',
    'unrip_armed 0',
    'unrip_blocked{code="PRICE_STALE"} 1',
    'unrip_input_age_seconds{input="price"} 0.12',
    'unrip_effects{state="uncertain"} 3',
    'unrip_effects{state="pending"} 0',
    'unrip_effect_age_seconds{state="uncertain"} 6',
    'unrip_lanes_owned 2',
    'unrip_lanes_halted 1',
    'unrip_parked 3',
    'unrip_lag_records{topic="exec.trade_result",lane="0"} 12',
    'unrip_marks{topic="exec.trade_result"} 5',
    'unrip_mark_age_seconds{topic="exec.trade_result"} 0.25',
    'unrip_cache_hits_total 3',
    'unrip_dropped_total{event="quote.due"} 2',
    'unrip_events_total{event="relay.ok"} 5',
    'unrip_events_total{event="turns"} 12',
  ])
    expect(before).toContain(`${line}\n`)
  const { strategy: _, ...unarmed } = state
  refresh({ ...unarmed, counters: { 'dropped.quote.due': 3 } }, true)
  const after = await registry.metrics()
  expect(after).toContain('unrip_ready 1\n')
  expect(after).toContain('unrip_dropped_total{event="quote.due"} 3\n')
  expect(after).not.toMatch(/^unrip_(blocked|armed|events_total)[ {]/m)
})

test('names follow the habits: prefix, unit, _total on counters only, few buckets in order', () => {
  expect(Object.keys(COUNTERS).filter((name) => !/^unrip_[a-z_]+_total$/.test(name))).toEqual([])
  expect(Object.keys(HISTOGRAMS).filter((name) => /_(total|count|sum|bucket)$/.test(name))).toEqual([])
  for (const [name, { type }] of Object.entries(FROM_STATE)) expect(name.endsWith('_total'), name).toBe(type === 'counter')
  for (const { buckets } of Object.values(HISTOGRAMS)) {
    expect(buckets.length).toBeLessThanOrEqual(14)
    expect([...buckets].toSorted((a, b) => a - b)).toEqual([...buckets])
  }
})

test('a process says its service, release and what Node uses', async () => {
  const registry = makeRegistry({ service: 'inventory-sync', release: 'abc123' })
  const text = await registry.metrics()
  expect(text).toContain('unrip_build_info{release="abc123",service="inventory-sync"} 1')
  expect(text).toContain('process_cpu_seconds_total')
  expect(text).toContain('nodejs_eventloop_lag_p99_seconds')
})
