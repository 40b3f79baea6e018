import { afterAll, beforeAll, expect, test } from 'vitest'
import { deploy } from './deployment.ts'
import type { Deployment } from './deployment.ts'
import { leakedSecrets, secretsIn } from './secrets.ts'
import { brokenPositions, envelopeOf } from './topic-log.ts'
import { requestFor, SIDES } from './venues.ts'
import { brokenChains, finals, untilAllEnded, untruths } from './verdicts.ts'

/** The loop as it is meant to run, with nothing in its way. Every auction is open before the first is looked at. */

let deployment: Deployment
const opened = new Map<string, string>()

beforeAll(async () => {
  deployment = await deploy({ args: ['--fresh'], env: { RELEASE: 'e2e-loop', STRATEGY_OFFER_MARGIN_MS: '1500' } })
  const { venues } = deployment
  await venues.traffic(false)
  const mid = await venues.mid()
  const open = async (name: string, order: Parameters<typeof venues.open>[0]): Promise<void> => {
    opened.set(name, await venues.open({ min_deadline_ms: 3_000, max_wait_ms: 1_500, ...order }))
  }
  for (const [index, side] of SIDES.entries()) await open(side.name, { ...requestFor(side, 150 + 20 * index, mid), plan: 'accept' })
  const [btcIn, , eureIn] = SIDES
  if (btcIn === undefined || eureIn === undefined) throw new Error('no sides')
  for (const plan of ['lose', 'ignore', 'fail'] as const) await open(plan, { ...requestFor(btcIn, 200, mid), plan })
  await open('BTC above the cap', { ...requestFor(btcIn, 700, mid), plan: 'accept' })
  await open('EURe above the cap', { ...requestFor(eureIn, 700, mid), plan: 'accept' })
})
afterAll(() => deployment?.stop())

const idOf = (name: string): string => opened.get(name) ?? name

const endOf = async (name: string): Promise<string[]> =>
  (await finals(deployment)).filter(({ quote_id }) => quote_id === idOf(name)).map(({ result_code }) => result_code)

test('every request comes to an end, in the topics and in the tables', async () => {
  expect(await untilAllEnded(deployment)).toEqual([])
})

test.each(SIDES.map(({ name }) => name))('a taken offer settles: %s', async (name) => {
  expect(await endOf(name)).toEqual(['SETTLED'])
  expect((await deployment.venues.auction(idOf(name))).outcome).toBe('settled')
})

test.each(['lose', 'ignore', 'fail'])('an offer that is not used expires: %s', async (name) => {
  expect((await deployment.venues.auction(idOf(name))).responses).toBe(1)
  expect(await endOf(name)).toEqual(['EXPIRED_UNUSED'])
})

test.each(['BTC above the cap', 'EURe above the cap'])(
  'a request above the cap is skipped with its reason and never answered: %s',
  async (name) => {
    const rows = await deployment.query<{ decision: string; decision_reason: string; command_id: string | null }>(
      'SELECT decision, decision_reason, command_id FROM trade_decisions WHERE quote_id = $1',
      [idOf(name)],
    )
    expect(rows).toEqual([{ decision: 'skip', decision_reason: 'NOTIONAL_ABOVE_CAP', command_id: null }])
    expect((await deployment.venues.auction(idOf(name))).responses).toBe(0)
  },
)

test('the simulated venues count no violation, and hold the truth that the tables hold', async () => {
  const { violations, answered } = await deployment.venues.report()
  expect(violations).toEqual([])
  expect(answered.length).toBeGreaterThanOrEqual(SIDES.length + 3)
  expect(untruths(answered, await finals(deployment))).toEqual([])
})

test('the tables hold the linked chain of every quote', async () => {
  expect(await brokenChains(deployment)).toEqual([])
})

test('what is credited afterwards is published as spendable, and nothing stays reserved', async () => {
  const { balances } = await deployment.venues.report()
  await deployment.topics.until(
    `an inventory of ${JSON.stringify(balances)}`,
    () => {
      const latest = deployment.topics.records.findLast(({ topic }) => topic === 'state.intent_inventory')
      const spendable = latest && (envelopeOf(latest).payload['spendable'] as Record<string, string>)
      return Object.entries(balances).every(([token, units]) => spendable?.[token] === units) || undefined
    },
    10_000,
  )
  const state = (await deployment.control('strategy-engine').state())?.['strategy'] as {
    reservations: Record<string, string>
    open_offers: number
  }
  expect(state.open_offers).toBe(0)
  expect(Object.values(state.reservations).filter((units) => units !== '0')).toEqual([])
})

test('every ended quote is a line on stdout, once', () => {
  const ended = deployment.lines.filter(({ event }) => event === 'quote_ended')
  for (const name of opened.keys()) {
    const own = ended.filter(({ quote_id }) => quote_id === idOf(name))
    expect(own, name).toHaveLength(1)
    expect(own[0], name).toMatchObject({ outcome: expect.any(String), reason: expect.any(String), latency_ms: expect.any(Number) })
  }
})

test('positions are dense from every source in every partition', () => {
  expect(brokenPositions(deployment.topics.records)).toEqual([])
})

test('no signature and no secret is in a table, a topic, a log, /state or on stdout', async () => {
  expect(secretsIn(`{"signature":"ed25519:${'3'.repeat(87)}"}`)).toHaveLength(1)
  expect(await leakedSecrets(deployment)).toEqual([])
})
