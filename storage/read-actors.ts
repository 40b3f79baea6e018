import { sql } from 'slonik'
import type { CommonQueryMethods } from 'slonik'
import { z } from 'zod'
import { readActorTurns } from './journal.ts'
import type { ActorPlace, JournalTurn, LaneAddress } from './journal.ts'
import { isoOf, readJson, readSnapshot, stateOf } from './stored-json.ts'

export interface ActorSummary {
  readonly service: string
  readonly lane: number
  readonly kind: string
  readonly key: string
  readonly state: string
  readonly version: number
  readonly sequence: number
  readonly status: 'active' | 'done'
  readonly updated_at: string
}

export interface ActorQuery {
  readonly service?: string
  readonly kind?: string
  /** as `state` of the answer; a nested state also by its outermost name */
  readonly state?: string
  readonly limit: number
  /** `next` of an earlier answer */
  readonly after?: string
}

export interface ActorPage {
  readonly actors: ActorSummary[]
  readonly next: string | null
}

/** Bytea comes as a Buffer, bigint as a number (read-pool.ts). */
const Bytes = z.instanceof(Uint8Array)
const ActorRow = z.object({
  service: z.string(),
  lane: z.number(),
  kind: z.string(),
  key: z.string(),
  sequence: z.number(),
  status: z.enum(['a', 'd']),
  body: Bytes,
  updated_at_ms: z.number(),
})
type ActorRow = z.infer<typeof ActorRow>

/** Rows looked at before a filter on the state gives up and hands out a cursor. */
const LOOKED_AT_MOST = 5_000
const PAGE = 500

/**
 * Actors in the order of service, lane, kind and key. The state is inside the snapshot's bytes, so a filter on it is applied
 * here, and a page may hold fewer than `limit` with more to come. Null: `after` is no cursor of ours.
 */
export const listActors = async (db: CommonQueryMethods, query: ActorQuery): Promise<ActorPage | null> => {
  const actors: ActorSummary[] = []
  let after = query.after
  if (after !== undefined && placeOf(after) === null) return null
  for (let looked = 0; looked < LOOKED_AT_MOST; looked += PAGE) {
    const size = query.state === undefined ? query.limit - actors.length : PAGE
    const rows = await actorRows(db, { ...query, after }, size)
    for (const row of rows) {
      after = cursorOf(row)
      const summary = summaryOf(row)
      if (query.state === undefined || isInState(summary.state, query.state)) actors.push(summary)
      if (actors.length === query.limit) return { actors, next: after }
    }
    if (rows.length < size) return { actors, next: null }
  }
  return { actors, next: after ?? null }
}

type Page = Pick<ActorQuery, 'service' | 'kind'> & { readonly after: string | undefined }

const actorRows = async (db: CommonQueryMethods, { service, kind, after }: Page, limit: number): Promise<readonly ActorRow[]> => {
  const place = after === undefined ? null : placeOf(after)
  return db.any(sql.type(ActorRow)`
    SELECT service, lane, kind, key, sequence, status, body, updated_at_ms FROM seen.actor
    WHERE (${service ?? null}::text IS NULL OR service = ${service ?? null})
      AND (${kind ?? null}::text IS NULL OR kind = ${kind ?? null})
      AND ${
        place === null
          ? sql.fragment`true`
          : sql.fragment`(service, lane, kind, key) > (${place.service}, ${place.lane}::int, ${place.kind}, ${place.key})`
      }
    ORDER BY service, lane, kind, key LIMIT ${limit}`)
}

const summaryOf = (row: ActorRow): ActorSummary => {
  const { service, lane, kind, key, sequence } = row
  const snapshot = readSnapshot(row.body)
  const status = row.status === 'd' ? 'done' : 'active'
  return {
    service,
    lane,
    kind,
    key,
    state: stateOf(snapshot),
    version: snapshot?.v ?? 0,
    sequence,
    status,
    updated_at: isoOf(row.updated_at_ms),
  }
}

const isInState = (state: string, wanted: string): boolean => state === wanted || state.startsWith(`{${JSON.stringify(wanted)}:`)

const Text = z.string().regex(/^[^\0]*$/)
const Place = z.tuple([Text, z.int32(), Text, Text])
const cursorOf = ({ service, lane, kind, key }: ActorRow): string =>
  Buffer.from(JSON.stringify([service, lane, kind, key])).toString('base64url')

const placeOf = (cursor: string): { service: string; lane: number; kind: string; key: string } | null => {
  const parsed = Place.safeParse(readJson(Buffer.from(cursor, 'base64url')))
  if (!parsed.success) return null
  const [service, lane, kind, key] = parsed.data
  return { service, lane, kind, key }
}

const TimerRow = z.object({ timer: z.string(), token: z.number(), due_ms: z.number(), event: Bytes })
const EffectRow = z.object({
  effect: z.string(),
  name: z.string(),
  mode: z.enum(['i', 'a']),
  state: z.enum(['p', 'u', 'd', 'f', 'v', 'n']),
  token: z.number(),
  not_after_ms: z.number().nullable(),
  ask_at_ms: z.number().nullable(),
  asked: z.number(),
  body: Bytes,
  updated_at_ms: z.number(),
})
const ParkedRow = z.object({ turn: z.number(), cause: z.string(), origin: z.string(), event: Bytes, done: z.string().nullable() })

const STATES = { p: 'pending', u: 'uncertain', d: 'done', f: 'failed', v: 'void', n: 'not_sent' } as const
const OUTCOMES = { t: 'taken', i: 'no transition', p: 'parked', q: 'queued', d: 'dropped' } as const

/** Turns of an actor that are shown, newest first. */
const JOURNAL_SHOWN = 50
const EFFECTS_SHOWN = 50
/** Those that are open first; a hundred thousand may wait. */
const PARKED_SHOWN = 50

export interface ActorDetail extends ActorSummary {
  readonly context: unknown
  readonly hash: string | null
  readonly timers: readonly { timer: string; token: number; due_at: string; event: unknown }[]
  readonly effects: readonly object[]
  readonly journal: readonly object[]
  readonly parked: readonly object[]
}

/** One actor with all that is stored of it; null where no lane of the service has it. */
export const readActor = async (db: CommonQueryMethods, service: string, kind: string, key: string): Promise<ActorDetail | null> => {
  const row = await actorRow(db, service, kind, key)
  if (row === null) return null
  const at = sql.fragment`service = ${service} AND lane = ${row.lane} AND kind = ${kind} AND key = ${key}`
  const timers = await db.any(sql.type(TimerRow)`SELECT timer, token, due_ms, event FROM seen.timer WHERE ${at} ORDER BY due_ms`)
  const effects = await db.any(sql.type(EffectRow)`
    SELECT effect, name, mode, state, token, not_after_ms, ask_at_ms, asked, body, updated_at_ms FROM seen.effect
    WHERE ${at} ORDER BY updated_at_ms DESC LIMIT ${EFFECTS_SHOWN}`)
  const journal: JournalTurn[] = []
  for await (const turn of readActorTurns(db, row, row.updated_at_ms)) if (journal.push(turn) === JOURNAL_SHOWN) break
  const parked = await db.any(sql.type(ParkedRow)`
    SELECT turn, cause, origin, event, done FROM seen.parked WHERE ${at} ORDER BY done IS NOT NULL, turn LIMIT ${PARKED_SHOWN}`)
  const snapshot = readSnapshot(row.body)
  return {
    ...summaryOf(row),
    context: snapshot?.c ?? null,
    hash: snapshot?.h ?? null,
    timers: timers.map(({ timer, token, due_ms, event }) => ({ timer, token, due_at: isoOf(due_ms), event: readJson(event) })),
    effects: effects.map(({ mode, state, not_after_ms, ask_at_ms, body, updated_at_ms, ...rest }) => ({
      ...rest,
      mode: mode === 'a' ? 'ask first' : 'idempotent',
      state: STATES[state],
      not_after: not_after_ms === null ? null : isoOf(not_after_ms),
      ask_at: ask_at_ms === null ? null : isoOf(ask_at_ms),
      updated_at: isoOf(updated_at_ms),
      body: readJson(body),
    })),
    journal: journal.map(({ turn, batch, sequence, nowMs, event, outcome }) => ({
      turn,
      batch,
      sequence,
      at: isoOf(nowMs),
      outcome: OUTCOMES[outcome],
      event: withoutDistance(readJson(event)),
    })),
    parked: parked.map((line) => ({ ...line, event: readJson(line.event) })),
  }
}

/** What leads from one entry to the one before is the journal's own (J2), and no part of the event. */
const withoutDistance = (event: unknown): unknown => {
  if (typeof event !== 'object' || event === null || !('$ago' in event)) return event
  const { $ago: _, ...rest } = event
  return rest
}

const Body = z.object({ kind: z.string(), key: z.string(), body: Bytes, updatedAtMs: z.number() })
export type StoredBody = z.infer<typeof Body>

/** The snapshots of these actors of a lane, of those that are stored, and the lane's clock at the last turn of each. */
export const readBodies = (
  db: CommonQueryMethods,
  { service, lane }: LaneAddress,
  actors: readonly Pick<ActorPlace, 'kind' | 'key'>[],
): Promise<readonly StoredBody[]> =>
  db.any(sql.type(Body)`
    SELECT a.kind, a.key, a.body, a.updated_at_ms AS "updatedAtMs" FROM ${sql.unnest(
      actors.map(({ kind, key }) => [kind, key]),
      ['text', 'text'],
    )} w(kind, key)
      JOIN seen.actor a ON a.service = ${service} AND a.lane = ${lane} AND a.kind = w.kind AND a.key = w.key`)

/** What is made of a turn on the way back: whether it is handed on, and whether none that is older is looked for. */
export type StepOf = (turn: JournalTurn) => { readonly needed: boolean; readonly last: boolean }

/** Where an actor stands, and those of its turns that are needed, newest first; null where no lane of the service has it. */
export const readHistory = async (
  db: CommonQueryMethods,
  service: string,
  kind: string,
  key: string,
  stepOf: StepOf,
): Promise<ActorHistory | null> => {
  const row = await actorRow(db, service, kind, key)
  if (row === null) return null
  const turns: JournalTurn[] = []
  for await (const turn of readActorTurns(db, row, row.updated_at_ms)) {
    const { needed, last } = stepOf(turn)
    if (needed) turns.push(turn)
    if (last) break
  }
  return { lane: row.lane, sequence: row.sequence, turns }
}

export interface ActorHistory {
  readonly lane: number
  /** how many turns it has had */
  readonly sequence: number
  readonly turns: readonly JournalTurn[]
}

const actorRow = (db: CommonQueryMethods, service: string, kind: string, key: string): Promise<ActorRow | null> =>
  db.maybeOne(sql.type(ActorRow)`
    SELECT service, lane, kind, key, sequence, status, body, updated_at_ms FROM seen.actor
    WHERE service = ${service} AND lane IN (SELECT lane FROM seen.lane WHERE service = ${service}) AND kind = ${kind} AND key = ${key}
    ORDER BY lane LIMIT 1`)
