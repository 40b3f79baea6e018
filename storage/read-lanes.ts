import { sql } from 'slonik'
import type { CommonQueryMethods } from 'slonik'
import { z } from 'zod'
import { readJson } from './stored-json.ts'

/** What the lanes of one service, or of all, look like from outside; all through the views of schema `seen`. */

const Lane = z.object({
  service: z.string(),
  lane: z.number(),
  owner: z.string().nullable(),
  owner_url: z.string().nullable(),
  owner_state: z.string().nullable(),
  owner_expired: z.boolean().nullable(),
  epoch: z.number(),
  incarnation: z.string(),
  batch: z.number(),
  turn: z.number(),
  now_ms: z.number(),
  published: z.number(),
  release: z.string().nullable(),
  halted: z.unknown(),
})
export type LaneReading = z.infer<typeof Lane>

export const readLanes = (db: CommonQueryMethods, service?: string): Promise<readonly LaneReading[]> =>
  db.any(sql.type(Lane)`
    SELECT l.service, l.lane, l.owner::text, p.url AS owner_url, p.state AS owner_state, p.expires_at <= now() AS owner_expired,
      l.epoch, l.incarnation::text, l.batch, l.turn, l.now_ms, l.published, l.release, l.halted
    FROM seen.lane l LEFT JOIN seen.process p ON p.process = l.owner
    WHERE ${service ?? null}::text IS NULL OR l.service = ${service ?? null} ORDER BY l.service, l.lane`)

const Input = z.object({ service: z.string(), lane: z.number(), topic: z.string(), entered: z.number(), next: z.number() })
export type InputReading = z.infer<typeof Input>

/** The next offset that each lane will take of each topic; a lane reads the partition of its own number. */
export const readInputs = (db: CommonQueryMethods, service?: string): Promise<readonly InputReading[]> =>
  db.any(sql.type(Input)`
    SELECT service, lane, topic, entered, next FROM seen.input
    WHERE ${service ?? null}::text IS NULL OR service = ${service ?? null} ORDER BY service, topic, lane`)

const Parked = z.object({
  service: z.string(),
  lane: z.number(),
  turn: z.number(),
  kind: z.string(),
  key: z.string(),
  cause: z.string(),
  origin: z.string(),
  at: z.string(),
  waits: z.boolean(),
  ordered: z.string().nullable(),
  done: z.string().nullable(),
  event: z.instanceof(Uint8Array),
})
export interface ParkedQuery {
  readonly service?: string
  readonly limit: number
  readonly all?: boolean
  readonly letter?: { readonly lane: number; readonly turn: number }
}

export type ParkedReading = Omit<z.infer<typeof Parked>, 'event'> & { readonly event: unknown }

/**
 * Parked events, newest first; only those that wait, for a person or behind another, unless `all`.
 * @param query.letter one of them, open or done; with `service`
 */
export const readParked = async (
  db: CommonQueryMethods,
  { service, limit, all = false, letter }: ParkedQuery,
): Promise<ParkedReading[]> => {
  const rows = await db.any(sql.type(Parked)`
    SELECT p.service, p.lane, p.turn, p.kind, p.key, p.cause, p.origin, p.at, p.waits, p.ordered, p.done, p.event FROM seen.parked p
    WHERE (${service ?? null}::text IS NULL OR p.service = ${service ?? null}) AND (${all || letter !== undefined} OR p.done IS NULL)
      AND (${letter?.turn ?? null}::bigint IS NULL OR (p.lane = ${letter?.lane ?? null} AND p.turn = ${letter?.turn ?? null}))
    ORDER BY p.day DESC, p.service, p.lane, p.turn DESC LIMIT ${limit}`)
  return rows.map((row) => ({ ...row, event: readJson(row.event) }))
}

const Mark = z.object({ lane: z.number(), structure: z.string() })

/** What may be stored in each lane of a service, as far as its owners so far have said: `<kind> <version> <structure hash>`. */
export const readStructures = (db: CommonQueryMethods, service: string): Promise<readonly z.infer<typeof Mark>[]> =>
  db.any(sql.type(Mark)`SELECT lane, structure FROM seen.lane_structure WHERE service = ${service} ORDER BY lane, structure`)

const Order = z.object({
  id: z.number(),
  service: z.string(),
  at: z.string(),
  expires_at: z.string().nullable(),
  by: z.string(),
  reason: z.string(),
  body: z.record(z.string(), z.unknown()),
  lanes: z.array(z.object({ lane: z.number(), answer: z.unknown() })),
})
export type OrderReading = z.infer<typeof Order>

/** The latest orders with each lane's answer; null where that lane has not committed it. */
export const readOrders = (
  db: CommonQueryMethods,
  { service, limit }: { service?: string; limit: number },
): Promise<readonly OrderReading[]> =>
  db.any(sql.type(Order)`
    SELECT o.id, o.service, o.at, o.expires_at, o."by", o.reason, o.body,
      (SELECT coalesce(json_agg(json_build_object('lane', l.lane, 'answer', l.answer) ORDER BY l.lane), '[]')
        FROM seen.order_lane l WHERE l.id = o.id) AS lanes
    FROM seen.operator_order o WHERE ${service ?? null}::text IS NULL OR o.service = ${service ?? null}
    ORDER BY o.id DESC LIMIT ${limit}`)
