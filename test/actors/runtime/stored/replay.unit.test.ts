import { describe, expect, test } from 'vitest'
import { Replay } from '#actors/runtime/stored/replay.ts'
import type { JournalTurn, Replayed } from '#actors/runtime/stored/replay.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { turnsOf } from '../../../twins/journal.ts'
import { Rig } from '../rig.ts'
import { outside, workerService } from '../worker.ts'

const definition = workerService(outside())

/** Ten turns and a crash: two workers, a message between them, a turn that throws, and what waits behind it. */
const recorded = async (): Promise<{ rig: Rig; turns: JournalTurn[] }> => {
  const rig = new Rig(definition)
  const first = await rig.start()
  rig.put('a', { type: 'note' })
  rig.put('a', { type: 'tell', to: 'b', tell: {} })
  await rig.pass(50)
  rig.put('a', { type: 'say' })
  rig.put('b', { type: 'throw' })
  rig.put('b', { type: 'note' })
  await rig.pass(50)
  first.process.kill()
  await rig.start()
  await rig.pass(5_000)
  rig.put('a', { type: 'end' })
  await rig.pass(50)
  return { rig, turns: turnsOf(rig.lane) }
}

const playAll = (turns: readonly JournalTurn[], of: ServiceDefinition = definition): Replayed[] => {
  const replay = new Replay(of)
  return turns.map((turn) => replay.play(turn))
}

const worker = definition.kinds['worker']!
const ofVersion = (version: number): ServiceDefinition => ({
  ...definition,
  kinds: { ...definition.kinds, worker: { ...worker, version } },
})

describe('a journal that is played once more', () => {
  test('comes to what is stored, through the code that wrote it', async () => {
    const { rig, turns } = await recorded()
    const replay = new Replay(definition)
    const played = turns.map((turn) => replay.play(turn))
    expect(played.flatMap(({ difference }) => difference ?? [])).toEqual([])
    expect(new Set(played.map(({ code }) => code))).toEqual(new Set(['same']))
    expect(played.map(({ turn, skipped }) => `${turn.key} ${turn.outcome} ${skipped}`)).toEqual([
      'a t null',
      'a t null',
      'b t null',
      'a t null',
      'b p nothing taken',
      'b q nothing taken',
      'a t null',
    ])
    expect(replay.actor({ kind: 'worker', key: 'a' })?.state.value).toBe('ended')
    expect(replay.actor({ kind: 'worker', key: 'b' })?.state.context).toEqual({ seen: rig.seen('b') })
    expect(replay.actor({ kind: 'worker', key: 'c' })).toBeNull()
  })

  test('shows each actor before and after each of its turns, with what it asked for', async () => {
    const { turns } = await recorded()
    const said = playAll(turns)[3]
    expect(said?.before?.state.context).toEqual({ seen: ['note', 'tell'] })
    expect(said?.after).toMatchObject({ sequence: 3, state: { context: { seen: ['note', 'tell', 'say'] } } })
    expect(said?.outputs).toMatchObject([{ does: 'message', topic: 'ops.alert_event' }])
  })

  test('says where outputs, sequence or base come out otherwise than they were written', async () => {
    const { turns } = await recorded()
    const other = (index: number, patch: Partial<JournalTurn>) =>
      playAll(turns.map((turn, at) => (at === index ? { ...turn, ...patch } : turn))).findIndex(({ difference }) => difference !== null)
    expect(other(3, { outputHash: new Uint8Array(32) })).toBe(3)
    expect(other(1, { sequence: 7 })).toBe(1)
    const base = turns.find((turn) => turn.base)
    expect(base?.key).toBe('a')
    expect(other(6, { base: Buffer.from(Buffer.from(base!.base!).toString().replace('note', 'nope')) })).toBe(6)
    expect(other(0, { event: Buffer.from('{"type":"unheard"}') })).toBe(0)
  })

  test('from its middle knows an actor from its next base on, and says of the turns before that it does not', async () => {
    const { turns } = await recorded()
    expect(playAll(turns.slice(1)).map(({ skipped }) => skipped)).toEqual([
      'state not known',
      null,
      'state not known',
      'nothing taken',
      'nothing taken',
      null,
    ])
  })

  test('names the turns of other code, and the snapshots that the code at hand does not load', async () => {
    const { turns } = await recorded()
    const played = playAll(turns, ofVersion(2))
    expect(new Set(played.map(({ code }) => code))).toEqual(new Set(['other']))
    expect(played.map(({ difference, skipped }) => difference ?? skipped)).toEqual([
      null,
      null,
      null,
      null,
      'nothing taken',
      'nothing taken',
      'not loadable',
    ])
    expect(played[6]?.why).toContain('version 1')
    expect(playAll(turns, { ...definition, kinds: {} })[0]?.difference).toEqual({
      what: 'machine',
      recorded: 'taken',
      computed: 'no machine of kind worker',
    })
  })
})
