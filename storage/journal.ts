import { sql } from 'slonik'
import type { CommonQueryMethods } from 'slonik'
import { z } from 'zod'
import { readJson } from './stored-json.ts'

/** One turn out of a lane's journal, with what its batch shared. `actors/runtime/stored/replay.ts` plays it. */
export interface JournalTurn {
  readonly turn: number
  readonly batch: number
  readonly kind: string
  readonly key: string
  readonly sequence: number
  readonly nowMs: number
  readonly event: Uint8Array
  readonly base: Uint8Array | null
  readonly outcome: 't' | 'i' | 'p' | 'q' | 'd'
  readonly outputHash: Uint8Array
  readonly attached: readonly unknown[]
  readonly codeHash: Uint8Array
}

export interface LaneAddress {
  readonly service: string
  readonly lane: number
}

export interface ActorPlace extends LaneAddress {
  readonly kind: string
  readonly key: string
}

/*
 * How the journal is stored is known here and in its views alone.
 *
 * J1. A row is a batch, by its last turn. Turns of a lane are dense and their times never fall: a time is found by halving.
 * J2. An entry that changed its actor says in `$ago` how many ms before it that actor's turn before was; the actor's first says nothing.
 * J3. Days go whole: below the first turn that is kept there is nothing.
 */

const Bytes = z.instanceof(Uint8Array)
const Turn = z.object({
  turn: z.number(),
  batch: z.number(),
  kind: z.string(),
  key: z.string(),
  sequence: z.number(),
  nowMs: z.number(),
  event: Bytes,
  base: Bytes.nullable(),
  outcome: z.enum(['t', 'i', 'p', 'q', 'd']),
  outputHash: Bytes,
})
type Turn = z.infer<typeof Turn>
const COLUMNS = sql.fragment`turn, batch, kind, key, sequence, now_ms AS "nowMs", event, base, outcome, output_hash AS "outputHash"`
const Shared = z.object({ batch: z.number(), codeHash: Bytes, attached: Bytes.nullable() })
/** A row of the journal: its turns from `first` to `last`, all of one time. */
const Batch = z.object({ first: z.number(), last: z.number(), nowMs: z.number() })
type Batch = z.infer<typeof Batch>
const BATCH = sql.fragment`turn - turns + 1 AS first, turn AS last, times[turns] AS "nowMs" FROM seen.journal_batch`

/** Turns read at a time. */
const PAGE = 2_000
/** Pages that are looked through where nothing says how far back to look. */
const BLIND_PAGES = 100

type Read = <R>(query: (db: CommonQueryMethods) => Promise<R>) => Promise<R>

/** A lane's turns from one number to another, both included, in order; those that are not kept are left out. */
export const readTurns = async function* (read: Read, lane: LaneAddress, from: number, to: number): AsyncGenerator<JournalTurn> {
  const end = await read(async (db) => (await batchFrom(db, lane, to)) ?? (await keptTurns(db, lane)))
  if (!end) return
  for (let next = from; next <= to;) {
    const rows = await read(async (db) =>
      withShared(
        db,
        lane,
        await db.any(sql.type(Turn)`
          SELECT ${COLUMNS} FROM seen.journal WHERE ${of(lane)} AND batch_turn >= ${next} AND batch_turn <= ${end.last}
            AND turn >= ${next} AND turn <= ${to} ORDER BY batch_turn, turn LIMIT ${PAGE}`),
      ),
    )
    yield* rows
    const last = rows.at(-1)
    if (!last || rows.length < PAGE) return
    next = last.turn + 1
  }
}

/** The first and the last turn of a lane that the journal holds; null: none. */
export const keptTurns = async (db: CommonQueryMethods, lane: LaneAddress): Promise<{ first: number; last: number } | null> => {
  const oldest = await batchFrom(db, lane, 0)
  const newest = await db.maybeOne(sql.type(Batch)`SELECT ${BATCH} WHERE ${of(lane)} ORDER BY turn DESC LIMIT 1`)
  return oldest && newest ? { first: oldest.first, last: newest.last } : null
}

/**
 * The turns of an actor, newest first, from the last one that changed it back. It is left when the caller has enough, or where the
 * journal ends: at the actor's first turn, or at what is not kept any more.
 * @param updatedAtMs  the lane's clock at the actor's last turn
 */
export const readActorTurns = async function* (
  db: CommonQueryMethods,
  actor: ActorPlace,
  updatedAtMs: number,
): AsyncGenerator<JournalTurn> {
  const kept = await keptTurns(db, actor)
  if (!kept) return
  let high = await lastUpTo(db, actor, updatedAtMs, kept)
  for (let blind = 0; high >= kept.first && blind < BLIND_PAGES;) {
    const low = high - PAGE
    const rows = await db.any(sql.type(Turn)`
      SELECT ${COLUMNS} FROM seen.journal WHERE ${of(actor)} AND batch_turn > ${low} AND batch_turn <= ${high}
        AND kind = ${actor.kind} AND key = ${actor.key} ORDER BY batch_turn DESC, turn DESC`)
    yield* await withShared(db, actor, rows)
    const oldest = rows.findLast(({ outcome }) => outcome === 't' || outcome === 'i')
    if (oldest?.sequence === 1) return
    const beforeMs = oldest ? timeBefore(oldest) : null
    blind = beforeMs === null ? blind + 1 : 0
    high = beforeMs === null ? low : Math.min(low, await lastUpTo(db, actor, beforeMs, kept))
  }
}

const of = ({ service, lane }: LaneAddress) => sql.fragment`service = ${service} AND lane = ${lane}`

/** Adds what the batches of some turns shared. */
const withShared = async (db: CommonQueryMethods, lane: LaneAddress, turns: readonly Turn[]): Promise<JournalTurn[]> => {
  if (turns.length === 0) return []
  const batches = [...new Set(turns.map(({ batch }) => batch))]
  const rows = await db.any(sql.type(Shared)`
    SELECT batch, code_hash AS "codeHash", attached FROM seen.outbox WHERE ${of(lane)} AND batch = ANY (${sql.array(batches, 'int8')})`)
  const shared = new Map(rows.map(({ batch, codeHash, attached }) => [batch, { codeHash, attached: listIn(attached) }]))
  return turns.map((turn) => ({ ...turn, ...(shared.get(turn.batch) ?? { codeHash: NOTHING, attached: [] }) }))
}

const NOTHING = new Uint8Array(0)

const listIn = (attached: Uint8Array | null): readonly unknown[] => {
  const list = readJson(attached)
  return Array.isArray(list) ? list : []
}

/** The batch with a turn, or the first after it. */
const batchFrom = (db: CommonQueryMethods, lane: LaneAddress, turn: number): Promise<Batch | null> =>
  db.maybeOne(sql.type(Batch)`SELECT ${BATCH} WHERE ${of(lane)} AND turn >= ${turn} ORDER BY turn LIMIT 1`)

/** The last turn of the last batch at or before a time, by halving (J1); 0: it is not kept. */
const lastUpTo = async (db: CommonQueryMethods, lane: LaneAddress, ms: number, kept: { first: number; last: number }): Promise<number> => {
  let [low, high] = [kept.first, kept.last + 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const batch = await batchFrom(db, lane, middle)
    if (batch && batch.nowMs <= ms) low = batch.last + 1
    else high = middle
  }
  return low === kept.first ? 0 : low - 1
}

/** Null: its entry is of a time before entries said so. */
const timeBefore = ({ event, nowMs }: Turn): number | null => {
  const read = readJson(event)
  const ago = typeof read === 'object' && read !== null && '$ago' in read ? read.$ago : null
  return typeof ago === 'number' ? nowMs - ago : null
}
