import { createHash } from 'node:crypto'
import type { HistoryRow } from '#machines/contracts/history-row.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import { toBytes } from './json.ts'
import type { Item } from './mailbox.ts'
import type { Emitted } from './outbox.ts'
import { packOutbox } from './outbox.ts'
import type { ActorRow, Batch, EffectRow, Halt, InputRow, JournalRow, MarkRow, ParkedRow, SentRow, TimerRow } from './ports.ts'
import type { CachedActor } from './snapshot-cache.ts'

export interface TouchedActor {
  readonly address: Address
  readonly actor: CachedActor
  readonly row: () => ActorRow
}

/** One batch while its turns are computed: the deltas of one transaction, and what is released once it is committed. */
export class Draft {
  readonly batch: number
  readonly nowMs: number
  readonly items: Item[] = []
  readonly touched = new Map<string, TouchedActor>()
  readonly journal: JournalRow[] = []
  readonly attached: object[] = []
  readonly attachedAt = new Map<string, number>()
  readonly emitted: Emitted[] = []
  readonly timersSet = new Map<string, TimerRow>()
  readonly timersOff = new Map<string, { kind: string; key: string; timer: string }>()
  readonly effects = new Map<string, EffectRow>()
  readonly inputs = new Map<string, InputRow>()
  readonly marks = new Map<string, MarkRow>()
  readonly sent = new Map<string, SentRow>()
  readonly orders: { id: number; answer: object }[] = []
  readonly parked: ParkedRow[] = []
  readonly history: HistoryRow[] = []
  /** run after the commit, in order */
  readonly released: (() => void)[] = []
  halted: Halt | null | undefined

  constructor(batch: number, nowMs: number) {
    this.batch = batch
    this.nowMs = nowMs
  }

  setTimer(row: TimerRow): void {
    const at = `${row.kind}\n${row.key}\n${row.timer}`
    this.timersOff.delete(at)
    this.timersSet.set(at, row)
  }

  cancelTimer({ kind, key, timer }: { kind: string; key: string; timer: string }): void {
    const at = `${kind}\n${key}\n${timer}`
    this.timersSet.delete(at)
    this.timersOff.set(at, { kind, key, timer })
  }

  /** True when committing it would change nothing but the batch number. */
  get empty(): boolean {
    return (
      this.journal.length === 0 &&
      this.inputs.size === 0 &&
      this.marks.size === 0 &&
      this.halted === undefined &&
      this.orders.length === 0 &&
      this.parked.length === 0
    )
  }

  seal(of: { lane: number; epoch: number; turn: number; published: number; release: string; codeHash: Uint8Array }): Batch {
    const rows = {
      ...of,
      batch: this.batch,
      nowMs: this.nowMs,
      actors: [...this.touched.values()].map(({ row }) => row()),
      journal: this.journal,
      attached: this.attached.length > 0 ? toBytes(this.attached) : null,
      outbox: this.emitted.length > 0 ? packOutbox(this.emitted) : null,
      timersSet: [...this.timersSet.values()],
      timersOff: [...this.timersOff.values()],
      effects: [...this.effects.values()],
      inputs: [...this.inputs.values()],
      marks: [...this.marks.values()],
      sent: [...this.sent.values()],
      orders: this.orders,
      parked: this.parked,
      history: this.history,
      ...(this.halted === undefined ? {} : { halted: this.halted }),
    }
    return { ...rows, digest: digestOf(rows) }
  }
}

/** sha256 over what identifies a batch: the outputs of its turns, its snapshots, its outbox and its bookkeeping. */
const digestOf = (rows: Omit<Batch, 'digest'>): Uint8Array => {
  const hash = createHash('sha256')
  const {
    actors,
    journal,
    attached,
    outbox,
    timersSet,
    timersOff,
    effects,
    inputs,
    marks,
    sent,
    orders,
    parked,
    history,
    codeHash,
    ...rest
  } = rows
  hash.update(JSON.stringify([rest, timersOff, inputs, marks, sent, orders, history.map(({ topic, offset }) => [topic, offset])]))
  hash.update(codeHash)
  for (const { kind, key, sequence, body } of actors) hash.update(`${kind}\n${key}\n${sequence}\n`).update(body)
  for (const { outcome, outputHash, event } of journal) hash.update(outcome).update(outputHash).update(event)
  for (const { kind, key, timer, token, dueMs, event } of timersSet)
    hash.update(`${kind}\n${key}\n${timer}\n${token}\n${dueMs}\n`).update(event)
  for (const { effect, state, askAtMs, body } of effects) hash.update(`${effect}\n${state}\n${askAtMs}\n`).update(body)
  for (const { turn, cause, event } of parked) hash.update(`${turn}\n${cause}\n`).update(event)
  if (attached) hash.update(attached)
  if (outbox) hash.update(outbox)
  return hash.digest()
}
