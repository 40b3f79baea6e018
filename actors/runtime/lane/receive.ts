import type { z } from 'zod'
import type { Message } from '#machines/contracts/envelope.ts'
import type { Cause } from '#machines/contracts/stamp.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { topics } from '#machines/contracts/topics.ts'
import { textOf } from '../faults.ts'
import type { LaneMemory } from './memory.ts'
import { textOfBytes } from '../json.ts'
import type { BusRecord } from '../bus-port.ts'
import type { RecordAt, Routed, ServiceDefinition } from '../service.ts'

export type Received =
  | { readonly is: 'event'; readonly routed: Routed; readonly cause: Cause }
  /** read before, or a dead owner's: nothing to do but to move the offset */
  | { readonly is: 'repeat' }
  /** read, and nobody here wants it */
  | { readonly is: 'unwanted' }
  /** cannot be read: a dead letter without an actor */
  | { readonly is: 'unreadable'; readonly why: string }
  /** lost data: the input halts before this record */
  | { readonly is: 'gap'; readonly detail: string }

export interface Stamped {
  readonly source: string
  readonly incarnation: string
  readonly position: number
}

/** Reads one record: first whether it is new, then what it says. `stamped` is what its mark becomes when it is taken. */
export const receive = (
  record: BusRecord,
  memory: LaneMemory,
  definition: ServiceDefinition,
  partitionOf: (laneKey: string) => number,
): { received: Received; stamped: Stamped | null } => {
  const stamped = stampOf(record)
  const input = memory.inputs.get(record.topic)
  if (!stamped || !input) return { received: { is: 'unreadable', why: 'no source, incarnation and position' }, stamped: null }
  const { source, incarnation, position } = stamped
  const judged = memory.marks.judge(record.topic, source, incarnation, position, input)
  if (judged.verdict === 'gap') {
    const detail = `${record.topic}/${record.partition}@${record.offset}: ${source} ${incarnation} position ${position}, expected ${judged.expected}`
    return { received: { is: 'gap', detail }, stamped: null }
  }
  if (judged.verdict !== 'take') return { received: { is: 'repeat' }, stamped: null }
  return { received: read(record, stamped, definition, partitionOf), stamped }
}

/** What a record says, whether it is new or not. */
export const read = (
  record: BusRecord,
  stamped: Stamped,
  definition: ServiceDefinition,
  partitionOf: (laneKey: string) => number,
): Received => {
  const topic = record.topic as TopicName
  const contract = topics[topic] as {
    message: z.ZodType<Message<unknown>>
    event_type: string
    laneKey: (payload: unknown) => string
  }
  const route = definition.inputs[topic] as ((message: Message<unknown>, at: RecordAt) => Routed | null) | undefined
  if (!route) return { is: 'unwanted' }
  try {
    if (!record.value) return { is: 'unreadable', why: 'no value' }
    const text = textOfBytes(record.value)
    const json = JSON.parse(text) as { event_type?: unknown } | null
    // Said first: its payload is another's.
    if (typeof json?.event_type === 'string' && json.event_type !== contract.event_type)
      return { is: 'unreadable', why: `event_type ${json.event_type}, expected ${contract.event_type}` }
    const message = contract.message.parse(json)
    const home = partitionOf(contract.laneKey(message.payload))
    if (home !== record.partition) return { is: 'unreadable', why: `its lane key belongs to lane ${home}` }
    const routed = route(message, { topic, partition: record.partition, offset: record.offset, ...stamped, text })
    if (!routed) return { is: 'unwanted' }
    return { is: 'event', routed, cause: { event_id: message.event_id, correlation_id: message.correlation_id ?? null } }
  } catch (error) {
    return { is: 'unreadable', why: textOf(error).slice(0, 1_000) }
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A name is a mark's key: what storage cannot hold there (a NUL, say) would be refused with every batch that takes the record. */
const SOURCE = /^[\w.:/#-]{1,200}$/

const stampOf = ({ headers }: BusRecord): Stamped | null => {
  const { 'unrip-source': source, 'unrip-incarnation': incarnation, 'unrip-position': position } = headers
  if (!source || !incarnation || !position) return null
  if (!SOURCE.test(source) || !UUID.test(incarnation) || !/^[1-9]\d{0,14}$/.test(position)) return null
  return { source, incarnation, position: Number(position) }
}
