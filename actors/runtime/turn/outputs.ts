import { z } from 'zod'
import type { Outgoing } from '#machines/contracts/actions.ts'
import { SCHEMA_VERSION } from '#machines/contracts/envelope.ts'
import { NEAR_INTENTS } from '#machines/contracts/ids.ts'
import type { Address, Cause } from '#machines/contracts/stamp.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { topics } from '#machines/contracts/topics.ts'
import type { EffectBody, TimerBody } from './bodies.ts'
import { effectBody } from './bodies.ts'
import type { Draft } from '../lane/draft.ts'
import { EventRefused } from '../faults.ts'
import { EMPTY_BYTES, toBytes } from '../json.ts'
import { hashOfText } from '../machine/machines.ts'
import { isFromBefore } from '../lane/marks.ts'
import type { LaneMemory } from '../lane/memory.ts'
import type { Emitted } from '../outbox.ts'
import { bytesOf, RECORD_BYTES } from '../outbox.ts'
import type { EffectRow, TimerRow } from '../rows.ts'
import type { TurnJournal } from './turn-journal.ts'
import type { Delivery, TurnsOptions } from './turns-options.ts'
import { deliveryOf } from './turns-options.ts'
import type { Output } from '../machine/xstate-names.ts'

const CASCADE_DEPTH = 64

/** What an output comes to; `text` is the output as JSON, for the journal's hash. */
export type Planned = { readonly text: string } & (
  | { readonly does: 'emit'; readonly record: Omit<Emitted, 'position'> }
  | { readonly does: 'tell'; readonly delivery: Delivery }
  | { readonly does: 'intend'; readonly row: EffectRow }
  | { readonly does: 'set timer'; readonly row: TimerRow }
  | Extract<Output, { does: 'stop read' | 'cancel timer' }>
)

/** What a taken event leads to: first planned, then applied to the draft and to memory. */
export class Outputs {
  readonly #memory: LaneMemory
  readonly #options: TurnsOptions
  readonly #journal: TurnJournal

  constructor(memory: LaneMemory, options: TurnsOptions, journal: TurnJournal) {
    this.#memory = memory
    this.#options = options
    this.#journal = journal
  }

  /** A record of the runtime's own, beside what machines say. It may need no turn, so its name makes its id unique. */
  announce(draft: Draft, topic: TopicName, name: string, params: Outgoing<object>, cause: Cause | null): void {
    this.#emit(draft, this.#record({ does: 'message', topic, params }, name, cause, draft.nowIso).record)
  }

  /** Works everything out before anything is changed: an output that cannot be had refuses the whole event (T3). */
  plan(draft: Draft, delivery: Delivery, outputs: readonly Output[]): Planned[] {
    return outputs.map((output, index): Planned => {
      switch (output.does) {
        case 'message':
          return { does: 'emit', ...this.#record(output, index, delivery.cause, draft.nowIso) }
        case 'tell':
          return { does: 'tell', delivery: this.told(draft, delivery, output), text: JSON.stringify(output) }
        case 'effect':
        case 'read':
          return { does: 'intend', row: this.#intended(draft, delivery, output, index), text: JSON.stringify(output) }
        case 'set timer':
          return { does: 'set timer', row: this.#timer(draft, delivery, output), text: JSON.stringify(output) }
        default:
          return { ...output, text: JSON.stringify(output) }
      }
    })
  }

  /** The payload is made into text once, for the record and for the hash of what was asked. */
  #record(
    { topic, params }: Extract<Output, { does: 'message' }>,
    index: number | string,
    cause: Cause | null,
    nowIso: string,
  ): { readonly record: Omit<Emitted, 'position'>; readonly text: string } {
    const contract = topics[topic] as unknown as {
      schema: z.ZodType<object>
      event_type: string
      key: (payload: object) => string
      laneKey: (payload: object) => string
    }
    const { payload, ...rest } = params as Outgoing<object>
    const parsed = contract.schema.safeParse(payload)
    if (!parsed.success) throw new EventRefused(`its ${topic} record does not fit: ${z.prettifyError(parsed.error)}`)
    const payloadText = JSON.stringify(payload)
    const { incarnation, turn } = this.#memory
    // By hand, as JSON.stringify would write it: names and ids of our own need no escaping, what others said does.
    const text =
      `{"event_id":"${incarnation}:${turn}:${index}","event_type":"${contract.event_type}","venue":${quoted(rest.venue ?? NEAR_INTENTS)},` +
      `"source":"${this.#options.service}","schema_version":${SCHEMA_VERSION},"observed_at":${quoted(rest.observed_at)},` +
      `"ingested_at":"${nowIso}","correlation_id":${quoted(rest.correlation_id ?? cause?.correlation_id)},` +
      `"causation_id":${quoted(cause?.event_id)},"payload":${payloadText},"raw":${rest.raw ? JSON.stringify(rest.raw) : '{}'}}`
    const bytes = bytesOf(text)
    if (bytes > RECORD_BYTES) throw new EventRefused(`its ${topic} record has ${bytes} bytes, above ${RECORD_BYTES}`)
    return {
      record: { topic, partition: this.#options.partitionOf(contract.laneKey(payload)), key: contract.key(payload), text },
      text: `{"does":"message","topic":${JSON.stringify(topic)},"params":${isEmpty(rest) ? `{"payload":${payloadText}}` : JSON.stringify(params)}}`,
    }
  }

  /** @throws EventRefused a cascade too deep (T4) */
  told(draft: Draft, { to, cause, depth }: Delivery, { to: target, event }: Extract<Output, { does: 'tell' }>): Delivery {
    if (depth + 1 > CASCADE_DEPTH) {
      throw new EventRefused(`a cascade deeper than ${CASCADE_DEPTH}, from ${to.kind}/${to.key} to ${target.kind}/${target.key}`)
    }
    const told = { to: target, event: this.#journal.attach(draft, event), cause, origin: `tell ${to.kind}/${to.key}` }
    return deliveryOf(told, { depth: depth + 1, asker: to })
  }

  #intended(
    draft: Draft,
    { to, cause, publishedMs }: Delivery,
    output: Extract<Output, { does: 'effect' | 'read' }>,
    index: number,
  ): EffectRow {
    const handler = this.#options.definition.effects[output.name]
    if (!handler) throw new EventRefused(`${this.#options.service} has no effect ${output.name}`)
    const params = output.does === 'effect' ? output.params : output.input
    const notAfterMs = handler.mode === 'ask first' ? notAfterOf(output.name, params) : null
    return {
      effect: `${this.#memory.incarnation}:${this.#memory.turn}:${index}`,
      ...to,
      name: output.name,
      mode: handler.mode,
      state: handler.mode === 'ask first' && isFromBefore(publishedMs, this.#memory.incarnation) ? 'uncertain' : 'pending',
      token: output.does === 'read' ? this.#memory.turn : 0,
      notAfterMs,
      askAtMs: handler.mode === 'ask first' && notAfterMs !== null ? notAfterMs + handler.askAfterMs : null,
      asked: 0,
      sinceMs: draft.nowMs,
      body: toBytes({ params: params ?? null, cause, ...(output.does === 'read' ? { invoke: output.invoke } : {}) } satisfies EffectBody),
    }
  }

  #timer(draft: Draft, { to, cause }: Delivery, { timer, delayMs, event }: Extract<Output, { does: 'set timer' }>): TimerRow {
    const dueMs = draft.nowMs + Math.max(0, Math.round(delayMs))
    return { ...to, timer, token: this.#memory.turn, dueMs, event: toBytes({ event, cause } satisfies TimerBody) }
  }

  /** Cannot fail: all that could was worked out by `plan`. */
  apply(draft: Draft, to: Address, planned: readonly Planned[]): Delivery[] {
    const tells: Delivery[] = []
    for (const step of planned) {
      switch (step.does) {
        case 'emit':
          this.#emit(draft, step.record)
          break
        case 'tell':
          tells.push(step.delivery)
          break
        case 'intend':
          draft.effects.set(step.row.effect, step.row)
          this.#memory.effects.set(step.row.effect, step.row)
          break
        case 'stop read':
          this.#voidReads(draft, to, step.invoke)
          break
        case 'set timer':
          draft.setTimer(step.row)
          this.#memory.timers.set(step.row)
          break
        case 'cancel timer':
          draft.cancelTimer({ ...to, timer: step.timer })
          this.#memory.timers.cancel({ ...to, timer: step.timer })
      }
    }
    return tells
  }

  #emit(draft: Draft, record: Omit<Emitted, 'position'>): void {
    const at = `${record.topic}/${record.partition}`
    const position = (this.#memory.positions.get(at) ?? 0) + 1
    this.#memory.positions.set(at, position)
    draft.sent.set(at, { topic: record.topic, partition: record.partition, incarnation: this.#memory.incarnation, position })
    draft.emitted.push({ ...record, position })
    this.#options.count(`published.${record.topic}`)
  }

  #voidReads(draft: Draft, { kind, key }: Address, invoke: string): void {
    for (const row of this.#memory.effects.values()) {
      if (row.kind !== kind || row.key !== key || row.token === 0 || effectBody(row).invoke !== invoke) continue
      draft.effects.set(row.effect, { ...row, state: 'void', sinceMs: draft.nowMs })
      this.#memory.effects.delete(row.effect)
    }
  }
}

/** As `outputHashOf` of the outputs. */
export const hashOfPlanned = (planned: readonly Planned[]): Uint8Array =>
  planned.length === 0 ? EMPTY_BYTES : hashOfText(`[${planned.map(({ text }) => text).join(',')}]`)

const quoted = (text: string | null | undefined): string => (text == null ? 'null' : JSON.stringify(text))

const isEmpty = (object: object): boolean => {
  for (const _ in object) return false
  return true
}

const notAfterOf = (name: string, params: unknown): number => {
  const notAfter = (params as { not_after_ms?: unknown } | null)?.not_after_ms
  if (typeof notAfter !== 'number' || !Number.isSafeInteger(notAfter))
    throw new EventRefused(`effect ${name} is ask first and has no not_after_ms`)
  return notAfter
}
