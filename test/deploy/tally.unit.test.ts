import { expect, test } from 'vitest'
import type { Outcome, QuoteLine } from '#deploy/local/quote-book.ts'
import { openGoal, openTally } from '#deploy/local/tally.ts'

const ended = (outcome: Outcome, latency_ms: number | null = null): QuoteLine => ({
  event: 'quote_ended',
  quote_id: 'q',
  outcome,
  reason: outcome,
  direction: 'btc_to_eure',
  gross_edge_pct: null,
  latency_ms,
  note: null,
  resumed: false,
})

test('a summary counts each outcome and takes latency from settled quotes alone', () => {
  const tally = openTally(() => 0)
  for (const line of [
    ended('SETTLED', 30),
    ended('SETTLED', 10),
    ended('SETTLED', 20),
    ended('SKIPPED', 1),
    ended('EXPIRED', 99),
    ended('REJECTED'),
  ]) {
    tally.count(line)
  }
  tally.count({ event: 'quote_progress', quote_id: 'q', state: 'SUBMITTED', latency_ms: 1, note: null })
  expect(tally.summary(0)).toEqual({
    event: 'summary',
    quotes: 6,
    settled: 3,
    expired: 1,
    skipped: 1,
    rejected: 1,
    violations: 0,
    latency_ms: { p50: 20, max: 30 },
    seconds: 0,
  })
})

test('a goal is reached by settled quotes only', async () => {
  const goal = openGoal(2)
  goal.start()
  for (const line of [ended('SETTLED'), ended('EXPIRED'), ended('SKIPPED')]) goal.count(line)
  await expect(Promise.race([goal.reached.then(() => 'reached'), Promise.resolve('open')])).resolves.toBe('open')
  goal.count(ended('SETTLED'))
  await goal.reached
  goal.stop()
})
