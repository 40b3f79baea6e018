import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Lineage, readSnapshot, SnapshotMismatch, writeSnapshot } from '#actors/runtime/machine/snapshots.ts'
import type { StoredActor } from '#actors/runtime/machine/snapshots.ts'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import type { Migration } from '#machines/contracts/migration.ts'
import { firstMachine, orderMigrations, secondMachine } from '../order-machines.ts'

const first = runnable(firstMachine, 1)
const second = runnable(secondMachine, 2, orderMigrations)
const foundFirst = { version: 1, hash: first.hash }
const foundSecond = { version: 2, hash: second.hash }

const bytes = (stored: object): Uint8Array => Buffer.from(JSON.stringify(stored))
const snapshot = (patch: object = {}): Uint8Array =>
  bytes({ v: 1, h: first.hash, s: 7, value: 'waiting', c: { size: 5, amount: '12' }, ...patch })

const plain: Migration = { from: 1, hashes: ['aa'], snapshot: { up: (each) => each, down: (each) => each } }
const actor: StoredActor = { snapshot: { value: 'a', context: { n: '1' } }, timers: [], effects: [] }

/** Whatever version 1 can hold: its states, any amount, a timer where it waits, an effect where one is open. */
const anyFirst = fc
  .record({
    value: fc.constantFrom('idle', 'waiting', 'settled', 'ended'),
    size: fc.nat(),
    amount: fc.bigInt().map(String),
    dueMs: fc.nat(),
    open: fc.boolean(),
    params: fc.jsonValue(),
  })
  .map(({ value, size, amount, dueMs, open, params }): StoredActor => ({
    snapshot: { value, context: { size, amount } },
    timers:
      value === 'waiting'
        ? [{ timer: 'xstate.after.5000.order.waiting', due_ms: dueMs, event: { type: 'xstate.after.5000.order.waiting' }, cause: null }]
        : [],
    effects: open ? [{ name: 'submit', params: JSON.parse(JSON.stringify(params)) as unknown }] : [],
  }))

describe('a snapshot of an older version', () => {
  it('is loaded by way of its migrations, and says that it is old', () => {
    const { state, sequence, isOld } = second.load(snapshot())
    expect({ value: state.value, context: state.context, sequence, isOld }).toEqual({
      value: 'quick',
      context: { size: 5, amount_units: '12' },
      sequence: 7,
      isOld: true,
    })
    expect(second.load(second.store(state, 8))).toMatchObject({ sequence: 8, isOld: false })
  })

  it('takes timers and effects of its actor along, by what the actor has become', () => {
    const timers = [
      { timer: 'xstate.after.5000.order.waiting', due_ms: 9, event: { type: 'xstate.after.5000.order.waiting' }, cause: null },
    ]
    const effects = [{ name: 'submit', params: { not_after_ms: 1 } }]
    const up = second.upgrade(snapshot({ c: { size: 100, amount: '1' } }), { timers, effects })
    expect(up.timers).toEqual([
      { timer: 'xstate.after.5000.order.careful', due_ms: 9, event: { type: 'xstate.after.5000.order.careful' }, cause: null },
    ])
    expect(up.effects).toEqual([{ name: 'sendOffer', params: { not_after_ms: 1 } }])
  })

  it('is refused where it names another structure than its migration, or no migration starts from it', () => {
    expect(() => second.load(snapshot({ h: 'other' }))).toThrow(/migration from version 1 starts from .*, not from other/)
    expect(() => second.load(snapshot({ v: 0 }))).toThrow(/version 0 .* is older than 2, and no migration starts from it/)
  })

  it('is refused where its migration throws, or leads to a state that does not exist, or to what is no JSON', () => {
    const leading = (up: Migration['snapshot']['up']) =>
      runnable(secondMachine, 2, [{ ...orderMigrations[0]!, snapshot: { ...orderMigrations[0]!.snapshot, up } }])
    const throwing = leading(() => {
      throw new Error('what is this')
    })
    expect(() => throwing.load(snapshot())).toThrow(/migration up between versions 1 and 2: what is this/)
    expect(() => leading((each) => each).load(snapshot())).toThrow(/no state "waiting" in version 2/)
    expect(() => leading(() => ({ value: 'quick', context: { amount_units: 1n } })).load(snapshot())).toThrow(SnapshotMismatch)
  })

  it('is refused where a timer would fire an event that the machine does not have', () => {
    const { timers: _, ...forgetful } = orderMigrations[0]!
    const timers = [
      { timer: 'xstate.after.5000.order.waiting', due_ms: 9, event: { type: 'xstate.after.5000.order.waiting' }, cause: null },
    ]
    expect(() => runnable(secondMachine, 2, [forgetful]).upgrade(snapshot(), { timers, effects: [] })).toThrow(
      /no event xstate.after.5000.order.waiting/,
    )
  })
})

describe('a snapshot of a newer version', () => {
  it('is refused by name, and never guessed at', () => {
    expect(() => first.load(second.store(second.begin(undefined).state, 1))).toThrow(
      `order: version 2 (${second.hash}) is newer than 1: only a release that knows it can take it down`,
    )
  })
})

describe('up and then down', () => {
  it('is the identity for all that version 1 can hold', () => {
    fc.assert(
      fc.property(anyFirst, (stored) => {
        const up = second.lineage.up(foundFirst, stored)
        expect(second.lineage.down(foundSecond, up, 1)).toEqual({ ...stored, ...foundFirst })
      }),
    )
  })

  it('leads through bytes that each version loads', () => {
    fc.assert(
      fc.property(anyFirst, fc.nat(), (stored, sequence) => {
        const old = writeSnapshot({ ...stored.snapshot, ...foundFirst, sequence })
        const { state } = second.load(old)
        const { sequence: _, version, hash, ...young } = readSnapshot(second.store(state, sequence))
        const down = second.lineage.down({ version, hash }, { ...stored, snapshot: young, timers: [] }, 1)
        expect(first.load(writeSnapshot({ ...down.snapshot, ...foundFirst, sequence })).state).toMatchObject(stored.snapshot)
      }),
    )
  })

  it('gives an event of either version its form of that version, told once or twice', () => {
    const old = { type: 'paid', amount: '3', now: 1 }
    const young = { type: 'payment', amount_units: '3', now: 1 }
    const fired = { type: 'xstate.after.5000.order.waiting' }
    const large = { value: 'careful', context: {} }
    expect(second.lineage.event(fired, large)).toEqual({ type: 'xstate.after.5000.order.careful' })
    expect(second.lineage.eventDown(second.lineage.event(fired, large), 1, null)).toEqual(fired)
    for (const event of [old, young]) {
      expect(second.lineage.event(event, null)).toEqual(young)
      expect(second.lineage.eventDown(event, 1, null)).toEqual(old)
    }
  })
})

describe('the stored form', () => {
  it('comes back as it was written, whatever the context and the history', () => {
    const any = fc.record({
      version: fc.nat(),
      hash: fc.string(),
      sequence: fc.nat(),
      value: fc.string(),
      context: fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown),
      history: fc.dictionary(
        fc.string().filter((key) => key !== '__proto__'),
        fc.array(fc.string()),
        { noNullPrototype: true },
      ),
    })
    fc.assert(fc.property(any, (each) => void expect(readSnapshot(writeSnapshot(each))).toEqual(each)))
  })

  it.each(['', 'null', '{}', '{"v":1,"h":"x"}', '\u0000'])('%j is no snapshot, and says so', (text) => {
    expect(() => readSnapshot(Buffer.from(text))).toThrow(SnapshotMismatch)
  })
})

describe('migrations', () => {
  it('that leave a hole, or do not lead to the version at hand, are refused where the machine is loaded', () => {
    const own = { version: 3, hash: 'cc' }
    expect(() => new Lineage('m', own, [plain])).toThrow('m: migrations start from 1, not from 2')
    expect(() => new Lineage('m', own, [plain, { ...plain, from: 2 }])).not.toThrow()
    expect(() => new Lineage('m', own, [plain, plain])).toThrow('m: migrations start from 1, 1, not from 1, 2')
  })

  it('run one after the other, each from the structures that it names, and down to the last release of the version', () => {
    const counting = (from: number, hashes: Migration['hashes']): Migration => ({
      from,
      hashes,
      snapshot: {
        up: ({ value, context }) => ({ value: `${String(value)}${from}`, context }),
        down: ({ value, context }) => ({ value: String(value).slice(0, -1), context }),
      },
    })
    const lineage = new Lineage('m', { version: 3, hash: 'cc' }, [counting(2, ['bb']), counting(1, ['aa', 'a0'])])
    expect(lineage.loads).toEqual([
      { version: 1, hash: 'aa' },
      { version: 1, hash: 'a0' },
      { version: 2, hash: 'bb' },
      { version: 3, hash: 'cc' },
    ])
    const up = lineage.up({ version: 1, hash: 'a0' }, actor)
    expect(up.snapshot.value).toBe('a12')
    expect(lineage.down({ version: 3, hash: 'cc' }, up, 1)).toMatchObject({ snapshot: actor.snapshot, version: 1, hash: 'aa' })
    expect(lineage.down({ version: 1, hash: 'a0' }, actor, 2)).toMatchObject({ snapshot: actor.snapshot, version: 1, hash: 'a0' })
    expect(() => lineage.down({ version: 3, hash: 'cc' }, up, 0)).toThrow('no migration leads down to version 0')
  })
})
