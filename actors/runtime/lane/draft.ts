import { hash } from 'node:crypto'
import type { HistoryRow } from '#machines/contracts/history-row.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import { EMPTY_BYTES, toBytes } from '../json.ts'
import type { Item } from './mailbox.ts'
import type { Emitted } from '../outbox.ts'
import { packOutbox } from '../outbox.ts'
import type { ActorRow, Batch, EffectRow, Halt, InputRow, JournalRow, LetterRow, MarkRow, ParkedRow, SentRow, TimerRow } from '../rows.ts'
import type { CachedActor } from './snapshot-cache.ts'
import { timerAt } from './timers.ts'

export interface TouchedActor {
  readonly address: Address
  readonly actor: CachedActor
  readonly row: () => ActorRow
}

/** One batch while its turns are computed: the deltas of one transaction, and what is released once it is committed. */
export class Draft {
  readonly batch: number
  readonly nowMs: number
  readonly nowIso: string
  /** UTC, `YYYY-MM-DD` */
  readonly day: string
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
  readonly letters = new Map<number, LetterRow>()
  readonly history: HistoryRow[] = []
  /** run after the commit, in order */
  readonly released: (() => void)[] = []
  halted: Halt | null | undefined

  constructor(batch: number, nowMs: number) {
    this.batch = batch
    this.nowMs = nowMs
    this.nowIso = new Date(nowMs).toISOString()
    this.day = this.nowIso.slice(0, 10)
  }

  setTimer(row: TimerRow): void {
    const at = timerAt(row)
    this.timersOff.delete(at)
    this.timersSet.set(at, row)
  }

  cancelTimer({ kind, key, timer }: { kind: string; key: string; timer: string }): void {
    const off = { kind, key, timer }
    const at = timerAt(off)
    this.timersSet.delete(at)
    this.timersOff.set(at, off)
  }

  /** What becomes of a timer with this batch; null: nothing. */
  armed(timer: { kind: string; key: string; timer: string }): boolean | null {
    const at = timerAt(timer)
    return this.timersSet.has(at) || (this.timersOff.has(at) ? false : null)
  }

  /** What becomes of a parked event; the last word in a batch counts. */
  letter(turn: number, { waits = false, cause = '', ordered = '', done = '' }: Partial<Omit<LetterRow, 'turn'>>): void {
    this.letters.set(turn, { turn, waits, cause, ordered, done })
  }

  /** True when committing it would change nothing but the batch number. */
  get empty(): boolean {
    return (
      this.journal.length === 0 &&
      this.touched.size === 0 &&
      this.inputs.size === 0 &&
      this.marks.size === 0 &&
      this.halted === undefined &&
      this.orders.length === 0 &&
      this.parked.length === 0 &&
      this.letters.size === 0 &&
      this.emitted.length === 0
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
      letters: [...this.letters.values()],
      history: this.history,
      ...(this.halted === undefined ? {} : { halted: this.halted }),
    }
    return { ...rows, digest: digestOf(rows) }
  }
}

/** sha256 over what identifies a batch. In one piece: a call of `update` a row cost more than the hashing (profiled). */
const digestOf = (rows: Omit<Batch, 'digest'>): Uint8Array => {
  // The outbox is what the turns emitted: their output hashes stand for it.
  const { actors, journal, attached, outbox, timersSet, effects, parked, history, codeHash, ...rest } = rows
  const names = [
    rest,
    outbox?.length ?? 0,
    actors.map(({ kind, key, sequence }) => [kind, key, sequence]),
    journal.map(({ outcome }) => outcome),
    timersSet.map(({ event, ...timer }) => timer),
    effects.map(({ effect, state, askAtMs }) => [effect, state, askAtMs]),
    parked.map(({ turn, cause }) => [turn, cause]),
    history.map(({ topic, offset }) => [topic, offset]),
  ]
  const bodies = [
    ...actors.map(({ body }) => body),
    ...journal.flatMap(({ event, outputHash }) => [event, outputHash]),
    ...timersSet.map(({ event }) => event),
    ...effects.map(({ body }) => body),
    ...parked.map(({ event }) => event),
  ]
  return hash('sha256', Buffer.concat([Buffer.from(JSON.stringify(names)), codeHash, attached ?? EMPTY_BYTES, ...bodies]), 'buffer')
}
