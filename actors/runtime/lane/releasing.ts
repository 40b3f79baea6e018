import type { Draft } from './draft.ts'
import type { EffectRunner } from './effects.ts'
import type { Gate } from './gate.ts'
import type { Inputs } from './inputs.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'
import { addressOf } from './memory.ts'
import type { Outbox } from '../outbox.ts'
import type { Batch, JournalRow } from '../rows.ts'

const ARM_KEY = 'arm'
const OUTCOMES = { t: 'taken', i: 'ignored', p: 'parked', q: 'queued', d: 'dropped' } as const

/** Lets go what a batch has asked for, once it is committed and not before (L1): records, effects, the gate, what others wait for. */
export class Releasing {
  readonly #options: LaneOptions
  readonly #now: LaneNow
  readonly #inputs: Inputs
  readonly #gate: Gate
  readonly #outbox: Outbox
  readonly #effects: EffectRunner

  constructor(of: { options: LaneOptions; now: LaneNow; inputs: Inputs; gate: Gate; outbox: Outbox; effects: EffectRunner }) {
    this.#options = of.options
    this.#now = of.now
    this.#inputs = of.inputs
    this.#gate = of.gate
    this.#outbox = of.outbox
    this.#effects = of.effects
  }

  release(draft: Draft, batch: Batch): void {
    const { meter, reader, onCommitted, onEmitted } = this.#options
    const { lane, incarnation, cache } = this.#now.memory
    cache.settle(new Map([...draft.touched].map(([address, { actor }]) => [address, actor])))
    const gate = this.#options.definition.gate
    const arm = gate && draft.touched.get(addressOf({ kind: gate.kind, key: ARM_KEY }))
    if (arm) this.#gate.armed = arm.actor.state.value === 'armed'
    if (draft.emitted.length > 0) {
      this.#outbox.add(draft.batch, incarnation, draft.emitted, batch.outbox)
      onEmitted?.(draft.emitted)
    }
    this.#logParked(draft)
    this.#runEffects(draft)
    for (const release of draft.released) release()
    this.#inputs.committed(draft)
    if (draft.inputs.size > 0) reader.commit(lane, Object.fromEntries([...draft.inputs.values()].map(({ topic, next }) => [topic, next])))
    const outcomes = new Map<JournalRow['outcome'], number>()
    for (const { outcome } of batch.journal) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    for (const [outcome, n] of outcomes) meter.count('unrip_turns_total', n, { outcome: OUTCOMES[outcome] })
    meter.count('unrip_batches_total', 1, { result: 'committed' })
    meter.observe('unrip_batch_turns', batch.journal.length)
    onCommitted(
      lane,
      batch.orders.map(({ id }) => id),
    )
  }

  #logParked(draft: Draft): void {
    const { log } = this.#options
    const { lane } = this.#now.memory
    for (const { kind, key, cause, origin } of draft.parked)
      log.warn({ event: 'event.parked', lane, actor: `${kind}/${key}`, origin }, cause)
    for (const { turn, cause, done } of draft.letters.values())
      if (done !== '' || cause !== '') log.info({ event: done === '' ? 'letter.parked_again' : 'letter.done', lane, turn }, done || cause)
  }

  #runEffects(draft: Draft): void {
    for (const row of draft.effects.values()) {
      if (row.state === 'void') this.#effects.stop(row.effect)
      else if (this.#effects.has(row.effect)) continue
      else if (row.state === 'pending') this.#effects.start(row)
      else if (row.state === 'uncertain') this.#effects.takeOver({ ...row, state: 'pending' })
    }
  }
}
