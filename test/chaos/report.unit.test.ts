import { expect, test } from 'vitest'
import type { Ran } from './chaos.ts'
import type { Fault } from './plan.ts'
import { isClean, progressText, reportOf, reportText } from './report.ts'
import type { Takeover } from './takeover.ts'
import type { Verdict } from './verdict.ts'

const nothing: Verdict = { doubles: [], losses: [], stuck: [], wrong: [], counts: { demands: 9, commands: 7, answered: 6, records: 99 } }
const ran = (fault: Fault, more: Partial<Ran> = {}): Ran => ({
  step: { fault, pauseMs: 0, meanwhile: null },
  outcome: 'done',
  why: null,
  takeovers: [],
  wholeAfterMs: 100,
  stuck: [],
  ...more,
})
const took = (turnMs: number | null, by: Takeover['by'] = 'itself anew'): Takeover => ({
  service: 'trade-executor',
  lane: 0,
  by,
  takenMs: 1_000,
  turnMs,
  cpuMs: 500,
})
const kill: Fault = { kind: 'kill', services: ['trade-executor'], beside: false }
const full: Fault = { kind: 'disk full', forMs: 1_000, log: false }
const base = { seed: 1, steps: 3, seconds: 1, faults: [] }

test('kills are counted wherever they fell, a skipped fault is never a done one', () => {
  const inTheMiddle = ran(full, { step: { fault: full, pauseMs: 0, meanwhile: { service: 'history-writer', afterMs: 0 } } })
  const report = reportOf({ ...base, verdict: nothing, ran: [ran(kill), inTheMiddle, ran(full, { outcome: 'skipped', why: 'no mount' })] })
  expect(report.kills).toBe(2)
  expect(report.faults['disk full']).toMatchObject({ done: 1, skipped: 1 })
  expect(report.skipped).toEqual(['disk full: no mount'])
  expect(reportText(report)).toContain('skipped: disk full: no mount')
})

test('takeovers by a process anew and by another are told apart; a lane that committed nothing counts only as taken', () => {
  const takeovers = [took(1_200), took(1_400), took(null), took(700, 'another process')]
  const { takeover } = reportOf({ ...base, verdict: nothing, ran: [ran(kill, { takeovers })] })
  expect(takeover['itself anew']).toEqual({
    taken: { count: 3, p50: 1_000, p99: 1_000, max: 1_000 },
    turn: { count: 2, p50: 1_200, p99: 1_400, max: 1_400 },
  })
  expect(takeover['another process'].turn).toEqual({ count: 1, p50: 700, p99: 700, max: 700 })
})

test.each([
  ['doubles', { verdict: { ...nothing, doubles: ['q1: 2 decisions'] } }],
  ['losses', { verdict: { ...nothing, losses: ['demand of q1 has no end'] } }],
  ['wrong', { verdict: { ...nothing, wrong: ['q1: settled unanswered'] } }],
  ['stuck', { verdict: { ...nothing, stuck: ['offer of q1'] } }],
  ['what did not come back', { ran: [ran(kill, { stuck: ['trade-executor is not ready'] })] }],
  ['what did not end in order', { faults: ['npm start ended with 1'] }],
  ['a verdict that is missing', { verdict: null }],
])('a run is not clean because of %s', (_, wrong) => {
  const clean = { ...base, verdict: nothing, ran: [ran(kill)] }
  expect(isClean(reportOf(clean))).toBe(true)
  expect(isClean(reportOf({ ...clean, ...wrong }))).toBe(false)
})

test('a line of progress says what was done, and how it went', () => {
  expect(progressText(ran(kill, { takeovers: [took(1_234)] }), 3, 30, 'kill -9 trade-executor')).toBe(
    '   3/30  kill -9 trade-executor: whole after 0.1 s; takeovers 1234 ms',
  )
  expect(progressText(ran(full, { outcome: 'skipped', why: 'no mount' }), 1, 2, 'full')).toBe('   1/2  full: skipped: no mount')
})
