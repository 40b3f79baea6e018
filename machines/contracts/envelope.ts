import { z } from 'zod'

export const SCHEMA_VERSION = 1

const Instant = z.iso.datetime({ offset: true })

/** The outer fields of every message, exactly these. `raw` is the venue's own object, `{}` where there is none. */
export const Envelope = z.strictObject({
  event_id: z.string().min(1),
  event_type: z.string().min(1),
  venue: z.string().min(1),
  source: z.string().nullable(),
  schema_version: z.literal(SCHEMA_VERSION),
  observed_at: Instant.nullable(),
  ingested_at: Instant,
  correlation_id: z.string().nullable().optional(),
  causation_id: z.string().nullable().optional(),
  payload: z.record(z.string(), z.unknown()),
  raw: z.record(z.string(), z.unknown()),
})

export type Envelope = z.infer<typeof Envelope>

/** An envelope whose payload has been read by its topic's schema. */
export type Message<P> = Omit<Envelope, 'payload'> & { readonly payload: P }

/** A whole record of a topic: its payload is read in the same pass, and what is wrong in it is named as `payload.…`. */
export const messageOf = <P extends z.ZodType>(payload: P) => Envelope.extend({ payload })
