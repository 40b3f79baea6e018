import assert from 'node:assert/strict'
import { expect, onTestFinished, test } from 'vitest'
import { FollowedTables } from '#actors/runtime/tables.ts'
import { definition } from '#actors/services/trade-executor/actors.ts'
import { Env } from '#actors/services/trade-executor/config.ts'
import type { Means } from '#machines/command/assess.ts'
import type { SaltsContext, SeenSalt } from '#machines/command/salts.ts'
import { clock, COMMON, Loop } from '../loop.ts'

const NAME = 'trade-executor'
const seen = (salt: string, first_seen_ms: number): SeenSalt => ({ salt, first_seen_ms })
const log = { debug() {}, info() {}, warn() {}, error() {} }

/** An executor process that has seen these salts. */
const executor = (loop: Loop, salts: readonly SeenSalt[]) =>
  definition(Env.parse({ ...COMMON, NEAR_INTENTS_RELAY_WS_URL: 'ws://127.0.0.1:1/ws', NEAR_RPC_URLS: 'http://127.0.0.1:1' }), {
    nowMs: clock.wallMs,
    account_id: 'solver.near',
    authority: () => ({ signer: 'ready', salt: salts.at(-1)?.salt ?? null, problem: null, checked_at_ms: 0 }),
    salts: () => salts,
    actor: (kind, key) => loop.hosts[NAME]?.actor(kind, key) ?? [],
    sendOffer: { mode: 'idempotent', send: async () => ({}) },
  })

test('every lane keeps the salts that its owners have seen, and a command gets those of all of them', async () => {
  const loop = new Loop()
  onTestFinished(() => loop.stop())
  const kept = (): readonly string[][] =>
    (loop.hosts[NAME]?.actor('salts', 'lane') ?? []).map(({ context }) => (context as SaltsContext).recent.map(({ salt }) => salt))
  const within = { timeout: 5_000, interval: 5 }

  const salts = [seen('aaaaaaaa', 1)]
  await loop.run(executor(loop, salts))
  await expect.poll(kept, within).toEqual([['aaaaaaaa'], ['aaaaaaaa']])
  salts.push(seen('bbbbbbbb', 2))
  loop.hosts[NAME]?.tellLearnt()
  await expect.poll(kept, within).toEqual([
    ['aaaaaaaa', 'bbbbbbbb'],
    ['aaaaaaaa', 'bbbbbbbb'],
  ])

  await loop.stop()
  const successor = executor(loop, [seen('cccccccc', 3)])
  await loop.run(successor)
  const all = ['aaaaaaaa', 'bbbbbbbb', 'cccccccc']
  await expect.poll(kept, within).toEqual([all, all])
  const means = successor.attach?.['command.received']?.(new FollowedTables({}, log)) as Means | undefined
  assert(means)
  expect(means).toMatchObject({ salt: 'cccccccc', recent_salts: all })
})
