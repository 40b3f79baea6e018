import type { Address } from '#machines/contracts/stamp.ts'
import type { Draft } from './draft.ts'
import type { Gate } from './gate.ts'
import type { Inputs } from './inputs.ts'
import type { LaneNow, LaneView } from './lane-options.ts'
import type { Mailbox } from './mailbox.ts'
import { addressOf } from './memory.ts'
import type { Outbox } from '../outbox.ts'
import type { Batch } from '../rows.ts'
import type { MachineState } from '../machine/xstate.ts'

/** What a lane says of itself to others. What a batch has changed it says once that is committed. */
export class LaneReport {
  readonly #now: LaneNow
  readonly #fixed: ReadonlySet<string>
  readonly #inputs: Inputs
  readonly #gate: Gate
  readonly #mailbox: Mailbox
  readonly #outbox: Outbox
  readonly #counters = new Map<string, number>()
  /** fixed actors by address */
  readonly #shown = new Map<string, { state: unknown; context: unknown }>()
  /** topic → the next offset to take */
  readonly #next = new Map<string, number>()
  /** topic → where its partition ended when it was last read */
  readonly #ends = new Map<string, number>()
  /** our clock; 0: this owner has committed nothing */
  lastCommitMs = 0
  turn: number

  constructor(of: { now: LaneNow; fixed: ReadonlySet<string>; inputs: Inputs; gate: Gate; mailbox: Mailbox; outbox: Outbox }) {
    this.#now = of.now
    this.#fixed = of.fixed
    this.#inputs = of.inputs
    this.#gate = of.gate
    this.#mailbox = of.mailbox
    this.#outbox = of.outbox
    this.turn = of.now.memory.turn
  }

  count(name: string, n = 1): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + n)
  }

  /** @param end one above the partition's last record */
  fetched(topic: string, records: number, end: number): void {
    this.#ends.set(topic, end)
    this.count(`fetched.${topic}`, records)
  }

  /** Right after a recovery: what is in memory is what is stored. */
  recovered(): void {
    const { cache, inputs } = this.#now.memory
    for (const address of this.#fixed) {
      const found = cache.peek(address)
      if (found) this.#show(address, found.state)
    }
    for (const { topic, next } of inputs.values()) this.#next.set(topic, next)
  }

  committed(draft: Draft, batch: Batch, atMs: number): void {
    this.lastCommitMs = atMs
    this.turn = batch.turn
    for (const [address, { actor }] of draft.touched) if (this.#fixed.has(address)) this.#show(address, actor.state)
    for (const { topic, next } of draft.inputs.values()) this.#next.set(topic, next)
  }

  /** The next offset to take, as committed. */
  nextOffset(topic: string): number {
    return this.#next.get(topic) ?? 0
  }

  #show(address: string, { value, context }: MachineState): void {
    this.#shown.set(address, { state: value, context })
  }

  /** The committed state of a fixed actor; null: it has none yet. */
  peek(address: Address): { state: unknown; context: unknown } | null {
    return this.#shown.get(addressOf(address)) ?? null
  }

  describe(): LaneView {
    const { lane, epoch, incarnation, batch, halted, effects, timers, parked, cache, marks } = this.#now.memory
    return {
      lane,
      epoch,
      incarnation,
      turn: this.turn,
      batch,
      paused: this.#inputs.paused,
      halted,
      disagreement: this.#gate.disagreement,
      mailbox: this.#mailbox.length,
      timers: timers.size,
      effects: [...Map.groupBy(effects.values(), ({ name, state }) => `${name} ${state}`).values()].map((open) => ({
        name: open[0]!.name,
        state: open[0]!.state,
        open: open.length,
        since_ms: open.reduce((oldest, { sinceMs }) => Math.min(oldest, sinceMs), Number.POSITIVE_INFINITY),
      })),
      marks: marks.describe(),
      parked_actors: parked.size,
      parked: parked.describe(),
      outbox_bytes: this.#outbox.waitingBytes,
      inputs: Object.fromEntries(this.#next),
      lag: Object.fromEntries([...this.#next].map(([topic, next]) => [topic, Math.max(0, (this.#ends.get(topic) ?? next) - next)])),
      cache: { bytes: cache.bytes, hits: cache.hits, misses: cache.misses },
      gate: this.#gate.describe(),
      counters: Object.fromEntries(this.#counters),
      last_commit_ms: this.lastCommitMs,
    }
  }
}
