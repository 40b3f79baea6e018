import type {
  LoadedActor,
  Batch,
  EffectRow,
  Halt,
  InputRow,
  JournalRow,
  LaneRow,
  Letter,
  MarkRow,
  OrderRow,
  OutboxRow,
  ParkedActor,
  ParkedRow,
  Recovered,
  SentRow,
  TimerRow,
} from '#actors/runtime/rows.ts'

/** Everything that is stored of one lane. */
export interface StoredLane {
  epoch: number
  owner: string | null
  incarnation: string
  batch: number
  digest: string | null
  turn: number
  nowMs: number
  published: number
  halted: Halt | null
  release: string | null
  structures: readonly string[]
  readonly actors: Map<string, LoadedActor>
  readonly journal: (JournalRow & { turn: number; batch: number })[]
  readonly outbox: { batch: number; incarnation: string; codeHash: Uint8Array; attached: Uint8Array | null; blob: Uint8Array | null }[]
  readonly timers: Map<string, TimerRow>
  readonly effects: Map<string, EffectRow>
  readonly inputs: Map<string, InputRow>
  readonly marks: Map<string, MarkRow>
  readonly sent: Map<string, SentRow>
  readonly parked: (ParkedRow & { atMs: number; waits: boolean; ordered: string; done: string | null })[]
  readonly orders: Map<number, { order: Omit<OrderRow, 'lane'>; doneTurn: number | null; answer: object | null }>
}

export const emptyLane = (incarnation: string): StoredLane => ({
  epoch: 0,
  owner: null,
  incarnation,
  batch: 0,
  digest: null,
  turn: 0,
  nowMs: 0,
  published: 0,
  halted: null,
  release: null,
  structures: [],
  actors: new Map(),
  journal: [],
  outbox: [],
  timers: new Map(),
  effects: new Map(),
  inputs: new Map(),
  marks: new Map(),
  sent: new Map(),
  parked: [],
  orders: new Map(),
})

/** What a commit does to the lane's rows. The answer takes it back; only the latest that has not been taken back can be. */
export const write = (row: StoredLane, batch: Batch): (() => void) => {
  const { journal, outbox, parked } = row
  const before = pick(row)
  const changed: [map: Map<unknown, unknown>, key: unknown, value: unknown][] = []
  const put = <K, V>(map: Map<K, V>, key: K, value: V | undefined): void => {
    changed.push([map as Map<unknown, unknown>, key, map.get(key)])
    if (value === undefined) map.delete(key)
    else map.set(key, value)
  }
  const first = row.turn + 1
  for (const [index, line] of batch.journal.entries()) journal.push({ ...line, turn: first + index, batch: batch.batch })
  Object.assign(row, { batch: batch.batch, digest: hex(batch.digest), turn: batch.turn, nowMs: batch.nowMs, published: batch.published })
  if (batch.halted !== undefined) row.halted = batch.halted
  row.release = batch.release
  for (const actor of batch.actors) {
    const stored = row.actors.get(keyOf(actor.kind, actor.key))
    const updatedAtMs = stored?.sequence === actor.sequence ? stored.updatedAtMs : batch.nowMs
    put(row.actors, keyOf(actor.kind, actor.key), { ...actor, updatedAtMs })
  }
  const hasOutbox = batch.journal.length > 0 || batch.outbox !== null
  if (hasOutbox) {
    const { incarnation } = row
    outbox.push({ batch: batch.batch, incarnation, codeHash: batch.codeHash, attached: batch.attached, blob: batch.outbox })
  }
  for (const timer of batch.timersOff) put(row.timers, keyOf(timer.kind, timer.key, timer.timer), undefined)
  for (const timer of batch.timersSet) put(row.timers, keyOf(timer.kind, timer.key, timer.timer), timer)
  for (const effect of batch.effects) put(row.effects, effect.effect, effect)
  for (const input of batch.inputs) put(row.inputs, input.topic, input)
  for (const mark of batch.marks) put(row.marks, keyOf(mark.topic, mark.source, mark.incarnation), mark)
  for (const sent of batch.sent) put(row.sent, keyOf(sent.topic, String(sent.partition)), sent)
  for (const one of batch.parked) parked.push({ ...one, atMs: batch.nowMs, waits: false, ordered: '', done: null })
  const letters = batch.letters.length > 0 ? new Map(parked.map((one, index) => [one.turn, { one, index }])) : null
  const lettersBefore = batch.letters.flatMap(({ turn }) => letters?.get(turn) ?? [])
  for (const { turn, waits, cause, ordered, done } of batch.letters) {
    const found = letters?.get(turn)
    if (!found) continue
    const { one, index } = found
    const atMs = cause === '' ? one.atMs : batch.nowMs
    parked[index] = { ...one, waits, cause: cause || one.cause, ordered: ordered || one.ordered, done: done || null, atMs }
  }
  for (const { id, answer } of batch.orders) {
    const order = row.orders.get(id)
    if (order && order.doneTurn === null) put(row.orders, id, { ...order, doneTurn: batch.turn, answer })
  }
  return () => {
    for (const [map, key, value] of changed.toReversed()) {
      if (value === undefined) map.delete(key)
      else map.set(key, value)
    }
    Object.assign(row, before)
    for (const { one, index } of lettersBefore) parked[index] = one
    // Some of it may be detached since.
    journal.length -= Math.min(journal.length, batch.journal.length)
    outbox.length -= Math.min(outbox.length, hasOutbox ? 1 : 0)
    parked.length -= batch.parked.length
  }
}

/** The lane's own columns. */
export const pick = (row: StoredLane) => {
  const { epoch, owner, incarnation, batch, digest, turn, nowMs, published, halted, release, structures } = row
  return { epoch, owner, incarnation, batch, digest, turn, nowMs, published, halted, release, structures }
}

export const recovered = (row: StoredLane, lane: number, timerWindow: number): Recovered => {
  const timers = byDue(row)
  return {
    lane: laneRow(row, lane),
    inputs: [...row.inputs.values()],
    marks: [...row.marks.values()],
    sent: [...row.sent.values()],
    timers: timers.slice(0, timerWindow),
    moreTimers: timers.length > timerWindow,
    effects: [...row.effects.values()].filter(({ state }) => state === 'pending' || state === 'uncertain'),
    outbox: row.outbox.flatMap(({ batch, incarnation, blob }): OutboxRow[] =>
      blob !== null && batch > row.published ? [{ batch, incarnation, blob }] : [],
    ),
    parkedActors: parkedActors(row),
  }
}

const openLetters = (row: StoredLane) => row.parked.filter(({ done }) => done === null).toSorted((a, b) => a.turn - b.turn)

const parkedActors = (row: StoredLane): ParkedActor[] =>
  [...Map.groupBy(openLetters(row), ({ kind, key, turn }) => keyOf(kind, key, kind === '' ? String(turn) : '')).values()].map((rows) => {
    const { kind, key, turn, waits, cause, atMs } = rows[0]!
    return { kind, key, turn, held: !waits, cause: cause.slice(0, 500), sinceMs: atMs, open: rows.length }
  })

/** The first open events of these actors, and these records; by their turns. */
export const lettersOf = (row: StoredLane, of: readonly { kind: string; key: string; turn: number }[], limit: number): Letter[] =>
  openLetters(row)
    .filter(({ kind, key, turn }) => of.some((one) => one.kind === kind && one.key === key && (kind !== '' || one.turn === turn)))
    .slice(0, limit)
    .map(({ turn, kind, key, origin, ordered, event }) => ({ turn, kind, key, origin, ordered, event }))

const laneRow = (row: StoredLane, lane: number): LaneRow => {
  const { epoch, incarnation, batch, turn, nowMs, published, halted } = row
  return { lane, epoch, incarnation, batch, turn, nowMs, published, halted }
}

export const openOrders = (row: StoredLane) => [...row.orders.values()].filter(({ doneTurn }) => doneTurn === null)

type TimerPlace = { dueMs: number; kind: string; key: string; timer: string }
export const compareTimers = (a: TimerPlace, b: TimerPlace): number =>
  a.dueMs - b.dueMs || compareText(a.kind, b.kind) || compareText(a.key, b.key) || compareText(a.timer, b.timer)
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
export const byDue = (row: StoredLane): TimerRow[] => [...row.timers.values()].toSorted(compareTimers)

export const keyOf = (...parts: string[]): string => parts.join('\0')
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
