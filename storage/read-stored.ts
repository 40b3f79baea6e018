import { sql } from 'slonik'
import type { CommonQueryMethods } from 'slonik'
import { z } from 'zod'
import type { ActorRow, EffectRow, ParkedRow, TimerRow } from './rows.ts'

/** Everything that is stored of one actor and goes on: what a release must be able to load. */
export interface StoredRows {
  readonly kind: string
  readonly key: string
  /** null: nothing but a parked event, or a timer, is left of it */
  readonly actor: ActorRow | null
  readonly timers: readonly TimerRow[]
  /** pending and uncertain */
  readonly effects: readonly EffectRow[]
  /** not resolved, in the order of their turns */
  readonly parked: readonly (ParkedRow & { readonly day: string })[]
}

const PAGE = 1_000

/**
 * All of a lane, a page of actors at a time, by kind and key. As of one moment: one REPEATABLE READ transaction, which lasts
 * as long as `onPage` takes for all pages.
 */
export const readStored = (
  db: CommonQueryMethods,
  service: string,
  lane: number,
  onPage: (rows: readonly StoredRows[]) => Promise<void>,
): Promise<void> =>
  db.transaction(async (tx) => {
    await tx.query(sql.unsafe`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY`)
    const effects = Map.groupBy(await openEffects(tx, service, lane), addressOf)
    for (let after: Place | null = { kind: '', key: '' }; after !== null;) {
      const actors: readonly ActorRow[] = await actorsAfter(tx, service, lane, after)
      const last: ActorRow | null = actors.length === PAGE ? actors.at(-1)! : null
      const within = between(service, lane, after, last)
      const timers = Map.groupBy(await timersWithin(tx, within), addressOf)
      const parked = Map.groupBy(await parkedWithin(tx, within), addressOf)
      const rows = new Map(actors.map((actor) => [addressOf(actor), actor]))
      const addresses = new Set([...rows.keys(), ...timers.keys(), ...parked.keys()])
      // Those of actors that are not stored are nobody's page; they come with the last.
      if (last === null) for (const address of effects.keys()) addresses.add(address)
      await onPage(
        [...addresses].map((address): StoredRows => {
          const open = effects.get(address) ?? []
          effects.delete(address)
          const of = { timers: timers.get(address) ?? [], effects: open, parked: parked.get(address) ?? [] }
          const kind = address.slice(0, address.indexOf('\n'))
          return { kind, key: address.slice(kind.length + 1), actor: rows.get(address) ?? null, ...of }
        }),
      )
      after = last
    }
  }, 0)

interface Place {
  readonly kind: string
  readonly key: string
}

const addressOf = ({ kind, key }: Place): string => `${kind}\n${key}`

/** The rows of a page's actors and of whoever lies between them; after the last page, all that is left. */
const between = (service: string, lane: number, after: Place, last: Place | null) =>
  sql.fragment`service = ${service} AND lane = ${lane} AND (kind, key) > (${after.kind}, ${after.key})
    AND ${last === null ? sql.fragment`true` : sql.fragment`(kind, key) <= (${last.kind}, ${last.key})`}`

const Bytes = z.instanceof(Uint8Array)
const Actor = z.object({
  kind: z.string(),
  key: z.string(),
  sequence: z.number(),
  status: z.enum(['active', 'done']),
  body: Bytes,
  endedAtMs: z.number().nullable(),
})
const Timer = z.object({ kind: z.string(), key: z.string(), timer: z.string(), token: z.number(), dueMs: z.number(), event: Bytes })
const Effect = z.object({
  effect: z.string(),
  kind: z.string(),
  key: z.string(),
  name: z.string(),
  mode: z.enum(['idempotent', 'ask first']),
  state: z.enum(['pending', 'uncertain']),
  token: z.number(),
  notAfterMs: z.number().nullable(),
  askAtMs: z.number().nullable(),
  asked: z.number(),
  sinceMs: z.number(),
  body: Bytes,
})
const Parked = z.object({
  day: z.string(),
  turn: z.number(),
  kind: z.string(),
  key: z.string(),
  cause: z.string(),
  origin: z.string(),
  event: Bytes,
})

const actorsAfter = (tx: CommonQueryMethods, service: string, lane: number, { kind, key }: Place): Promise<readonly ActorRow[]> =>
  tx.any(sql.type(Actor)`
    SELECT kind, key, sequence, CASE status WHEN 'd' THEN 'done' ELSE 'active' END AS status, body, ended_at_ms AS "endedAtMs"
    FROM unrip.stored_actors(${service}, ${lane}, ${kind}, ${key}, ${PAGE})`)

const timersWithin = (tx: CommonQueryMethods, within: ReturnType<typeof between>): Promise<readonly TimerRow[]> =>
  tx.any(
    sql.type(Timer)`SELECT kind, key, timer, token, due_ms AS "dueMs", event FROM seen.timer WHERE ${within} ORDER BY kind, key, timer`,
  )

/** Without those that no actor was found for: nobody's version is theirs. */
const parkedWithin = (tx: CommonQueryMethods, within: ReturnType<typeof between>): Promise<readonly z.infer<typeof Parked>[]> =>
  tx.any(sql.type(Parked)`
    SELECT day::text, turn, kind, key, cause, origin, event FROM seen.parked
    WHERE ${within} AND kind <> '' AND done IS NULL ORDER BY kind, key, turn`)

/** The open ledger of the whole lane, as its owner has it in memory too. */
const openEffects = (tx: CommonQueryMethods, service: string, lane: number): Promise<readonly EffectRow[]> =>
  tx.any(sql.type(Effect)`
    SELECT effect, kind, key, name, CASE mode WHEN 'a' THEN 'ask first' ELSE 'idempotent' END AS mode,
      CASE state WHEN 'u' THEN 'uncertain' ELSE 'pending' END AS state,
      token, not_after_ms AS "notAfterMs", ask_at_ms AS "askAtMs", asked, updated_at_ms AS "sinceMs", body
    FROM seen.effect WHERE service = ${service} AND lane = ${lane} AND state IN ('p', 'u') ORDER BY effect`)
