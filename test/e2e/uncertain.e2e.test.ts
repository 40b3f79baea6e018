import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deploy, runToEnd, temporaryDataDir } from './deployment.ts'
import type { Deployment, Ended, Line } from './deployment.ts'
import { envelopeOf } from './topic-log.ts'
import { requestFor, SIDES } from './venues.ts'
import { brokenChains, finals, untilAllEnded, untruths } from './verdicts.ts'

/**
 * Two starts on the same data: the first runs to its own end, the second is another release, and is armed, misled and starved.
 * The tests are steps of one story, in this order.
 */
const dataDir = temporaryDataDir()
const env = {
  STRATEGY_OFFER_MARGIN_MS: '1500',
  EXECUTOR_ANSWER_TIMEOUT_MS: '700',
  STRATEGY_PRICE_MAX_AGE_MS: '3000',
  STRATEGY_INVENTORY_MAX_AGE_MS: '4000',
  ALERT_PRICE_MAX_AGE_MS: '3000',
  ALERT_INVENTORY_MAX_AGE_MS: '4000',
}
let first: Ended
let second: Deployment

beforeAll(async () => {
  first = await runToEnd({ dataDir, args: ['--fresh', '--quotes', '5'], env: { ...env, RELEASE: 'e2e-first' } })
  second = await deploy({ dataDir, args: ['--disarmed'], env: { ...env, RELEASE: 'e2e-second' } })
  await second.venues.traffic(false)
  // From here on until it is armed, an answer is a violation.
  await second.venues.expectArmed(false)
}, 180_000)
afterAll(async () => {
  try {
    await second?.stop()
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
})

const ended = (lines: readonly Line[]): Line[] => lines.filter(({ event }) => event === 'quote_ended')

test('npm start --quotes 5 --json ends with 0 once five have settled, and leaves nothing running', () => {
  expect(first.code).toBe(0)
  expect(first.lines.map(({ event }) => event)).toContain('ready')
  const summary = first.lines.at(-1)
  expect(summary).toMatchObject({ event: 'summary', violations: 0 })
  expect(Number(summary?.['settled'])).toBeGreaterThanOrEqual(5)
  expect(Number(summary?.['settled'])).toBe(ended(first.lines).filter(({ outcome }) => outcome === 'SETTLED').length)
})

test('a second start has everything that the first one told of, once', async () => {
  const rows = await second.query<{ quote_id: string; decision: string }>('SELECT quote_id, decision FROM trade_decisions')
  expect(new Set(rows.map(({ quote_id }) => quote_id)).size).toBe(rows.length)
  const results = await finals(second)
  for (const line of ended(first.lines)) {
    const ends = results.filter(({ quote_id }) => quote_id === line['quote_id']).map(({ result_code }) => result_code)
    expect(ends, String(line['quote_id'])).toEqual(line['outcome'] === 'SKIPPED' ? [] : [line['reason']])
    expect(rows.filter(({ quote_id }) => quote_id === line['quote_id'])).toHaveLength(1)
  }
  const state = (await second.control('strategy-engine').state())?.['strategy'] as { trades: number }
  expect(state.trades).toBeGreaterThanOrEqual(rows.filter(({ decision }) => decision === 'trade').length)
})

test('offers that were open at the end of the first start come to their true end in the second', async () => {
  const open = async (): Promise<string[]> =>
    (
      await second.query<{ quote_id: string }>(
        "SELECT quote_id FROM quote_chain WHERE decision = 'trade' AND final_result_code IS NULL AND commanded_at < now() - interval '1 second'",
      )
    ).map(({ quote_id }) => quote_id)
  await expect.poll(open, { timeout: 40_000, interval: 250 }).toEqual([])
})

test('inventory goes on where it was: the balances that the venue kept, and versions that only grow', async () => {
  const { balances } = await second.venues.report()
  const records = second.topics.records.filter(({ topic }) => topic === 'state.intent_inventory').map(envelopeOf)
  expect(records.at(-1)?.payload['spendable']).toEqual(balances)
  const versions = records.map(({ payload }) => Number(payload['version']))
  expect(versions).toEqual(versions.toSorted((a, b) => a - b))
})

const [side] = SIDES
const request = async () => {
  if (side === undefined) throw new Error('no sides')
  return { ...requestFor(side, 200, await second.venues.mid()), min_deadline_ms: 3_000, max_wait_ms: 1_500 }
}

/** Opens an auction and answers its decision. */
const decisionOf = async (quoteId: string): Promise<{ decision_reason: string; reasons: string[] }> =>
  second.topics.until(
    `decision of ${quoteId}`,
    () => {
      const found = second.topics.records
        .filter(({ topic }) => topic === 'decision.trade_decision')
        .map(envelopeOf)
        .find(({ payload }) => payload['quote_id'] === quoteId)
      return found && (found.payload as { decision_reason: string; reasons: string[] })
    },
    5_000,
  )

const codesOf = (quoteId: string): string[] =>
  second.topics.records
    .filter(({ topic }) => topic === 'exec.trade_result')
    .map(envelopeOf)
    .filter(({ payload }) => payload['quote_id'] === quoteId)
    .map(({ payload }) => String(payload['result_code']))

const untilCodes = (quoteId: string, codes: readonly string[], ms = 15_000): Promise<void> =>
  expect.poll(() => codesOf(quoteId), { timeout: ms, interval: 50 }).toEqual(codes)

test('a fresh release starts disarmed: it decides NOT_ARMED and answers nothing', async () => {
  for (const [service, section] of [
    ['strategy-engine', 'strategy'],
    ['trade-executor', 'executor'],
  ] as const) {
    const state = await second.control(service).state()
    expect(state?.release).toBe('e2e-second')
    expect(state?.[section]).toMatchObject({ armed: false })
    expect(state?.blocked.map(({ code }) => code)).toContain('NOT_ARMED')
  }
  const quoteId = await second.venues.open(await request())
  expect(await decisionOf(quoteId)).toMatchObject({ decision_reason: 'NOT_ARMED' })
})

test('an executor that is not armed ends a command with DISARMED and sends nothing', async () => {
  expect((await second.control('strategy-engine').order('/arm'))['strategy']).toMatchObject({ armed: true })
  const quoteId = await second.venues.open(await request())
  await untilCodes(quoteId, ['DISARMED'])
  expect((await second.venues.auction(quoteId)).responses).toBe(0)
})

test('it is armed by the order, and from then on it answers', async () => {
  await second.venues.expectArmed(true)
  expect((await second.control('trade-executor').order('/arm'))['executor']).toMatchObject({ armed: true })
  const quoteId = await second.venues.open(await request())
  await untilCodes(quoteId, ['SUBMITTED', 'SETTLED'])
})

test('a relay that takes a response and never answers: UNCERTAIN, then SETTLED where it was used and EXPIRED_UNUSED where it was not', async () => {
  const { venues } = second
  const answered = (quoteId: string) =>
    expect.poll(async () => (await venues.auction(quoteId)).responses, { timeout: 5_000, interval: 20 }).toBe(1)
  await venues.fault({ name: 'relay.swallow_executed', count: 1 })
  const used = await venues.open({ ...(await request()), min_deadline_ms: 8_000, settle_delay_ms: 2_500 })
  await answered(used)
  await venues.fault({ name: 'relay.swallow_dropped', count: 1 })
  const dropped = await venues.open(await request())
  await answered(dropped)
  await venues.fault({ name: 'relay.error_but_settles', count: 1 })
  const refused = await venues.open(await request())
  await untilCodes(refused, ['REJECTED', 'SETTLED'])
  await untilCodes(used, ['UNCERTAIN', 'SETTLED'])
  await untilCodes(dropped, ['UNCERTAIN', 'EXPIRED_UNUSED'])
})

test('a disarm stops responses at once, under load', async () => {
  const { venues } = second
  await venues.traffic(true, 12)
  const before = (await venues.report()).answered.length
  await expect.poll(async () => (await venues.report()).answered.length, { timeout: 10_000, interval: 50 }).toBeGreaterThan(before + 8)
  expect((await second.control('trade-executor').order('/disarm'))['executor']).toMatchObject({ armed: false })
  await venues.expectArmed(false)
  const auctions = (await venues.report()).auctions
  await expect.poll(async () => (await venues.report()).auctions, { timeout: 10_000, interval: 50 }).toBeGreaterThan(auctions + 10)
  await venues.traffic(false)
  expect((await venues.report()).violations).toEqual([])
  await second.control('trade-executor').order('/arm')
  await venues.expectArmed(true)
})

const alerts = (alert: string): string[] =>
  second.topics.records
    .filter(({ topic }) => topic === 'ops.alert_event')
    .map(envelopeOf)
    .filter(({ payload }) => payload['alert'] === alert)
    .map(({ payload }) => String(payload['transition']))

test('a stale price raises its alert and blocks decisions with PRICE_STALE; both are over when it comes again', async () => {
  const { venues } = second
  await venues.fault({ name: 'kraken.silence' })
  await venues.fault({ name: 'coingecko.status', value: 429 })
  await expect.poll(() => alerts('stale-price').at(-1), { timeout: 15_000, interval: 50 }).toBe('raised')
  const quoteId = await venues.open(await request())
  expect(await decisionOf(quoteId)).toMatchObject({ decision_reason: 'PRICE_STALE' })
  expect((await second.control('strategy-engine').state())?.blocked.map(({ code }) => code)).toContain('PRICE_STALE')
  await venues.clearFaults()
  await expect.poll(() => alerts('stale-price').at(-1), { timeout: 30_000, interval: 50 }).toBe('cleared')
  expect((await decisionOf(await venues.open(await request()))).decision_reason).toBe('TRADE')
})

test('a stale inventory raises its alert and blocks decisions with INVENTORY_STALE; both are over when it is read again', async () => {
  const { venues } = second
  await venues.fault({ name: 'rpc.dead' })
  await expect.poll(() => alerts('stale-inventory').at(-1), { timeout: 15_000, interval: 50 }).toBe('raised')
  await expect
    .poll(async () => (await second.control('strategy-engine').state())?.blocked.map(({ code }) => code), { timeout: 5_000 })
    .toContain('INVENTORY_STALE')
  expect(await decisionOf(await venues.open(await request()))).toMatchObject({ decision_reason: 'INVENTORY_STALE' })
  await venues.clearFaults()
  await expect.poll(() => alerts('stale-inventory').at(-1), { timeout: 30_000, interval: 50 }).toBe('cleared')
  expect((await decisionOf(await venues.open(await request()))).decision_reason).toBe('TRADE')
})

test('after all that: no violation, one true final result for every answered quote, and the chain of each in the tables', async () => {
  expect(await untilAllEnded(second)).toEqual([])
  const { violations, answered } = await second.venues.report()
  expect(violations).toEqual([])
  const ids = new Set(
    second.topics.records
      .filter(({ topic }) => topic === 'exec.trade_result')
      .map((record) => String(envelopeOf(record).payload['quote_id'])),
  )
  const own = new Set(answered.map(({ quote_id }) => quote_id))
  // The venues forget who asked before their own start; those quotes are checked against what the first start told.
  const results = (await finals(second)).filter(({ quote_id }) => own.has(quote_id))
  expect(ids.size).toBeGreaterThan(own.size)
  expect(untruths(answered, results)).toEqual([])
  expect(await brokenChains(second)).toEqual([])
})

test('run.json names the services as they run, for npx unrip', () => {
  const run = JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as {
    services: Record<string, { pid: number }>
    simulators: { url: string }
  }
  expect(run.services['trade-executor']?.pid).toBe(second.pid('trade-executor'))
  expect(run.simulators.url).toMatch(/^http/)
})

test('Ctrl-C drains, prints the summary, removes run.json and leaves nothing running', async () => {
  const { code, lines } = await second.stop()
  expect(code).toBe(0)
  expect(lines.at(-1)).toMatchObject({ event: 'summary', violations: 0 })
  expect(() => readFileSync(join(dataDir, 'run.json'))).toThrow('ENOENT')
})
