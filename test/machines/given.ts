import type { AnyStateMachine } from 'xstate'
import type { Output } from '#actors/runtime/machine/xstate-names.ts'
import type { MachineState } from '#actors/runtime/machine/xstate.ts'
import { runnable } from '#actors/runtime/machine/xstate.ts'

export interface Given {
  readonly state: MachineState
  readonly value: unknown
  readonly context: Record<string, unknown>
  /** of the last event */
  readonly outputs: readonly Output[]
  readonly changed: boolean
  /** `now` defaults to the last event's */
  when(type: string, fields?: object, now?: number): Given
  /** The timers armed now: name to the ms at which they are due. */
  readonly timers: ReadonlyMap<string, number>
  /** Lets the earliest timer fire. */
  elapse(): Given
  messages(topic?: string): Record<string, unknown>[]
  effects(name?: string): { name: string; params: unknown }[]
  tells(): { to: { kind: string; key: string }; event: { type: string } }[]
}

/** Given, when, then through the runtime's own `turn()`: the stamps that the runtime would put on, timers kept. */
export const given = (machine: AnyStateMachine, input?: unknown, startMs = 1_800_000_000_000): Given => {
  const run = runnable(machine, 1)
  const from = (
    state: MachineState,
    outputs: readonly Output[],
    changed: boolean,
    now: number,
    timers: Map<string, Armed>,
    turn: number,
  ): Given => ({
    state,
    value: state.value,
    context: state.context as Record<string, unknown>,
    outputs,
    changed,
    timers: new Map([...timers].map(([name, { due }]) => [name, due])),
    when: (type, fields = {}, at = now) => {
      if (!run.knows(type)) throw new Error(`${run.id} knows no ${type}`)
      const turned = run.turn(state, { type, ...fields, now: at, id: `inc:${turn + 1}`, cause: null } as { type: string })
      // Every state must survive storage.
      const stored = run.load(run.store(turned.state, turn + 1)).state
      return from(stored, turned.outputs, turned.changed, at, armed(timers, turned.outputs, at), turn + 1)
    },
    elapse: () => {
      const first = [...timers].sort(([, a], [, b]) => a.due - b.due)[0]
      if (!first) throw new Error('no timer is armed')
      const [name, { due, event }] = first
      const rest = new Map(timers)
      rest.delete(name)
      const turned = run.turn(state, { ...event, now: Math.max(now, due), id: `inc:${turn + 1}`, cause: null } as { type: string })
      const at = Math.max(now, due)
      return from(
        run.load(run.store(turned.state, turn + 1)).state,
        turned.outputs,
        turned.changed,
        at,
        armed(rest, turned.outputs, at),
        turn + 1,
      )
    },
    messages: (topic) =>
      outputs
        .filter((output) => output.does === 'message' && (!topic || output.topic === topic))
        .map((output) => (output as Message).params.payload),
    effects: (name) =>
      outputs.flatMap((output) =>
        output.does === 'effect' && (!name || output.name === name) ? [{ name: output.name, params: output.params }] : [],
      ),
    tells: () => outputs.flatMap((output) => (output.does === 'tell' ? [{ to: output.to, event: output.event }] : [])),
  })
  const { state, outputs } = run.begin(input)
  return from(state, outputs, true, startMs, armed(new Map(), outputs, startMs), 0)
}

interface Message {
  readonly params: { readonly payload: Record<string, unknown> }
}

interface Armed {
  readonly due: number
  readonly event: { readonly type: string }
}

const armed = (timers: ReadonlyMap<string, Armed>, outputs: readonly Output[], now: number): Map<string, Armed> => {
  const next = new Map(timers)
  for (const output of outputs) {
    if (output.does === 'cancel timer') next.delete(output.timer)
    if (output.does === 'set timer') next.set(output.timer, { due: now + output.delayMs, event: output.event })
  }
  return next
}
