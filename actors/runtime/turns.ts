import { z } from 'zod'
import type { Outgoing } from '#machines/contracts/actions.ts'
import { SCHEMA_VERSION } from '#machines/contracts/envelope.ts'
import { NEAR_INTENTS } from '#machines/contracts/ids.ts'
import type { Address, Cause } from '#machines/contracts/stamp.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { topics } from '#machines/contracts/topics.ts'
import type { EffectBody, TimerBody } from './bodies.ts'
import { effectBody } from './bodies.ts'
import type { Draft } from './draft.ts'
import { EventRefused, LaneReset, storeCode, textOf } from './faults.ts'
import { EMPTY_BYTES, fromBytes, toBytes } from './json.ts'
import { hashOfText } from './machines.ts'
import { drawnAtMs } from './marks.ts'
import type { PlainEvent } from './mailbox.ts'
import type { LaneMemory } from './memory.ts'
import { addressOf } from './memory.ts'
import type { Emitted } from './outbox.ts'
import { bytesOf, RECORD_BYTES } from './outbox.ts'
import { MANGLED, storableKey, withoutNul } from './parked.ts'
import type { ActorRow, EffectRow, JournalRow, Letter, LoadedActor, TimerRow } from './rows.ts'
import type { ServiceDefinition, Tables } from './service.ts'
import type { CachedActor } from './snapshot-cache.ts'
import { remembered, upgraded, writeUpgrades } from './snapshots-up.ts'
import type { Machine, Output } from './xstate.ts'

const CASCADE_DEPTH = 64
/** Beyond this they are asked for again. */
const ABSENT_KEPT = 10_000

export interface TurnsOptions {
  readonly service: string
  readonly definition: ServiceDefinition
  readonly machines: ReadonlyMap<string, Machine>
  readonly tables: Tables
  readonly partitionOf: (laneKey: string) => number
  readonly load: (addresses: readonly Address[]) => Promise<LoadedActor[]>
  /** all timers of these actors */
  readonly timersOf: (addresses: readonly Address[]) => Promise<TimerRow[]>
  readonly count: (name: string, n?: number) => void
}

/** What an output comes to; `text` is the output as JSON, for the journal's hash. */
type Planned = { readonly text: string } & (
  | { readonly does: 'emit'; readonly record: Omit<Emitted, 'position'> }
  | { readonly does: 'tell'; readonly delivery: Delivery }
  | { readonly does: 'intend'; readonly row: EffectRow }
  | { readonly does: 'set timer'; readonly row: TimerRow }
  | Extract<Output, { does: 'stop read' | 'cancel timer' }>
)

interface Delivery {
  readonly to: Address
  readonly event: PlainEvent
  readonly cause: Cause | null
  readonly origin: string
  readonly depth: number
  /** orders pass a parked event; they never wait */
  readonly isOrder: boolean
  readonly asker: Address | null
  /** when the record that led here was published; null for what no record caused, and for what it led to */
  readonly publishedMs: number | null
  /** the turn at which it was parked; null: it comes for the first time */
  readonly letter: number | null
}

/**
 * Turns, one event each, in order, into a draft.
 *
 * T1. A turn knows its event (with `now` and what was attached) and its snapshot: the same input gives the same bytes.
 * T2. Every turn has a dense number and a journal row, parked and same-batch ones too.
 * T3. A turn that throws changes nothing but its journal row and the parked row.
 * T4. Messages to actors of this lane run in the same batch, at most 64 deep.
 * T5. Nothing but an order reaches an actor ahead of its parked events; each of those ends in one turn, or is parked again.
 */
export class Turns {
  readonly #memory: LaneMemory
  readonly #options: TurnsOptions
  /** Looked for and not stored. Only this lane writes its actors, so one stays absent until a turn makes it. */
  readonly #absent = new Set<string>()
  #discarded = false

  constructor(memory: LaneMemory, options: TurnsOptions) {
    this.#memory = memory
    this.#options = options
  }

  /** The memory was thrown away: whatever is being computed on it ends with `LaneReset`. */
  discard(): void {
    this.#discarded = true
  }

  /**
   * Brings the snapshots of these actors into memory in one SELECT. Those of an older version are brought up, and written with
   * this draft, or with the next one.
   * @throws what the store throws; SnapshotMismatch for one that this code cannot load; LaneReset
   */
  async prefetch(addresses: readonly Address[], draft?: Draft): Promise<void> {
    try {
      await this.#bring(addresses)
    } finally {
      if (draft) writeUpgrades(this.#memory, draft)
    }
  }

  async #bring(addresses: readonly Address[]): Promise<void> {
    const missing = new Map<string, Address>()
    for (const to of addresses) {
      const address = addressOf(to)
      if (!this.#isKnown(address)) missing.set(address, to)
    }
    if (missing.size === 0) return
    const rows = await this.#options.load([...missing.values()])
    if (this.#discarded) throw new LaneReset('lane reset while snapshots were loaded')
    if (this.#absent.size > ABSENT_KEPT) this.#absent.clear()
    for (const address of missing.keys()) this.#absent.add(address)
    for (const row of rows) this.#absent.delete(addressOf(row))
    const old: LoadedActor[] = []
    for (const row of rows) {
      const { state, sequence, isOld } = this.#machine(row).load(row.body)
      if (isOld) old.push(row)
      else
        this.#memory.cache.loaded(addressOf(row), {
          state,
          sequence,
          bytes: row.body.length,
          baseDay: null,
          atMs: row.updatedAtMs,
          fresh: true,
        })
    }
    if (old.length > 0) await this.#upgrade(old)
  }

  async #upgrade(rows: readonly LoadedActor[]): Promise<void> {
    const stored = await this.#options.timersOf(rows)
    if (this.#discarded) throw new LaneReset('lane reset while timers were loaded')
    const timers = Map.groupBy(stored, addressOf)
    const effects = Map.groupBy(this.#memory.effects.values(), addressOf)
    for (const row of rows) {
      const of = { timers: timers.get(addressOf(row)) ?? [], effects: effects.get(addressOf(row)) ?? [] }
      remembered(this.#memory, upgraded(this.#machine(row), row, of, this.#memory.turn))
    }
    this.#options.count('actors.upgraded', rows.length)
  }

  #isKnown(address: string): boolean {
    return this.#memory.cache.has(address) || this.#absent.has(address)
  }

  /** One event for one actor, and all that follows from it within the lane. Undefined where nothing had to be waited for. */
  deliver(
    draft: Draft,
    to: Address,
    event: PlainEvent,
    cause: Cause | null,
    origin: string,
    publishedMs: number | null = null,
  ): Promise<void> | undefined {
    const deliveries: Delivery[] = [
      {
        to,
        event: this.#attach(draft, event),
        cause,
        origin,
        depth: 0,
        isOrder: origin.startsWith('order '),
        asker: null,
        publishedMs,
        letter: null,
      },
    ]
    return this.#follow(draft, deliveries)
  }

  /**
   * A parked event once more, as a new turn: its content and cause, what is attached as of now. It is resolved with that turn, or parked
   * again in its place.
   * @param why  storage would not take what it led to: it is parked again, untried
   */
  async redeliver(draft: Draft, { turn, kind, key, origin, ordered, event: bytes }: Letter, why: string | null): Promise<void> {
    const { now: _now, id: _id, attached: _attached, cause, published_ms, ...stored } = fromBytes(bytes) as ParkedEvent
    const { event, unreadable } = this.#broughtUp({ kind, key }, stored)
    const delivery: Delivery = {
      to: { kind, key },
      event: this.#attach(draft, event),
      cause,
      origin,
      depth: 0,
      isOrder: false,
      asker: null,
      publishedMs: published_ms ?? null,
      letter: turn,
    }
    this.#memory.parked.resolved(delivery.to, turn)
    this.#options.count('letters.taken')
    const at = `as turn ${this.#memory.turn + 1} at ${draft.nowIso}`
    draft.letter(turn, { done: ordered === '' ? `taken in its order ${at}` : `replayed ${at}: ${ordered}` })
    const refusal = why ?? unreadable ?? (key.includes(MANGLED) ? 'no actor can have its key' : null)
    if (refusal === null) return this.#follow(draft, [delivery])
    this.#memory.turn++
    const stamped = { ...delivery.event, now: draft.nowMs, id: `${this.#memory.incarnation}:${this.#memory.turn}`, cause }
    await this.#follow(draft, this.#refuse(draft, delivery, stamped, null, refusal))
  }

  /** As the machine at hand reads it, by whatever version of it the event was written. */
  #broughtUp(of: Address, event: PlainEvent): { event: PlainEvent; unreadable: string | null } {
    const actor = this.#memory.cache.peek(addressOf(of))
    try {
      return { event: this.#options.machines.get(of.kind)?.lineage.event(event, actor?.state ?? null) ?? event, unreadable: null }
    } catch (error) {
      return { event, unreadable: textOf(error) }
    }
  }

  /** Nearly every actor is in memory by now, and a promise a turn was a tenth of the host's time. */
  #follow(draft: Draft, deliveries: readonly Delivery[]): Promise<void> | undefined {
    const waiting = [...deliveries]
    for (let at = 0; at < waiting.length; at++) {
      const next = waiting[at]!
      if (this.#isMissing(next)) return this.#followLoaded(draft, waiting.slice(at))
      const led = this.#turn(draft, next)
      if (led.length > 0) waiting.push(...led)
    }
    return undefined
  }

  async #followLoaded(draft: Draft, [next, ...others]: readonly Delivery[]): Promise<void> {
    let failed: unknown = null
    try {
      await this.prefetch([next!.to], draft)
    } catch (error) {
      failed = error
    }
    await this.#follow(draft, [...others, ...this.#turn(draft, next!, failed)])
  }

  #isMissing(delivery: Delivery): boolean {
    const { to } = delivery
    return this.#options.machines.has(to.kind) && !this.#isKnown(addressOf(to)) && !this.#waitsBehind(delivery)
  }

  #waitsBehind({ to, isOrder, letter }: Delivery): boolean {
    return !isOrder && letter === null && this.#memory.parked.isParked(to)
  }

  /** Whether a timer is armed, also one that only the store has. What is in neither draft nor memory is stored: nothing is in commit. */
  async isArmed(draft: Draft, timer: Pick<TimerRow, 'kind' | 'key' | 'timer'>): Promise<boolean> {
    const known = draft.armed(timer) ?? this.#memory.timers.isArmed(timer)
    if (known !== null) return known
    const stored = await this.#options.timersOf([timer])
    if (this.#discarded) throw new LaneReset('lane reset while timers were loaded')
    return stored.some((row) => row.timer === timer.timer)
  }

  /** A record of the runtime's own, beside what machines say. It may need no turn, so its name makes its id unique. */
  announce(draft: Draft, topic: TopicName, name: string, params: Outgoing<object>, cause: Cause | null): void {
    this.#emit(draft, this.#record({ does: 'message', topic, params }, name, cause, draft.nowIso).record)
  }

  /** A dead letter that no actor was found for. */
  parkWithoutActor(draft: Draft, origin: string, event: Uint8Array, why: string, by: ParkedBy): void {
    this.#memory.turn++
    this.#park(draft, NOBODY, origin, event, why, by)
    this.#memory.parked.hold(NOBODY, this.#memory.turn, why, draft.nowMs)
    this.#journal(draft, NOBODY, 0, event, null, 'p', EMPTY_BYTES)
  }

  /** One that was let go and still cannot be read: it stays where it is. */
  parkAgain(draft: Draft, { turn, event }: Letter, why: string): void {
    this.#memory.turn++
    this.#memory.parked.resolved(NOBODY, turn)
    this.#memory.parked.hold(NOBODY, turn, why, draft.nowMs)
    draft.letter(turn, { cause: withoutNul(why) })
    this.#options.count('letters.parked_again')
    this.#journal(draft, NOBODY, 0, event, null, 'p', EMPTY_BYTES)
  }

  /** An event that storage would not take: parked with its actor, untried. */
  parkPoisoned(
    draft: Draft,
    { to, event, cause, origin, publishedMs, why }: Pick<Delivery, 'to' | 'event' | 'cause' | 'origin' | 'publishedMs'> & { why: string },
  ): void {
    this.#memory.turn++
    const stamped = { ...event, now: draft.nowMs, id: `${this.#memory.incarnation}:${this.#memory.turn}`, cause }
    const delivery = { to, event, cause, origin, depth: 0, isOrder: false, asker: null, publishedMs, letter: null }
    this.#refuse(draft, delivery, stamped, null, why, 'storage')
  }

  /** @param failed  what came of loading its actor, if anything */
  #turn(draft: Draft, delivery: Delivery, failed: unknown = null): Delivery[] {
    const { to, event, cause } = delivery
    this.#memory.turn++
    const { incarnation } = this.#memory
    const stamped: PlainEvent = { ...event, now: draft.nowMs, id: `${incarnation}:${this.#memory.turn}`, cause }
    if (isFromBefore(delivery.publishedMs, incarnation)) Object.assign(stamped, { maybe_taken_before: true })
    const kind = this.#options.definition.kinds[to.kind]
    const machine = this.#options.machines.get(to.kind)
    if (!kind || !machine) return this.#refuse(draft, delivery, stamped, null, `${this.#options.service} hosts no ${to.kind}`)
    const address = addressOf(to)
    if (this.#waitsBehind(delivery)) return this.#queueBehind(draft, delivery, stamped)
    let before: CachedActor | undefined
    try {
      if (failed !== null) throw failed
      before = this.#memory.cache.get(address)
      if (before?.state.status === 'done') return this.#afterEnd(draft, delivery, stamped, before)
      if (!machine.knows(event.type)) throw new EventRefused(`${to.kind} knows no event ${event.type}`)
      const outputs: Output[] = []
      let state = before?.state
      if (!state) {
        const begun = machine.begin(kind.input(to.key))
        state = begun.state
        outputs.push(...begun.outputs)
      }
      const turned = machine.turn(state, stamped)
      outputs.push(...turned.outputs)
      const planned = this.#plan(draft, delivery, outputs)
      this.#touch(draft, to, address, machine, turned.state, before)
      this.#journal(
        draft,
        to,
        (before?.sequence ?? 0) + 1,
        this.#journalled(draft, stamped, before),
        before ?? null,
        turned.changed || !before ? 't' : 'i',
        hashOfPlanned(planned),
        machine,
      )
      if (!turned.changed && before) this.#options.count(`ignored.${to.kind}.${event.type}`)
      return this.#apply(draft, to, planned)
    } catch (error) {
      // A store that does not answer is nobody's fault here; an address that it cannot hold is the event's.
      const code = storeCode(error)
      if (error instanceof LaneReset || (code && code !== 'bad_data')) throw error
      return this.#refuse(draft, delivery, stamped, before, textOf(error), error instanceof EventRefused ? 'refused' : 'threw')
    }
  }

  // --- outcomes other than a taken event ---

  #afterEnd(draft: Draft, delivery: Delivery, stamped: PlainEvent, before: CachedActor): Delivery[] {
    const { to, event } = delivery
    const told = this.#options.definition.kinds[to.kind]?.afterEnd?.(event, before.state.context) ?? null
    if (!told) this.#options.count(`dropped.${to.kind}.${event.type}`)
    const next = told ? [this.#told(draft, delivery, { does: 'tell', ...told })] : []
    this.#journal(draft, to, before.sequence, this.#journalled(draft, stamped), null, 'd', EMPTY_BYTES)
    return next
  }

  #queueBehind(draft: Draft, delivery: Delivery, stamped: PlainEvent): Delivery[] {
    this.#memory.parked.wait(delivery.to)
    const event = this.#letterOf(draft, delivery, stamped)
    this.#park(draft, delivery.to, delivery.origin, event, 'waiting behind a parked event', 'waiting')
    draft.letter(this.#memory.turn, { waits: true })
    this.#journal(draft, delivery.to, 0, event, null, 'q', EMPTY_BYTES)
    return this.#tellAsker(delivery)
  }

  #refuse(
    draft: Draft,
    delivery: Delivery,
    stamped: PlainEvent,
    before: CachedActor | null | undefined,
    why: string,
    by: ParkedBy = 'refused',
  ): Delivery[] {
    const event = this.#letterOf(draft, delivery, stamped)
    const { to, origin, letter } = delivery
    const { turn } = this.#memory
    if (delivery.isOrder) {
      // An order that is refused is answered, and parks nobody: its row names its actor in the origin only.
      this.#park(draft, NOBODY, `${origin} for ${to.kind}/${to.key}`, event, why, by)
      draft.letter(turn, { done: 'the order was answered with it' })
    } else {
      this.#memory.parked.hold(to, letter ?? turn, why, draft.nowMs)
      if (letter === null) this.#park(draft, to, origin, event, why, by)
      else {
        this.#options.count('letters.parked_again')
        draft.letter(letter, { cause: withoutNul(`again, as turn ${turn}: ${why}`) })
      }
    }
    this.#journal(draft, delivery.to, before?.sequence ?? 0, event, null, 'p', EMPTY_BYTES)
    return this.#tellAsker(delivery)
  }

  /** Who asked a parked actor gets to know at once, if its machine wants to. */
  #tellAsker({ asker, to, cause, depth }: Delivery): Delivery[] {
    if (!asker || !this.#options.machines.get(asker.kind)?.knows('actor.parked')) return []
    return [
      {
        to: asker,
        event: { type: 'actor.parked', parked: to },
        cause,
        origin: `parked ${to.kind}/${to.key}`,
        depth: depth + 1,
        isOrder: false,
        asker: null,
        publishedMs: null,
        letter: null,
      },
    ]
  }

  /** The event as its parked row keeps it: what is needed to take it again. */
  #letterOf(draft: Draft, { publishedMs }: Delivery, stamped: PlainEvent): Uint8Array {
    return this.#journalled(draft, publishedMs === null ? stamped : { ...stamped, published_ms: publishedMs })
  }

  #park(draft: Draft, { kind, key }: Address, origin: string, event: Uint8Array, cause: string, by: ParkedBy): void {
    this.#options.count(`parked.${kind || 'record'}`)
    this.#options.count(`parked_by.${by}`)
    draft.parked.push({
      turn: this.#memory.turn,
      kind: withoutNul(kind),
      key: storableKey(key),
      cause: withoutNul(cause),
      origin: withoutNul(origin),
      event,
    })
  }

  // --- what a taken event leads to ---

  /** Works everything out before anything is changed: an output that cannot be had refuses the whole event (T3). */
  #plan(draft: Draft, delivery: Delivery, outputs: readonly Output[]): Planned[] {
    return outputs.map((output, index): Planned => {
      switch (output.does) {
        case 'message':
          return { does: 'emit', ...this.#record(output, index, delivery.cause, draft.nowIso) }
        case 'tell':
          return { does: 'tell', delivery: this.#told(draft, delivery, output), text: JSON.stringify(output) }
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

  #told(draft: Draft, { to, cause, depth }: Delivery, { to: target, event }: Extract<Output, { does: 'tell' }>): Delivery {
    if (depth + 1 > CASCADE_DEPTH) {
      throw new EventRefused(`a cascade deeper than ${CASCADE_DEPTH}, from ${to.kind}/${to.key} to ${target.kind}/${target.key}`)
    }
    return {
      to: target,
      event: this.#attach(draft, event),
      cause,
      origin: `tell ${to.kind}/${to.key}`,
      depth: depth + 1,
      isOrder: false,
      asker: to,
      publishedMs: null,
      letter: null,
    }
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

  /** Cannot fail: all that could was worked out by `#plan`. */
  #apply(draft: Draft, to: Address, planned: readonly Planned[]): Delivery[] {
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

  // --- snapshots and journal ---

  #touch(draft: Draft, to: Address, address: string, machine: Machine, state: CachedActor['state'], before: CachedActor | undefined): void {
    const sequence = (before?.sequence ?? 0) + 1
    const actor: CachedActor = { state, sequence, bytes: before?.bytes ?? 400, baseDay: draft.day, atMs: draft.nowMs, fresh: false }
    this.#memory.cache.changed(address, actor)
    this.#absent.delete(address)
    const row = (): ActorRow => {
      const body = machine.store(state, sequence)
      actor.bytes = body.length
      return { ...to, sequence, status: state.status, body, endedAtMs: state.status === 'done' ? draft.nowMs : null }
    }
    draft.touched.set(address, { address: to, actor, row })
  }

  #journal(
    draft: Draft,
    to: Address,
    sequence: number,
    event: Uint8Array,
    before: CachedActor | null,
    outcome: JournalRow['outcome'],
    outputHash: Uint8Array,
    machine?: Machine,
  ): void {
    const needsBase = before !== null && machine && before.baseDay !== draft.day
    draft.journal.push({
      kind: withoutNul(to.kind),
      key: storableKey(to.key),
      sequence,
      nowMs: draft.nowMs,
      event,
      base: needsBase ? machine.store(before.state, before.sequence) : null,
      outcome,
      outputHash,
    })
  }

  /** Values of followed tables, once a batch and type of event; the journal refers to them by index. */
  #attach(draft: Draft, event: PlainEvent): PlainEvent {
    const attach = this.#options.definition.attach?.[event.type]
    if (!attach) return event
    let at = draft.attachedAt.get(event.type)
    if (at === undefined) {
      at = draft.attached.push(attach(this.#options.tables)) - 1
      draft.attachedAt.set(event.type, at)
    }
    return { ...event, attached: draft.attached[at] }
  }

  /**
   * The event as the journal keeps it: `attached` is stored once a batch and named by its index, and `$ago` says how many ms before
   * it the actor's turn before was taken, which is how its turns are found again.
   */
  #journalled(draft: Draft, stamped: PlainEvent, before?: CachedActor): Uint8Array {
    const at = draft.attachedAt.get(stamped.type)
    const text = JSON.stringify(
      at === undefined || stamped['attached'] === undefined ? stamped : { ...stamped, attached: { $attached: at } },
    )
    return Buffer.from(before ? `${text.slice(0, -1)},"$ago":${draft.nowMs - before.atMs}}` : text)
  }

  #machine({ kind, key }: Address): Machine {
    const machine = this.#options.machines.get(kind)
    if (!machine) throw new EventRefused(`${this.#options.service} hosts no ${kind} (stored ${kind}/${key})`)
    return machine
  }
}

const NOBODY: Address = { kind: '', key: '' }

const quoted = (text: string | null | undefined): string => (text == null ? 'null' : JSON.stringify(text))

const isEmpty = (object: object): boolean => {
  for (const _ in object) return false
  return true
}

/** As `outputHashOf` of the outputs. */
const hashOfPlanned = (planned: readonly Planned[]): Uint8Array =>
  planned.length === 0 ? EMPTY_BYTES : hashOfText(`[${planned.map(({ text }) => text).join(',')}]`)

/** Why something was parked, as it is counted. */
export type ParkedBy = 'threw' | 'refused' | 'storage' | 'unreadable' | 'waiting'

type ParkedEvent = PlainEvent & { readonly cause: Cause | null; readonly published_ms?: number }

/**
 * A record that is older than this incarnation may have been acted on in a time that storage has forgotten: what it leads to
 * is not sent, it is asked about.
 */
const isFromBefore = (publishedMs: number | null, incarnation: string): boolean => {
  if (publishedMs === null) return false
  const drawnMs = drawnAtMs(incarnation)
  return drawnMs !== null && publishedMs < drawnMs
}

const notAfterOf = (name: string, params: unknown): number => {
  const notAfter = (params as { not_after_ms?: unknown } | null)?.not_after_ms
  if (typeof notAfter !== 'number' || !Number.isSafeInteger(notAfter))
    throw new EventRefused(`effect ${name} is ask first and has no not_after_ms`)
  return notAfter
}
