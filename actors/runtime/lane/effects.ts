import { textOf } from '../faults.ts'
import { FewAtOnce } from './few-at-once.ts'
import type { Refusal } from './gate.ts'
import type { EffectEnd, PlainEvent } from './mailbox.ts'
import { repeatedly, tagged } from '../log.ts'
import type { Clock, Log, Meter } from '../ports.ts'
import type { EffectRow, EffectState } from '../rows.ts'
import type { EffectContext, EffectKind, ServiceDefinition } from '../service.ts'
import { effectBody } from '../turn/bodies.ts'

/** A hint comes with a block; a final one that shows it, about two blocks later. Asking at once would mostly be too early. */
const HURRY_EVERY_MS = 600
const HURRY_FOR_MS = 10_000
/** Reads under way at once in a lane. `ask first` effects never wait: each is a promise with a deadline. */
const READS_AT_ONCE = 32
/** Questions under way at once in a lane: a takeover asks about everything that is open. */
const QUESTIONS_AT_ONCE = 16

interface Open {
  readonly row: EffectRow
  readonly abort: AbortController
  phase: 'sending' | 'held' | 'waiting' | 'asking'
  hurryUntilMs: number
  /** questions put to the oracle, by earlier owners too as far as their rows say */
  asked: number
  /** questions in a row that the oracle did not answer */
  silences: number
  cancelTimer: () => void
}

/**
 * Runs the effects of one lane once their rows are committed.
 *
 * E1. Nothing is sent before its row is committed; from then on it counts as possibly sent.
 * E2. An `ask first` effect is sent at most once, by the owner that committed it. A successor only asks.
 * E3. It ends only by its oracle, or as `not_sent`; what the venue answers is progress.
 * E4. The oracle's "never" counts only when it was read at a final block later than `not_after`.
 * E5. The gate is asked right before each send.
 */
export class EffectRunner {
  readonly #open = new Map<string, Open>()
  readonly #questions = new FewAtOnce<Open>({
    atOnce: QUESTIONS_AT_ONCE,
    isWanted: ({ row }) => this.has(row.effect),
    run: (open, ended) => this.#run(open, this.#ask(open).finally(ended)),
  })
  readonly #reads = new FewAtOnce<Open>({
    atOnce: READS_AT_ONCE,
    isWanted: ({ row }) => this.has(row.effect),
    run: (open, ended) => this.#run(open, this.#read(open).finally(ended)),
  })
  #closed = false
  #sends = new Set<Promise<void>>()
  readonly #definition: ServiceDefinition
  readonly #lane: number
  readonly #clock: Clock
  readonly #log: Log
  readonly #meter: Meter
  readonly #refusal: (notAfterMs: number | null) => Refusal
  readonly #ended: (end: EffectEnd) => void

  constructor(options: {
    definition: ServiceDefinition
    lane: number
    clock: Clock
    log: Log
    meter: Meter
    refusal: (notAfterMs: number | null) => Refusal
    ended: (end: EffectEnd) => void
  }) {
    this.#definition = options.definition
    this.#lane = options.lane
    this.#clock = options.clock
    this.#log = tagged(options.log, { component: 'effects', lane: options.lane })
    this.#meter = options.meter
    this.#refusal = options.refusal
    this.#ended = options.ended
  }

  /** An effect whose row has just been committed by this owner. */
  start(row: EffectRow): void {
    const open = this.#track(row)
    if (row.mode === 'ask first') this.#run(open, this.#send(open))
    else this.#reads.add(open)
  }

  /** An effect that an earlier owner left open. */
  takeOver(row: EffectRow): void {
    const open = this.#track(row)
    if (row.mode === 'idempotent') return this.#reads.add(open)
    if (row.state === 'pending') this.#tell(open, 'uncertain', { type: `${row.name}.uncertain`, effect: row.effect })
    this.#askNow(open)
  }

  has(effect: string): boolean {
    return this.#open.has(effect)
  }

  /** The oracle may know soon: asks often, for a while. */
  hurry(effect: string): void {
    const open = this.#open.get(effect)
    if (!open || open.row.mode === 'idempotent') return
    const nowMs = this.#clock.wallMs()
    const isHurried = open.hurryUntilMs > nowMs
    open.hurryUntilMs = nowMs + HURRY_FOR_MS
    if (open.phase !== 'waiting' || isHurried) return
    open.cancelTimer()
    this.#askLater(open, HURRY_EVERY_MS)
  }

  /** The lease was renewed: what it held back may go. */
  renewed(): void {
    for (const open of this.#open.values()) if (open.phase === 'held') this.#run(open, this.#send(open))
  }

  /** A read whose row became void. */
  stop(effect: string): void {
    const open = this.#open.get(effect)
    open?.abort.abort(new Error('its machine no longer waits for it'))
    this.#forget(effect)
  }

  /** Resolves when no send is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#sends)
  }

  close(): void {
    this.#closed = true
    for (const open of this.#open.values()) {
      open.cancelTimer()
      open.abort.abort(new Error('lane released'))
    }
    this.#open.clear()
  }

  #track(row: EffectRow): Open {
    const open: Open = {
      row,
      abort: new AbortController(),
      phase: 'sending',
      hurryUntilMs: 0,
      asked: row.asked,
      silences: 0,
      cancelTimer: () => {},
    }
    this.#open.set(row.effect, open)
    return open
  }

  #run(open: Open, work: Promise<void>): void {
    const send = work.catch((error: unknown) => {
      this.#log.error({ event: 'effect.broken', ...named(open.row) }, textOf(error))
    })
    this.#sends.add(send)
    void send.finally(() => this.#sends.delete(send))
  }

  // --- ask first ---

  async #send(open: Open): Promise<void> {
    const { row } = open
    const handler = this.#handler(row.name, 'ask first')
    const refusal = this.#gate(row)
    if (refusal === 'lease') {
      open.phase = 'held'
      return
    }
    if (refusal) return this.#notSent(open, refusal)
    open.phase = 'sending'
    const said = await this.#timed(row.name, handler.send(effectBody(row).params, this.#context(open))).catch(
      // Whatever was thrown may have been thrown after the bytes left: silence, not "no".
      (error: unknown) => ({ answered: { kind: 'silence', reason: textOf(error) } }),
    )
    if (this.#closed || !this.#open.has(row.effect)) return
    if ('not_sent' in said) {
      if (this.#refusal(row.notAfterMs) !== 'lease') return this.#notSent(open, said.not_sent)
      open.phase = 'held'
      return
    }
    this.#tell(open, row.state, { type: `${row.name}.answered`, effect: row.effect, answer: said.answered })
    this.#askLater(open, Math.max(0, (row.askAtMs ?? 0) - this.#clock.wallMs()))
  }

  #notSent(open: Open, reason: string): void {
    this.#end(open, 'not_sent', { type: `${open.row.name}.not_sent`, effect: open.row.effect, reason })
  }

  #askNow(open: Open): void {
    open.phase = 'asking'
    this.#questions.add(open)
  }

  async #ask(open: Open): Promise<void> {
    const { row } = open
    const handler = this.#handler(row.name, 'ask first')
    open.phase = 'asking'
    open.asked++
    const said = await this.#timed(`${row.name}.ask`, handler.ask(effectBody(row).params, this.#context(open))).catch((error: unknown) => {
      repeatedly(this.#log, ++open.silences)({ event: 'effect.oracle_silent', silences: open.silences, ...named(row) }, textOf(error))
      return { answer: 'unknown' as const, as_of_ms: 0, detail: {} }
    })
    if (this.#closed || !this.#open.has(row.effect)) return
    const { answer, as_of_ms, detail } = said
    if (answer === 'happened')
      return this.#end(open, 'done', { type: `${row.name}.happened`, effect: row.effect, answer: detail, as_of_ms })
    if (answer === 'never' && row.notAfterMs !== null && as_of_ms > row.notAfterMs) {
      return this.#end(open, 'void', { type: `${row.name}.never`, effect: row.effect, as_of_ms })
    }
    // Before `ask_at` nothing but a hint makes the answer likelier than a moment ago.
    this.#askLater(open, Math.max(handler.askEveryMs, (row.askAtMs ?? 0) - this.#clock.wallMs()))
  }

  #askLater(open: Open, ms: number): void {
    open.phase = 'waiting'
    const hurried = open.hurryUntilMs > this.#clock.wallMs()
    open.cancelTimer = this.#clock.after(hurried ? Math.min(ms, HURRY_EVERY_MS) : ms, () => {
      if (!this.#closed) this.#askNow(open)
    })
  }

  // --- idempotent ---

  async #read(open: Open): Promise<void> {
    const { row } = open
    const { params, invoke } = effectBody(row)
    const read = { effect: row.effect }
    try {
      const answer = await this.#timed(row.name, this.#handler(row.name, 'idempotent').send(params, this.#context(open)))
      if (this.#closed || !this.#open.has(row.effect)) return
      this.#end(
        open,
        'done',
        invoke
          ? { type: `xstate.done.actor.${invoke}`, output: answer, actorId: invoke, ...read }
          : { type: `${row.name}.done`, answer, ...read },
      )
    } catch (error) {
      if (this.#closed || !this.#open.has(row.effect)) return
      const text = textOf(error)
      this.#end(
        open,
        'failed',
        invoke
          ? { type: `xstate.error.actor.${invoke}`, error: text, actorId: invoke, ...read }
          : { type: `${row.name}.failed`, error: text, ...read },
      )
    }
  }

  // --- common ---

  #tell(open: Open, state: EffectState, event: PlainEvent): void {
    this.#ended({ row: { ...open.row, state, asked: open.asked }, event })
  }

  #end(open: Open, state: EffectState, event: PlainEvent): void {
    this.#forget(open.row.effect)
    this.#tell(open, state, event)
  }

  #forget(effect: string): void {
    this.#open.get(effect)?.cancelTimer()
    this.#open.delete(effect)
  }

  #context(open: Open): EffectContext {
    return {
      effect: open.row.effect,
      lane: this.#lane,
      actor: { kind: open.row.kind, key: open.row.key },
      signal: open.abort.signal,
      nowMs: this.#clock.wallMs(),
      mayStillSend: () => !this.#closed && this.#gate(open.row) === null,
    }
  }

  /** The gate (E5); what it refuses is counted. */
  #gate({ notAfterMs }: EffectRow): Refusal {
    const refusal = this.#refusal(notAfterMs)
    if (refusal) this.#meter.count('unrip_gate_refused_total', 1, { reason: refusal })
    return refusal
  }

  async #timed<T>(effect: string, work: Promise<T>): Promise<T> {
    const begun = this.#clock.monotonicMs()
    try {
      return await work
    } finally {
      this.#meter.observe('unrip_effect_duration_seconds', (this.#clock.monotonicMs() - begun) / 1_000, { effect })
    }
  }

  #handler<M extends EffectKind['mode']>(name: string, mode: M): Extract<EffectKind, { mode: M }> {
    const handler = this.#definition.effects[name]
    if (!handler || handler.mode !== mode)
      throw new Error(`effect ${name} is in the ledger as ${mode}, and the code at hand has ${handler?.mode ?? 'no such effect'}`)
    return handler as Extract<EffectKind, { mode: M }>
  }
}

const named = (row: EffectRow): object => ({
  name: row.name,
  execution_id: row.effect,
  correlation_id: effectBody(row).cause?.correlation_id ?? null,
})
