import { assign, setup } from 'xstate'
import type { AnyMachineSnapshot } from 'xstate'
import { unpackOutbox } from '#actors/runtime/outbox.ts'
import { Replay } from '#actors/runtime/stored/replay.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { Rig } from '../actors/runtime/rig.ts'
import type { Running } from '../actors/runtime/rig.ts'
import { turnsOf } from '../twins/journal.ts'
import type { Case, Model } from './models.ts'
import { Coverage, generate } from './paths.ts'

/** When a process dies: never, in the commit's answer (nothing of the batch has left), or once everything has left. */
type Crash = 'never' | 'between commit and release' | 'after the release'

/** What a walk leaves behind; the same whatever died on the way. */
export interface Walked {
  readonly crashes: number
  /** null where somebody died: it went the same way or it is wrong */
  readonly coverage: Coverage | null
  /** every turn: actor, sequence, event as it was taken, outcome, hash of what it asked for */
  readonly turns: readonly string[]
  readonly snapshots: readonly string[]
  readonly timers: readonly string[]
  readonly effects: readonly string[]
  readonly parked: readonly string[]
  /** topic, position and text of each record that has left, once each, as receivers' marks let it through */
  readonly records: readonly string[]
}

const KIND = 'walker'
const TOPIC = 'norm.swap_demand'

/** Whoever the machine tells: it counts. */
const listenerMachine = setup({ types: { context: {} as Record<string, number> } }).createMachine({
  id: 'listener',
  context: {},
  on: { '*': { actions: assign(({ context, event }) => ({ [event.type]: (context[event.type] ?? 0) + 1 })) } },
})

/** An actor a generated path of this machine, all in one lane of one host. */
const walkersOf = (model: Model): { key: string; path: readonly Case[] }[] =>
  (model.inputs ?? [undefined]).flatMap((input, index) =>
    generate(model, input).paths.map((path, number) => ({ key: `${index}:${number}`, path })),
  )

/** A service around one machine: nobody outside ever answers, and whoever it tells is there. */
const serviceOf = (model: Model, walkers: ReturnType<typeof walkersOf>): ServiceDefinition => {
  const machine = runnable(model.machine, 1)
  const inputOf = (key: string): unknown => model.inputs?.[Number(key.split(':')[0])]
  const asked = walkers.flatMap(({ key, path }) => {
    let { state, outputs } = machine.begin(inputOf(key))
    const all = [...outputs]
    for (const event of path) {
      ;({ state, outputs } = machine.turn(state, event))
      all.push(...outputs)
    }
    return all
  })
  const silence = (): Promise<never> => new Promise(() => {})
  const askFirst = { mode: 'ask first', send: silence, ask: silence, askAfterMs: 1_000, askEveryMs: 1_000 } as const
  return {
    name: 'walks',
    lanes: 'keyed',
    kinds: {
      [KIND]: { machine: model.machine, version: 1, input: inputOf },
      lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) },
      ...Object.fromEntries(
        asked.flatMap((output) =>
          output.does === 'tell' ? [[output.to.kind, { machine: listenerMachine, version: 1, input: () => undefined }]] : [],
        ),
      ),
    },
    inputs: {
      [TOPIC]: ({ payload }) => ({ to: { kind: KIND, key: payload.quote_id }, event: payload['event'] as { type: string } }),
    },
    effects: Object.fromEntries(
      asked.flatMap((output) => {
        if (output.does === 'read') return [[output.name, { mode: 'idempotent', send: silence } as const]]
        if (output.does !== 'effect') return []
        return [[output.name, output.mode === 'ask first' ? askFirst : ({ mode: output.mode, send: silence } as const)]]
      }),
    ),
    orders: {},
    configure: [],
    retainEndedMs: 1_000_000,
  }
}

/**
 * Every generated path of a machine on a real host, an event a round: each round's events come as records, are taken,
 * committed and released, and every timer that is due by the events' own time fires. With a crash the process dies at
 * each commit, or after each round, and a successor takes over once its lease has run out.
 * @param asTold  says without any crash what a crash makes of an open `ask first` effect: it is uncertain, and its actor is told once
 */
export const walk = async (model: Model, crash: Crash, { asTold = false } = {}): Promise<Walked> => {
  const walkers = walkersOf(model)
  const definition = serviceOf(model, walkers)
  const rig = new Rig(definition)
  rig.wallMs = Math.min(...model.events.map(({ now }) => now))
  let running: Running = await rig.start()
  let crashes = 0
  let put = 0
  const kill = (): void => {
    if (running.process.dead) return
    crashes++
    running.process.kill()
  }
  rig.store.onStep = (step, { batch }) => {
    if (crash === 'between commit and release' && step === 'commit:after' && (batch?.journal.length ?? 0) > 0) kill()
  }
  /** Until everything has been taken, by whomever. */
  const settled = async (): Promise<void> => {
    for (let turn = -1; turn !== rig.lane.turn || (put > 0 && rig.lane.inputs.get(TOPIC)?.next !== put);) {
      turn = rig.lane.turn
      await rig.pass(20)
      if (!running.process.dead) continue
      running = await rig.start()
      while (running.host.lanes().length === 0) await rig.pass(100)
      turn = -1
    }
  }
  const round = async (): Promise<void> => {
    await settled()
    if (crash !== 'after the release') return
    kill()
    await settled()
  }

  const told = new Set<string>()
  const left = new Map(walkers.map((walker) => [walker, 0]))
  while (left.size > 0) {
    const wall = rig.wallMs
    const ready = [...left].filter(([{ path }, at]) => path[at]!.now <= wall)
    if (ready.length === 0) {
      const next = Math.min(...[...left].map(([{ path }, at]) => path[at]!.now))
      rig.wallMs = next
      // Who waits for a timer wakes up by itself.
      await rig.pass(next - wall)
      await round()
      continue
    }
    for (const [walker, at] of ready) {
      rig.put(walker.key, walker.path[at]!, { eventId: `${walker.key} ${at}` })
      put++
      if (at + 1 === walker.path.length) left.delete(walker)
      else left.set(walker, at + 1)
    }
    await round()
    if (!asTold) continue
    const open = [...rig.lane.effects.values()].filter(
      ({ mode, state, effect }) => mode === 'ask first' && state === 'pending' && !told.has(effect),
    )
    for (const { effect, key, name, body } of open) {
      told.add(effect)
      put++
      const { cause } = JSON.parse(Buffer.from(body).toString()) as { cause: { event_id: string } }
      rig.put(key, { type: `${name}.uncertain`, effect }, { eventId: cause.event_id })
    }
    if (open.length > 0) await settled()
  }
  if (rig.broken.length > 0) throw new Error(rig.broken.join('; '))
  running.process.kill()
  return { crashes, coverage: crash === 'never' ? covered(rig, definition) : null, ...leftBehind(rig, definition) }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

/** What its turns went through, out of its journal. */
const covered = ({ lane }: Rig, { kinds }: ServiceDefinition): Coverage => {
  const { machine, input } = kinds[KIND]!
  const coverage = new Coverage(machine)
  const replay = new Replay({ kinds })
  for (const turn of turnsOf(lane)) {
    const { before, event } = replay.play(turn)
    if (turn.kind !== KIND) continue
    if (turn.sequence === 1) coverage.begun(input(turn.key))
    if (before && event) coverage.took(before.state.snapshot as AnyMachineSnapshot, event)
  }
  return coverage
}

const leftBehind = ({ lane, bus }: Rig, definition: ServiceDefinition): Omit<Walked, 'crashes' | 'coverage'> => {
  const topics = new Set(lane.outbox.flatMap(({ blob }) => (blob ? unpackOutbox(blob).map(({ topic }) => topic) : [])))
  const records = [...topics].flatMap((topic) =>
    bus.log(topic).flatMap(({ headers, value }) => {
      const { 'unrip-source': source, 'unrip-position': position } = headers
      return source === `${definition.name}/0` ? [`${topic} ${position} ${text(value ?? new Uint8Array(0))}`] : []
    }),
  )
  return {
    turns: lane.journal.map(
      ({ kind, key, sequence, event, outcome, outputHash }) =>
        `${kind}/${key} ${sequence} ${text(event)} ${outcome} ${Buffer.from(outputHash).toString('hex')}`,
    ),
    snapshots: [...lane.actors.values()].map(({ kind, key, status, body }) => `${kind}/${key} ${status} ${text(body)}`),
    timers: [...lane.timers.values()].map(({ key, timer, token, dueMs }) => `${key} ${timer} ${token} ${dueMs}`),
    // Whether it is uncertain is the crash's own trace.
    effects: [...lane.effects.values()].map(
      ({ effect, key, name, mode, state, body }) => `${effect} ${key} ${name} ${mode === 'ask first' ? mode : state} ${text(body)}`,
    ),
    parked: lane.parked.map(({ kind, key, cause }) => `${kind}/${key}: ${cause}`),
    records: [...new Set(records)],
  }
}
