import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { storeFence } from '#actors/services/trade-executor/fence.ts'
import { definition } from '#actors/services/trade-executor/actors.ts'
import { Env } from '#actors/services/trade-executor/config.ts'
import { clock, COMMON, Loop } from '../loop.ts'

const directory = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'fence-'))
  onTestFinished(() => rmSync(made, { recursive: true }))
  return join(made, 'state')
}
const LANE = { lane: 2, epoch: 1, incarnation: 'one', turn: 0 }

test('a new lane agrees, and so does each later epoch of it, also in a process of its own', () => {
  const path = directory()
  expect(storeFence(path).taken(LANE)).toBeNull()
  expect(storeFence(path).taken({ ...LANE, epoch: 2, turn: 40 })).toBeNull()
  expect(storeFence(path).taken({ ...LANE, epoch: 5, turn: 90 })).toBeNull()
  expect(JSON.parse(readFileSync(join(path, 'fence.json'), 'utf8'))).toEqual({
    lanes: { 2: { incarnation: 'one', epoch: 5, disagreement: null } },
  })
  expect(readdirSync(path)).toEqual(['fence.json'])
})

test.each([
  ['another incarnation', { incarnation: 'two', epoch: 9 }, /incarnation two.* has one/],
  ['the epoch that was already seen', { epoch: 5 }, /epoch 5.* has seen 5/],
  ['an older epoch', { epoch: 3 }, /epoch 3.* has seen 5/],
])('a database with %s disagrees', (_, says, why) => {
  const path = directory()
  storeFence(path).taken({ ...LANE, epoch: 5 })
  expect(storeFence(path).taken({ ...LANE, turn: 7, ...says })).toMatch(why)
})

test('a lane with turns disagrees where the file is gone, and where the file knows only other lanes', () => {
  expect(storeFence(directory()).taken({ ...LANE, turn: 3 })).toMatch(/3 turns .* is not there/)
  const path = directory()
  storeFence(path).taken({ ...LANE, lane: 0 })
  expect(storeFence(path).taken({ ...LANE, turn: 3 })).toMatch(/has not heard of it/)
})

test('a disagreement outlives restarts, though the epochs have grown past it, until it is accepted', () => {
  const path = directory()
  storeFence(path).taken({ ...LANE, epoch: 5 })
  const first = storeFence(path).taken({ ...LANE, epoch: 4, turn: 7 })
  expect(storeFence(path).taken({ ...LANE, epoch: 8, turn: 7 })).toBe(first)
  storeFence(path).accept({ ...LANE, epoch: 8, turn: 9 })
  expect(storeFence(path).taken({ ...LANE, epoch: 9, turn: 9 })).toBeNull()
})

test('a file that cannot be read, or a place that cannot be written, is a disagreement', () => {
  const path = directory()
  storeFence(path).taken(LANE)
  writeFileSync(join(path, 'fence.json'), '{"lanes":')
  expect(storeFence(path).taken({ ...LANE, epoch: 2 })).toMatch(/fence.json/)
  storeFence(path).accept({ ...LANE, epoch: 2 })
  expect(storeFence(path).taken({ ...LANE, epoch: 3, turn: 1 })).toBeNull()
  const belowFile = join(path, 'fence.json', 'below')
  expect(storeFence(belowFile).taken(LANE)).toMatch(/ENOTDIR/)
  expect(() => storeFence(belowFile).accept(LANE)).toThrow(/ENOTDIR/)
})

test('without a directory everything agrees', () => {
  expect(storeFence(undefined).taken({ ...LANE, turn: 9 })).toBeNull()
})

const executor = definition(
  Env.parse({ ...COMMON, NEAR_INTENTS_RELAY_WS_URL: 'ws://127.0.0.1:1/ws', NEAR_RPC_URLS: 'http://127.0.0.1:1' }),
  {
    nowMs: clock.wallMs,
    account_id: 'solver.near',
    authority: () => ({ signer: 'ready', salt: '252812b3', problem: null, checked_at_ms: 0 }),
    salts: () => [],
    actor: () => [],
    sendOffer: { mode: 'idempotent', send: async () => ({}) },
  },
)

test('over a database that was put back, arming is refused and nothing is armed, until an order reconcile', async () => {
  const path = directory()
  const loop = new Loop()
  onTestFinished(() => loop.stop())
  const start = async (): Promise<void> => {
    await loop.run(executor, 'r1', storeFence(path))
    await expect.poll(() => loop.hosts['trade-executor']?.lanes().length, { timeout: 5_000 }).toBe(2)
  }
  const states = (): unknown[] => (loop.hosts['trade-executor']?.actor('arm', 'arm') ?? []).map(({ state }) => state)

  await start()
  const backup = loop.store.backup()
  expect(await loop.order('trade-executor', 'arm')).toMatchObject({ outcome: 'done' })
  await loop.stop()
  loop.store.restore(backup)
  await start()

  expect(loop.hosts['trade-executor']?.lifecycle).toBe('recovering')
  expect(await loop.order('trade-executor', 'arm')).toMatchObject({ outcome: 'refused', code: 'STATE_DISAGREES' })
  expect(states()).toEqual(['disarmed', 'disarmed'])
  expect(await loop.order('trade-executor', 'reconcile')).toMatchObject({ outcome: 'done' })
  expect(loop.hosts['trade-executor']?.lifecycle).toBe('running')
  expect(await loop.order('trade-executor', 'arm')).toMatchObject({ outcome: 'done' })
  expect(states()).toEqual(['armed', 'armed'])
})

test('a wiped directory disarms what was armed, and reconciling does not arm it again', async () => {
  const path = directory()
  const loop = new Loop()
  onTestFinished(() => loop.stop())
  await loop.run(executor, 'r1', storeFence(path))
  await expect.poll(() => loop.hosts['trade-executor']?.lanes().length, { timeout: 5_000 }).toBe(2)
  await loop.order('trade-executor', 'arm')
  await loop.stop()
  rmSync(path, { recursive: true })
  await loop.run(executor, 'r1', storeFence(path))
  const host = (): unknown =>
    loop.hosts['trade-executor']?.actor('arm', 'arm').map(({ state, context }) => [state, (context as { by: string }).by])
  await expect.poll(host).toEqual([
    ['disarmed', 'fence'],
    ['disarmed', 'fence'],
  ])
  expect(await loop.order('trade-executor', 'reconcile')).toMatchObject({ outcome: 'done' })
  expect(host()).toEqual([
    ['disarmed', 'fence'],
    ['disarmed', 'fence'],
  ])
})
