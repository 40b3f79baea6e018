import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Host } from '#actors/runtime/host.ts'
import type { ActorKind } from '#actors/runtime/service.ts'
import { takeDown } from '#actors/runtime/stored/snapshots-down.ts'
import type { DownOptions } from '#actors/runtime/stored/snapshots-down.ts'
import { systemClock } from '#actors/runtime/system-clock.ts'
import { partitionOf } from '#bus/murmur2.ts'
import { snapshots } from '#deploy/cli/snapshots.ts'
import { laneKey, NEAR_INTENTS } from '#machines/contracts/ids.ts'
import { laneStore } from '#storage/lane-store.ts'
import { storeReads } from '#storage/reads.ts'
import { rewriting } from '#storage/rewriting.ts'
import { freshDatabase, TEST_LANES } from '#test/storage/database.ts'
import type { TestDatabase } from '#test/storage/database.ts'
import { silent } from '#test/storage/silent.ts'
import { memoryBus } from '#test/twins/bus.ts'
import { firstKind, orderService, secondKind } from './order-machines.ts'
import { envelope, FEED } from './rig.ts'
import { outside } from './worker.ts'

/** A real change of a machine over what its old version has stored, forth and back, on PostgreSQL and in real time. */

const SERVICE = 'strategy-engine'
const TOPIC = 'norm.swap_demand'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.drop())

const bus = memoryBus({ partitions: TEST_LANES, schedule: (step) => void setImmediate(step) })
const positions = new Map<number, number>()
const parkedHere: string[] = []
const venue = outside()

/** Every key is its own pair, so that keys are spread over the lanes. */
const tell = (key: string, event: object): void => {
  const partition = partitionOf(laneKey(NEAR_INTENTS, key), TEST_LANES)
  const position = (positions.get(partition) ?? 0) + 1
  positions.set(partition, position)
  const headers = { 'unrip-source': 'feed#1', 'unrip-incarnation': FEED, 'unrip-position': String(position) }
  const plain = envelope(TOPIC, key, event, `${partition} ${position}`)
  const value = Buffer.from(JSON.stringify({ ...plain, payload: { ...plain.payload, pair: key } }))
  bus.write([{ topic: TOPIC, partition, key, value, headers }])
}

interface Release {
  readonly host: Host
  stop(): Promise<void>
}

const started = async (release: string, kind: ActorKind): Promise<Release> => {
  const store = laneStore({ connectionString: database.roleUrls[SERVICE]!, applicationName: release, log: silent })
  const log = { debug() {}, info() {}, warn: (_: object, text: string) => void parkedHere.push(text), error() {} }
  const link = bus.connect()
  const host = new Host({
    definition: orderService(SERVICE, kind, venue),
    release,
    process: randomUUID(),
    store,
    bus: link,
    clock: systemClock,
    log,
    meter: { count() {}, observe() {} },
    partitionOf: (key) => partitionOf(key, TEST_LANES),
    wantedLanes: TEST_LANES,
    url: () => `http://${release}`,
    onBroken: (error) => void parkedHere.push(error.message),
  })
  await host.start()
  return {
    host,
    stop: async () => {
      await host.drain()
      await link.close()
      await store.close()
    },
  }
}

const holdsAll = ({ host }: Release) => expect.poll(() => host.lanes().length, { timeout: 10_000 }).toBe(TEST_LANES)

const reading = async <T>(read: (from: ReturnType<typeof storeReads>) => Promise<T>): Promise<T> => {
  const reads = storeReads({ connectionString: database.roleUrls['operator']! })
  return read(reads).finally(() => reads.close())
}

const order = (key: string) =>
  reading(async (from) => {
    const found = await from.actor(SERVICE, 'order', key)
    return found && { version: found.version, state: found.state, ...(found.context as object) }
  })
const becomes = (key: string, wanted: object) => expect.poll(() => order(key), { timeout: 15_000, interval: 100 }).toEqual(wanted)
const openEffects = async () => {
  const detail = await reading((from) => from.actor(SERVICE, 'order', 'offered'))
  return detail?.effects.map((each) => each as { name: string; state: string }) ?? []
}

/** As the command line of a release does it. */
const cli = async <T>(role: string, kind: ActorKind, use: (of: ReturnType<typeof snapshots>) => Promise<T>): Promise<T> => {
  const of = snapshots({ database: database.roleUrls[role], kafka: undefined }, {}, async () => orderService(SERVICE, kind, venue))
  return use(of).finally(() => of.close())
}
const checked = (kind: ActorKind) => cli('operator', kind, (of) => of.check({ services: [SERVICE], limit: 100, progress: () => {} }))
const takenDown = (to: string[], kind = secondKind) =>
  cli(SERVICE, kind, (of) => of.down({ service: SERVICE, to, by: 'ana', reason: 'r2 is wrong', progress: () => {} }))

const NOTHING = { size: 0 }

test('actors of version 1 go on in version 2 and, taken down, in version 1 again: nothing is lost, and nothing is sent twice', async () => {
  // --- release 1 ---
  const first = await started('r1', firstKind)
  await holdsAll(first)
  for (const key of ['small', 'large', 'offered', 'poisoned', 'over', 'quiet'])
    tell(key, { type: 'begin', size: key === 'large' ? 100 : 1 })
  for (const key of ['small', 'large']) tell(key, { type: 'paid', amount: '3' })
  tell('offered', { type: 'offer' })
  tell('poisoned', { type: 'paid', amount: 'unreadable' })
  tell('poisoned', { type: 'paid', amount: '5' })
  await expect
    .poll(() => checked(firstKind).then(({ services }) => services[0]), { timeout: 10_000 })
    .toMatchObject({ timers: 6, parked: 2 })
  await becomes('small', { version: 1, state: 'waiting', size: 1, amount: '3' })
  await expect.poll(() => venue.sent.length).toBe(1)
  await first.stop()

  // --- the gate ---
  const unmigrated: ActorKind = { ...secondKind, migrations: [] }
  const refused = await checked(unmigrated)
  expect(refused.services).toMatchObject([{ service: SERVICE, effects: 1, parked: 2, not_loadable: 6 + 2 }])
  expect(refused.findings.find(({ key }) => key === 'small')).toMatchObject({
    what: 'snapshot',
    version: 1,
    reason: expect.stringContaining('is older than 2, and no migration starts from it'),
  })
  const passed = await checked(secondKind)
  expect(passed).toMatchObject({ services: [{ not_loadable: 0, timers: 6, parked: 2 }], findings: [] })

  // A release whose code cannot load them takes no lane.
  const wrong = await started('wrong', unmigrated)
  await expect.poll(() => [...wrong.host.notLoadable.keys()].length).toBe(TEST_LANES)
  expect(wrong.host.lanes()).toEqual([])
  await wrong.stop()

  // --- release 2 ---
  const second = await started('r2', secondKind)
  await holdsAll(second)
  tell('small', { type: 'payment', amount_units: '4' })
  tell('late', { type: 'begin', size: 100 })
  tell('spoilt', { type: 'payment', amount_units: 'unreadable still' })
  // By their timers, which were armed under another name.
  await becomes('large', { version: 2, state: 'settled', size: 100, amount_units: '3' })
  await becomes('small', { version: 2, state: 'settled', size: 1, amount_units: '7' })
  await becomes('quiet', { version: 2, state: 'settled', size: 1, amount_units: '0' })
  await becomes('late', { version: 2, state: 'careful', size: 100, amount_units: '0' })
  tell('over', { type: 'finish' })
  await becomes('over', { version: 2, state: 'ended', size: 1, amount_units: '0' })
  expect(await openEffects()).toMatchObject([{ name: 'sendOffer', state: 'uncertain' }])
  expect(venue.asked.length).toBeGreaterThan(0)

  // --- and back ---
  await expect(takenDown(['r1'])).rejects.toMatchObject({
    code: 'NOT_TAKEN_DOWN',
    message: expect.stringMatching(/is not drained: .*release r2, http:\/\/r2/),
  })
  tell('late', { type: 'payment', amount_units: '2' })
  tell('later', { type: 'begin', size: 1 })
  await becomes('later', { version: 2, state: 'quick', ...NOTHING, size: 1, amount_units: '0' })
  await second.stop()

  const tooEarly = await started('r1', firstKind)
  await expect.poll(() => [...tooEarly.host.notLoadable.keys()].length).toBe(TEST_LANES)
  await tooEarly.stop()

  await expect(takenDown(['r0'])).rejects.toMatchObject({ code: 'NO_SUCH_RELEASE' })
  await interruptedDown()
  expect((await checked(secondKind)).services).toMatchObject([{ not_loadable: 0 }])
  const down = await takenDown(['r1'])
  expect(down.targets).toEqual({ order: 1 })
  expect((await checked(firstKind)).findings).toEqual([])
  const told = await reading((from) => from.orders({ service: SERVICE, limit: 10 }))
  expect(told[0]).toMatchObject({ by: 'ana', reason: 'r2 is wrong', body: { order: 'snapshots-down', to: { order: 1 } } })
  expect(told.flatMap(({ lanes }) => lanes).every(({ answer }) => answer !== null)).toBe(true)
  const parked = await reading((from) => from.parked({ service: SERVICE, limit: 10 }))
  expect(parked.find(({ key }) => key === 'spoilt')?.event).toMatchObject({ type: 'paid', amount: 'unreadable still' })

  // --- release 1 again ---
  const third = await started('r1', firstKind)
  await holdsAll(third)
  await becomes('late', { version: 1, state: 'settled', size: 100, amount: '2' })
  await becomes('later', { version: 1, state: 'settled', size: 1, amount: '0' })
  tell('small', { type: 'paid', amount: '1' })
  await becomes('small', { version: 1, state: 'settled', size: 1, amount: '8' })
  expect(await openEffects()).toMatchObject([{ name: 'submit', state: 'uncertain' }])
  await third.stop()
  expect(venue.sent).toHaveLength(1)
}, 90_000)

test('a lane that may hold what the code at hand cannot load does not pass the gate, though nothing of it is left', async () => {
  await database.admin((client) =>
    client.query(`INSERT INTO unrip.lane_structure (service, lane, structure) VALUES ($1, 1, 'order 0 dead')`, [SERVICE]),
  )
  const host = await started('r1', firstKind)
  await expect.poll(() => [...host.host.notLoadable.keys()]).toEqual([1])
  await host.stop()
  const { services, findings } = await checked(firstKind)
  expect(services).toMatchObject([{ not_loadable: 1 }])
  expect(findings).toMatchObject([{ lane: 1, what: 'mark', kind: 'order', key: '', version: 0, hash: 'dead' }])
  const same = <T>(snapshot: T): T => snapshot
  const still: ActorKind = { ...firstKind, migrations: [{ from: 0, hashes: ['dead'], snapshot: { up: same, down: same } }] }
  expect((await checked(still)).findings).toEqual([])
  await takenDown(['order=1'], still)
  expect((await checked(firstKind)).findings).toEqual([])
})

/** Dies after its first batch; what it has written stays, and no older release may have the lanes. */
const interruptedDown = async (): Promise<void> => {
  const options = { connectionString: database.roleUrls[SERVICE]!, applicationName: 'down', log: silent }
  const [store, rewrite, reads] = [laneStore(options), rewriting(options), storeReads(options)]
  let commits = 0
  const dying: DownOptions['store'] = {
    ...store,
    commit: (...args) => (++commits > 1 ? Promise.reject(new Error('killed')) : store.commit(...args)),
  }
  const attempt = takeDown(
    {
      definition: orderService(SERVICE, secondKind, venue),
      targets: new Map([['order', 1]]),
      store: dying,
      lanes: { ...rewrite, stored: reads.stored, processes: reads.processes },
      clock: systemClock,
      process: randomUUID(),
      release: 'r2',
      by: 'ana',
      reason: 'interrupted',
      progress: () => {},
    },
    TEST_LANES,
  )
  await expect(attempt).rejects.toThrow('killed')
  await Promise.all([store.close(), rewrite.close(), reads.close()])
  const { services } = await checked(secondKind)
  expect(Object.keys(services[0]?.structures ?? {}).filter((structure) => structure.startsWith('order '))).toHaveLength(2)
  const old = await started('r1', firstKind)
  await expect.poll(() => old.host.lanes().length + old.host.notLoadable.size).toBe(TEST_LANES)
  expect(old.host.notLoadable.size).toBeGreaterThan(0)
  await old.stop()
}
