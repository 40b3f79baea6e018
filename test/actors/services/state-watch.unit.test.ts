import { expect, test } from 'vitest'
import { tellChanges } from '#actors/services/state-watch.ts'
import type { HostState } from '#control/host-view.ts'

const state = (change: Partial<HostState> = {}): HostState => ({
  service: 'strategy-engine',
  release: 'r1',
  lifecycle: 'running',
  healthy: true,
  connected: true,
  authoritative: true,
  blocked: [],
  inputs: { price: { at: null, age_ms: 10, stale: false }, inventory: { at: null, age_ms: 10, stale: false } },
  last_success: null,
  counters: {},
  lanes: [],
  strategy: { armed: true },
  ...change,
})

const told = (before: HostState | null, now: HostState): string[] => {
  const lines: string[] = []
  const write = (level: string) => (fields: object) => void lines.push(`${level} ${(fields as { event: string }).event}`)
  tellChanges(before, now, { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') })
  return lines
}
const blocked = (code: string) => ({ blocked: [{ code, since: '2026-11-21T10:00:00.000Z', detail: 'why' }] })
const stale = { at: null, age_ms: 9_000, stale: true }

test('what stays as it is has no line', () => {
  expect(told(state(), state({ counters: { turns: 7 } }))).toEqual([])
  expect(told(state(blocked('NOT_ARMED')), state(blocked('NOT_ARMED')))).toEqual([])
})

test('a price or an inventory that goes stale is a line, and so is its recovery', () => {
  const later = state({ inputs: { price: stale, inventory: stale } })
  expect(told(state(), later)).toEqual(['warn price.stale', 'warn inventory.stale'])
  expect(told(later, state())).toEqual(['info price.fresh', 'info inventory.recovered'])
})

test('each reason to be blocked is a line when it comes, at the first look too, and when it goes', () => {
  expect(told(null, state(blocked('PRICE_STALE')))).toEqual(['warn state.blocked', 'info strategy.armed'])
  expect(told(state(blocked('PRICE_STALE')), state(blocked('KAFKA_UNREACHABLE')))).toEqual(['warn kafka.lost', 'info state.unblocked'])
  expect(told(state(blocked('KAFKA_UNREACHABLE')), state())).toEqual(['info kafka.recovered'])
})

test('that the database is away is left to the lease, which knows it at once', () => {
  expect(told(state(), state(blocked('DATABASE_UNREACHABLE')))).toEqual([])
})

test('arming, disarming and another phase of life are lines', () => {
  const disarmed = state({ strategy: { armed: false }, ...blocked('NOT_ARMED') })
  expect(told(state(), disarmed)).toEqual(['warn state.blocked', 'warn strategy.disarmed'])
  expect(told(disarmed, state())).toEqual(['info state.unblocked', 'info strategy.armed'])
  expect(told(state(), state({ lifecycle: 'paused' }))).toEqual(['info state.lifecycle'])
})
