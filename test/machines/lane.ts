import type { AnyStateMachine } from 'xstate'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import type { Output } from '#actors/runtime/machine/xstate-names.ts'
import type { Machine, MachineState } from '#actors/runtime/machine/xstate.ts'
import type { Address } from '#machines/contracts/stamp.ts'

type PlainEvent = { readonly type: string; readonly [field: string]: unknown }

/**
 * Actors of one lane without a host: events in, tells run in the same batch, everything else collected. Each snapshot goes
 * through JSON after every turn, as it would through the store.
 */
export class TestLane {
  readonly #kinds: Record<string, { machine: Machine; input: (key: string) => unknown; attach?: (type: string) => object | undefined }>
  readonly #actors = new Map<string, MachineState>()
  readonly dropped: string[] = []
  #turn = 0
  now = 1_790_000_000_000

  constructor(
    kinds: Record<string, { machine: AnyStateMachine; input: (key: string) => unknown; attach?: (type: string) => object | undefined }>,
  ) {
    this.#kinds = Object.fromEntries(
      Object.entries(kinds).map(([kind, { machine, ...rest }]) => [kind, { ...rest, machine: runnable(machine, 1) }]),
    )
  }

  /** Runs one event and all that is told in consequence; answers what left the lane. */
  send(to: Address, event: PlainEvent): Output[] {
    const queue = [{ to, event }]
    const left: Output[] = []
    for (let next = queue.shift(); next; next = queue.shift())
      for (const output of this.#take(next.to, next.event)) {
        if (output.does === 'tell') queue.push({ to: output.to, event: output.event })
        else left.push(output)
      }
    return left
  }

  state(to: Address): MachineState | null {
    return this.#actors.get(`${to.kind}/${to.key}`) ?? null
  }

  context<C>(to: Address): C {
    return this.state(to)?.context as C
  }

  contexts<C>(kind: string): C[] {
    return [...this.#actors].filter(([address]) => address.startsWith(`${kind}/`)).map(([, { context }]) => context as C)
  }

  /** bytes of an actor's stored snapshot */
  size(to: Address): number {
    const [kind, state] = [this.#kinds[to.kind], this.state(to)]
    return kind && state ? kind.machine.store(state, 1).length : 0
  }

  #take(to: Address, event: PlainEvent): readonly Output[] {
    const kind = this.#kinds[to.kind]
    if (!kind) throw new Error(`no kind ${to.kind}`)
    const { machine } = kind
    if (!machine.knows(event.type)) throw new Error(`${to.kind} knows no event ${event.type}`)
    const address = `${to.kind}/${to.key}`
    const before = this.#actors.get(address) ?? machine.begin(kind.input(to.key)).state
    if (before.status === 'done') {
      this.dropped.push(`${to.kind}.${event.type}`)
      return []
    }
    const attached = kind.attach?.(event.type)
    const stamped = { ...event, ...(attached && { attached }), now: this.now, id: `test:${(this.#turn += 1)}`, cause: null }
    const { state, outputs } = machine.turn(before, stamped)
    this.#actors.set(address, machine.load(machine.store(state, this.#turn)).state)
    return JSON.parse(JSON.stringify(outputs)) as Output[]
  }
}
