import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Readings } from '#control/cli/readings.ts'
import { createTopics } from '#bus/set-up.ts'
import { readings } from '#deploy/cli/readings.ts'
import { ensureStack } from '#deploy/local/stack.ts'
import { laneStore } from '#storage/lane-store.ts'
import { freshDatabase, TEST_LANES } from '../../storage/database.ts'
import type { TestDatabase } from '../../storage/database.ts'
import { actorRow, bytesOf, journalRow, takeFree } from '../../storage/lane.ts'
import { silent } from '../../bus/silent.ts'

const STRATEGY = 'strategy-engine'
/** user:password@ */
const PASSWORD = /:[^[:@/]+@/
let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
  const store = laneStore({ connectionString: database.roleUrls[STRATEGY] ?? '', applicationName: 'test', log: silent })
  await store.lanes(STRATEGY, TEST_LANES)
  const lane = await takeFree(store, STRATEGY, 0)
  await lane.commitNext({
    actors: [actorRow('a', { sequence: 3 })],
    journal: [1, 2, 3].map((sequence) => journalRow('a', { sequence, nowMs: sequence * 1_000, outcome: sequence === 3 ? 'p' : 't' })),
    inputs: [{ topic: 'norm.swap_demand', entered: 0, enteredAtMs: 4, next: 0 }],
    parked: [{ turn: 3, kind: 'counter', key: 'a', cause: 'it threw', origin: 'timer expiry', event: bytesOf('{"type":"due"}') }],
  })
  await store.deregister(lane.process)
  await store.close()
})
afterAll(() => database.drop())

const opened = (role: string, kafka?: string): Readings => {
  const reads = readings({ database: database.roleUrls[role], kafka })
  onTestFinished(() => reads.close())
  return reads
}

test('the operator sees parked events, of all services or of one', async () => {
  const reads = opened('operator')
  const [letter] = await reads.deadLetters({ limit: 5 })
  expect(letter).toMatchObject({
    service: STRATEGY,
    lane: 0,
    kind: 'counter',
    key: 'a',
    cause: 'it threw',
    done: null,
    event: { type: 'due' },
  })
  expect(await reads.deadLetters({ service: STRATEGY, limit: 5 })).toHaveLength(1)
  await expect(reads.deadLetters({ service: 'strategy', limit: 5 })).rejects.toMatchObject({ code: 'NO_SUCH_SERVICE' })
})

test('a role that sees nothing is told so, instead of "none"', async () => {
  const reads = opened('trade-executor')
  await expect(reads.deadLetters({ limit: 5 })).rejects.toMatchObject({
    code: 'SEES_NOTHING',
    message: expect.not.stringMatching(PASSWORD),
  })
  await expect(reads.past({ kind: 'counter', key: 'a' }, { at: 1 })).rejects.toMatchObject({ code: 'SEES_NOTHING' })
})

test('an unknown quote has no chain', async () => {
  expect(await opened('operator').quoteChain('none')).toBeNull()
})

test('lag is told by service for the topics that it has entered', async () => {
  const { brokers } = await ensureStack()
  await createTopics({ brokers, lanes: TEST_LANES, log: silent })
  const reads = opened('operator', brokers)
  // A topic that has just been made may not have its leaders yet.
  await expect.poll(() => reads.lag(STRATEGY).then((rows) => rows.length, String), { timeout: 20_000 }).toBe(TEST_LANES)
  expect((await reads.lag())[0]).toMatchObject({ service: STRATEGY, topic: 'norm.swap_demand', partition: 0, lag: expect.any(Number) })
})

test('a database or a broker that is unknown or does not answer is named, without its password', async () => {
  expect(() => readings({ database: undefined, kafka: undefined })).toThrow('set DATABASE_URL')
  await expect(opened('operator').lag()).rejects.toMatchObject({ code: 'NO_BROKERS' })
  const nowhere = readings({ database: 'postgres://ana:hunter2@127.0.0.1:1/unrip', kafka: undefined })
  onTestFinished(() => nowhere.close())
  await expect(nowhere.quoteChain('q-1')).rejects.toMatchObject({
    code: 'NO_DATABASE',
    message: expect.stringMatching(/^postgres:\/\/ana:\[secret\]@127\.0\.0\.1:1\/unrip: .*ECONNREFUSED/),
  })
})
