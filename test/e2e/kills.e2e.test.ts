import { afterAll, beforeAll, expect, test } from 'vitest'
import { SERVICES } from '#deploy/local/services.ts'
import type { ServiceName } from '#deploy/local/services.ts'
import { Random } from '../simulators/random.ts'
import { deploy } from './deployment.ts'
import type { Deployment } from './deployment.ts'
import { leakedSecrets } from './secrets.ts'
import { twinOf } from './twin.ts'
import { brokenPositions } from './topic-log.ts'
import { brokenChains, finals, untilAllEnded, untruths } from './verdicts.ts'

/**
 * kill -9 of each service in turn under load; another seed and number with E2E_SEED and E2E_KILLS. The kills come first, and what the
 * later tests look at is what they left behind.
 */
const SEED = Number(process.env['E2E_SEED'] ?? 1)
const KILLS = Number(process.env['E2E_KILLS'] ?? 20)
const SILENCE_MS = 3_000
/** Somebody else's load on the machine is no fault of ours: so many kills in a hundred may take up to twice as long. */
const SLOW_PERCENT = 10
const GIVE_UP_MS = 20_000

let deployment: Deployment

beforeAll(async () => {
  deployment = await deploy({ args: ['--fresh'], env: { RELEASE: 'e2e-kills', STRATEGY_OFFER_MARGIN_MS: '1500' } })
  await deployment.venues.traffic(true, 4)
})
afterAll(() => deployment?.stop())

test(`${KILLS} kills under load from seed ${SEED}: every service is back within ${SILENCE_MS / 1000} s of its kill`, async ({
  annotate,
}) => {
  const random = new Random(SEED)
  const silences: { service: ServiceName; ms: number }[] = []
  for (let round: ServiceName[] = [], kill = 0; kill < KILLS; kill++) {
    if (round.length === 0) round = [...SERVICES]
    const [service] = round.splice(random.integer(0, round.length - 1), 1)
    if (service === undefined) break
    await passing(random.integer(0, 700))
    silences.push({ service, ms: await silenceAfterKill(service) })
  }
  await annotate(`silence after each kill: ${silences.map(({ service, ms }) => `${service} ${ms} ms`).join(', ')}`)
  const slow = silences.filter(({ ms }) => ms > SILENCE_MS)
  expect(slow.length, JSON.stringify(slow)).toBeLessThanOrEqual((KILLS * SLOW_PERCENT) / 100)
  expect(slow.filter(({ ms }) => ms > 2 * SILENCE_MS)).toEqual([])
  expect(deployment.lines.filter(({ event, state }) => event === 'service' && state === 'restarted')).toHaveLength(KILLS)
})

test.skipIf(process.platform !== 'linux')(
  'an executor that stands still until another has its lanes commits nothing with its old epochs, and sends nothing',
  async () => {
    const pid = deployment.pid('trade-executor')
    const before = await epochs()
    process.kill(pid, 'SIGSTOP')
    const twin = await twinOf(pid)
    try {
      // By the lease, not by asking: the one that stands still cannot answer.
      await expect
        .poll(epochs, { timeout: 10_000, interval: 50 })
        .toSatisfy((now: number[]) => now.every((epoch, lane) => epoch > (before[lane] ?? 0)))
      const commands = deployment.topics.records.filter(({ topic }) => topic === 'exec.trade_result').length
      await deployment.topics.until(
        'results of the new owner',
        () => deployment.topics.records.filter(({ topic }) => topic === 'exec.trade_result').length >= commands + 8 || undefined,
        15_000,
      )
      const taken = await epochs()
      process.kill(pid, 'SIGCONT')
      // It finds its epochs stale, drops its lanes, and is given its share again: with newer ones.
      await expect.poll(async () => (await deployment.control('trade-executor').state())?.lanes.length, { timeout: 10_000 }).toBe(2)
      const shared = (await deployment.control('trade-executor').state())?.lanes as { lane: number; epoch: number }[]
      for (const { lane, epoch } of shared) expect(epoch).toBeGreaterThan(taken[lane] ?? 0)
    } finally {
      process.kill(pid, 'SIGCONT')
      await twin.drain()
    }
    await expect.poll(async () => (await deployment.control('trade-executor').state())?.lanes.length, { timeout: 10_000 }).toBe(4)
  },
)

test('after the kills every request comes to an end, in the topics and in the tables', async () => {
  await expect(untilAllEnded(deployment)).resolves.toBeUndefined()
})

test('after the kills the venues count no violation, and every answered quote has one final result, the true one', async ({ annotate }) => {
  const { violations, answered } = await deployment.venues.report()
  const ends = await finals(deployment)
  const codes = Object.entries(Object.groupBy(ends, ({ result_code }) => result_code)).map(([code, list]) => `${code} ${list?.length}`)
  await annotate(`${answered.length} answered; final results: ${codes.join(', ')}`)
  expect(violations).toEqual([])
  expect(answered.length).toBeGreaterThan(KILLS)
  expect(untruths(answered, ends)).toEqual([])
})

test('after the kills positions are dense from every source in every partition', () => {
  expect(brokenPositions(deployment.topics.records)).toEqual([])
})

test('after the kills no lane has halted and nothing is parked', async () => {
  expect(await deployment.query('SELECT service, lane, halted FROM unrip.lane WHERE halted IS NOT NULL')).toEqual([])
  expect(await deployment.query('SELECT service, lane, kind, key, cause FROM unrip.parked')).toEqual([])
})

test('after the kills the tables hold the linked chain of every quote', async () => {
  expect(await brokenChains(deployment)).toEqual([])
})

test('after the kills no signature and no secret is in a table, a topic, a log, /state or on stdout', async () => {
  expect(await leakedSecrets(deployment)).toEqual([])
})

/** Time goes by; nothing is waited for. */
const passing = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const epochs = async (): Promise<number[]> =>
  (await deployment.query<{ epoch: string }>("SELECT epoch FROM unrip.lane WHERE service = 'trade-executor' ORDER BY lane")).map(
    ({ epoch }) => Number(epoch),
  )

/** These publish only when there is something to tell: they are back when they hold their lanes again. */
const QUIET: readonly ServiceName[] = ['liquidity-manager', 'alert-evaluator']

/** From the kill to the first record of the service's next process; of a quiet one, to all its lanes held again. ms */
const silenceAfterKill = async (service: ServiceName): Promise<number> => {
  const control = deployment.control(service)
  const lanes = (await control.state())?.lanes.length ?? 0
  expect(lanes, service).toBeGreaterThan(0)
  const killedAt = deployment.kill(service)
  if (!QUIET.includes(service)) {
    const first = await deployment.topics.until(
      `a record of ${service}`,
      () => deployment.topics.records.findLast((record) => record.timestampMs > killedAt && isFrom(service, record.headers)),
      GIVE_UP_MS,
    )
    await backInFull(service, lanes)
    return first.timestampMs - killedAt
  }
  await backInFull(service, lanes)
  return Date.now() - killedAt
}

const isFrom = (service: ServiceName, headers: Readonly<Record<string, string>>): boolean => {
  const source = headers['unrip-source'] ?? ''
  return source.startsWith(`${service}/`) || source.startsWith(`${service}#`)
}

const backInFull = async (service: ServiceName, lanes: number): Promise<void> => {
  const control = deployment.control(service)
  const held = async (): Promise<number> => ((await control.ready()) ? ((await control.state())?.lanes.length ?? 0) : 0)
  await expect.poll(held, { timeout: GIVE_UP_MS, interval: 25, message: `${service} holds its lanes again` }).toBe(lanes)
}
