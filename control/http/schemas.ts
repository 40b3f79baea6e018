import { z } from 'zod'
import type { HostState, OrderRoute } from '../host-view.ts'

/** What the routes answer and take. Answers are described, for OpenAPI, and not checked: a state that is odd must still be seen. */

export const ErrorBody = z
  .object({ error: z.object({ code: z.string(), message: z.string(), field: z.string().optional() }) })
  .describe('what was wrong, and with which field')

export const State: z.ZodType<HostState> = z
  .looseObject({
    service: z.string(),
    release: z.string(),
    lifecycle: z.string().describe('starting, recovering, running, paused, draining, drained'),
    healthy: z.boolean(),
    connected: z.boolean(),
    authoritative: z.boolean(),
    blocked: z.array(z.object({ code: z.string(), since: z.string(), detail: z.string() })),
    inputs: z.record(z.string(), z.object({ at: z.string().nullable(), age_ms: z.number().nullable(), stale: z.boolean() })),
    last_success: z.object({ at: z.string(), what: z.string() }).nullable(),
    counters: z.record(z.string(), z.number()),
    lanes: z.array(z.record(z.string(), z.unknown())),
  })
  .describe("the service's state; its own section stands beside these fields under its name")

export const Pending = z
  .object({ id: z.string(), message: z.string(), state: State.nullable() })
  .describe('the order is written and not yet committed by every lane; it will be')

export const Health = z.object({ service: z.string(), alive: z.literal(true) })
export const Readiness = z.object({ service: z.string(), ready: z.boolean(), reasons: z.array(z.string()) })
export const Machine = z.object({
  kind: z.string(),
  version: z.number(),
  hash: z.string(),
  config: z.record(z.string(), z.unknown()).describe('opens in Stately'),
  mermaid: z.string(),
})
export const Machines = z.object({ machines: z.array(Machine.omit({ config: true, mermaid: true })) })
export const Actors = z.object({
  actors: z.array(
    z.object({ kind: z.string(), key: z.string(), state: z.string(), version: z.number(), sequence: z.number(), updated_at: z.string() }),
  ),
  next: z.string().nullable().describe('pass it as `after` for the next page; null: this was the last'),
})
export const Anything = z.record(z.string(), z.unknown())
export const Text = z.string()

/** PostgreSQL's text takes no NUL. */
const storable = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\0]*$/, 'a text with \\u0000 is stored nowhere')
const Word = storable(500)
export const ActorsQuery = z.strictObject({
  kind: Word.optional(),
  state: Word.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
  after: z.string().min(1).max(4_000).optional(),
})
const Sequence = z
  .string()
  .regex(/^\d{1,15}$/, 'must be the number of one of its turns')
  .transform(Number)
export const ActorQuery = z
  .strictObject({
    at: Sequence.optional().describe('as it was after this many turns of its own'),
    diff: z
      .string()
      .regex(/^\d{1,15}\.\.\d{1,15}$/, 'must be A..B, the numbers of two of its turns')
      .transform((text) => text.split('..').map(Number) as [number, number])
      .refine(([from, to]) => from < to, 'must be A..B with A before B')
      .optional()
      .describe('what changed between two of its turns: A..B'),
  })
  .refine(({ at, diff }) => at === undefined || diff === undefined, { path: ['diff'], message: 'not together with at' })
export const KindParams = z.object({ kind: Word })
export const ActorParams = z.object({ kind: Word, key: storable(2_000) })

const said = (max: number) => z.string().trim().min(1, 'must not be empty').max(max)

/** Who orders, and why: journalled with every order. */
export const Signed = z.object({ by: said(200).describe('who'), reason: said(1_000).describe('why') })

/** The body of an order as OpenAPI shows it: who, why and the order's own arguments. */
export const orderBody = (route: Pick<OrderRoute, 'schema'>): z.ZodType =>
  route.schema instanceof z.ZodObject ? z.strictObject({ ...Signed.shape, ...route.schema.shape }) : z.intersection(Signed, route.schema)

/** The order's own arguments with no field beside them, where the schema is one whose fields are known. */
export const ownArguments = (route: Pick<OrderRoute, 'schema'>): z.ZodType<Record<string, unknown>> =>
  route.schema instanceof z.ZodObject ? (route.schema.strict() as z.ZodType<Record<string, unknown>>) : route.schema

export type SignedOrder = z.infer<typeof Signed> & { readonly arguments: Readonly<Record<string, unknown>> }
