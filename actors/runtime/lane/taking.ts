import type { Address, Cause } from '#machines/contracts/stamp.ts'
import type { Draft } from './draft.ts'
import type { Inputs } from './inputs.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'
import { EMPTY_BYTES, fromBytes } from '../json.ts'
import type { EffectEnd, Item, PlainEvent } from './mailbox.ts'
import { LIFECYCLE } from './memory.ts'
import { storableKey } from './parked.ts'
import type { BusRecord } from '../bus-port.ts'
import type { EffectRow, Letter } from '../rows.ts'
import { read, receive } from './receive.ts'
import type { Stamped } from './receive.ts'
import type { Steering } from './steering.ts'
import { effectBody, timerBody } from '../turn/bodies.ts'

/** What an item is: whom it is for, and what to run once that actor is in memory. */
interface Step {
  readonly to: Address | null
  /** undefined: done, there was nothing to wait for */
  readonly run: () => Promise<void> | undefined
}

/** Makes turns of what has arrived: records, due timers, finished effects, events of this process; orders go to `Steering`. */
export class Taking {
  readonly #options: LaneOptions
  readonly #now: LaneNow
  readonly #inputs: Inputs
  readonly #steering: Steering
  readonly #count: (name: string) => void

  constructor(of: { options: LaneOptions; now: LaneNow; inputs: Inputs; steering: Steering; count: (name: string) => void }) {
    this.#options = of.options
    this.#now = of.now
    this.#inputs = of.inputs
    this.#steering = of.steering
    this.#count = of.count
  }

  /** Reads an item: whom it is for, and what to run once that actor is in memory. Null: nothing. */
  read(draft: Draft, item: Item): Step | null {
    switch (item.from) {
      case 'record':
        return this.#readRecord(draft, item.record, item)
      case 'order':
        return { to: LIFECYCLE, run: () => this.#steering.take(draft, item, item.order) }
      case 'tell':
        return { to: item.to, run: () => this.#deliver(draft, item, item.to, item.event, item.cause, 'tell from this process') }
      case 'timer': {
        const { timer } = item
        return { to: timer, run: () => this.#takeTimer(draft, item, timer) }
      }
      case 'effect':
        return { to: item.end.row, run: () => this.#takeEffectEnd(draft, item, item.end) }
      case 'letter':
        return { to: item.letter.kind === '' ? null : item.letter, run: () => this.#takeLetter(draft, item, item.letter) }
    }
  }

  #readRecord(draft: Draft, record: BusRecord, item: Item): Step | null {
    const input = this.#now.memory.inputs.get(record.topic)
    if (!input || record.offset < input.next || this.#inputs.isHeld(record.topic)) return null
    const { received, stamped } = receive(record, this.#now.memory, this.#options.definition, this.#options.partitionOf)
    if (received.is === 'gap') {
      this.#inputs.halt({ topic: record.topic, code: 'POSITION_LOST', detail: received.detail, since_ms: draft.nowMs })
      draft.halted = this.#now.memory.halted
      return null
    }
    const moved = { ...input, next: record.offset + 1 }
    this.#now.memory.inputs.set(record.topic, moved)
    draft.inputs.set(record.topic, moved)
    if (stamped) {
      const { source, incarnation, position } = stamped
      draft.marks.set(
        `${record.topic}\n${source}\n${incarnation}`,
        this.#now.memory.marks.take(record.topic, source, incarnation, position, record.offset, draft.nowMs),
      )
    }
    const origin = `record ${record.topic}/${record.partition}@${record.offset}`
    switch (received.is) {
      case 'repeat':
        this.#count(`repeated.${record.topic}`)
        return null
      case 'unwanted':
        return null
      case 'unreadable':
        return {
          to: null,
          run: async () =>
            this.#now.turns.parkWithoutActor(draft, withSource(origin, stamped), record.value ?? EMPTY_BYTES, received.why, 'unreadable'),
        }
      case 'event': {
        const { to, event, history, also } = received.routed
        const poison = this.#now.poison?.item === item ? this.#now.poison.why : null
        if (history && poison) {
          // It is the row that storage will not take: no fault of the actor's, whose later rows go on.
          const why = `storage refused it: ${poison}`
          const value = record.value ?? EMPTY_BYTES
          return { to: null, run: async () => this.#now.turns.parkWithoutActor(draft, withSource(origin, stamped), value, why, 'storage') }
        }
        if (history) draft.history.push(history)
        const first = (): Promise<void> | undefined => this.#deliver(draft, item, to, event, received.cause, origin, record.timestampMs)
        if (!also) return { to, run: first }
        return {
          to,
          run: async () => {
            await first()
            for (const each of also) await this.#deliver(draft, item, each.to, each.event, received.cause, origin, record.timestampMs)
          },
        }
      }
    }
  }

  #deliver(
    draft: Draft,
    item: Item,
    to: Address,
    event: PlainEvent,
    cause: Cause | null,
    origin: string,
    publishedMs: number | null = null,
  ): Promise<void> | undefined {
    if (this.#now.poison?.item !== item) return this.#now.turns.deliver(draft, to, event, cause, origin, publishedMs)
    this.#now.turns.parkPoisoned(draft, { to, event, cause, origin, publishedMs, why: `storage refused it: ${this.#now.poison.why}` })
    return undefined
  }

  async #takeTimer(draft: Draft, item: Item, timer: Extract<Item, { from: 'timer' }>['timer']): Promise<void> {
    if (!this.#now.memory.timers.isCurrent(timer)) return this.#count('timers.stale')
    this.#now.memory.timers.cancel(timer)
    draft.cancelTimer(timer)
    this.#options.meter.observe('unrip_timer_late_seconds', (draft.nowMs - timer.dueMs) / 1_000)
    const { event, cause } = timerBody(timer)
    await this.#deliver(draft, item, timer, event, cause, `timer ${timer.timer}`)
  }

  async #takeEffectEnd(draft: Draft, item: Item, end: EffectEnd): Promise<void> {
    if (!closeInLedger(draft, this.#now.memory.effects, end)) return this.#count('effects.stale_end')
    this.#count(`effect.${end.event.type}`)
    await this.#deliver(draft, item, end.row, end.event, effectBody(end.row).cause, `effect ${end.row.effect}`)
  }

  /** A parked event whose turn it is: not one that was let go before another of its actor was parked again. */
  async #takeLetter(draft: Draft, item: Item, letter: Letter): Promise<void> {
    const { memory, turns } = this.#now
    if (!memory.parked.isUnderWay(letter, letter.turn)) return
    const why = this.#now.poison?.item === item ? `storage refused it: ${this.#now.poison.why}` : null
    if (letter.kind === '') return this.#routeAgain(draft, letter, why)
    const stale = await this.#outlived(draft, letter)
    if (stale === null) return turns.redeliver(draft, letter, why)
    memory.parked.resolved(letter, letter.turn)
    draft.letter(letter.turn, { done: `dropped at ${draft.nowIso}: ${stale}` })
    this.#count('letters.stale')
  }

  /** What its actor has asked for anew since, by an order that passed it: the older answer means nothing any more. */
  async #outlived(draft: Draft, { kind, key, origin, event }: Letter): Promise<string | null> {
    const { memory, turns } = this.#now
    const timer = origin.startsWith('timer ') ? { kind, key, timer: origin.slice('timer '.length) } : null
    if (timer && (await turns.isArmed(draft, timer))) return 'the timer was set again'
    const [, invoke] = /^xstate\.(?:done|error)\.actor\.(.+)$/.exec((fromBytes(event) as PlainEvent).type) ?? []
    if (invoke === undefined) return null
    const isAsked = [...memory.effects.values()].some((row) => row.kind === kind && row.key === key && effectBody(row).invoke === invoke)
    return isAsked ? 'it was asked again' : null
  }

  /** A record that no actor was found for, read as this code reads it. It is done with when it has found one, parked or not. */
  async #routeAgain(draft: Draft, letter: Letter, why: string | null): Promise<void> {
    const { memory, turns } = this.#now
    const { record, stamped } = recordOf(letter)
    const received = why === null && record ? read(record, stamped, this.#options.definition, this.#options.partitionOf) : null
    if (received === null || received.is === 'unreadable') {
      return turns.parkAgain(draft, letter, why ?? (received ? received.why : 'it came in no record: there is nothing to read again'))
    }
    memory.parked.resolved(letter, letter.turn)
    const at = `at ${draft.nowIso}: ${letter.ordered}`
    if (received.is !== 'event') return draft.letter(letter.turn, { done: `read again ${at}; nobody here wants it` })
    const { to, event, history, also = [] } = received.routed
    draft.letter(letter.turn, { done: `replayed as turn ${memory.turn + 1} of ${to.kind}/${storableKey(to.key)} ${at}` })
    if (history) draft.history.push(history)
    const origin = `${letter.origin}, replay of turn ${letter.turn}`
    for (const each of [{ to, event }, ...also])
      await turns.deliver(draft, each.to, each.event, received.cause, origin, record?.timestampMs ?? null)
  }
}

/** `record topic/partition@offset from source incarnation position`, so that it can be read once more without its headers. */
const withSource = (origin: string, stamped: Stamped | null): string =>
  stamped ? `${origin} from ${stamped.source} ${stamped.incarnation} ${stamped.position}` : origin

const ORIGIN = /^record ([^/]+)\/(\d+)@(\d+)(?: from (\S+) (\S+) (\d+))?/
/** Of a record without headers, that a person wants taken all the same. */
const UNKNOWN: Stamped = { source: 'unknown', incarnation: '00000000-0000-0000-0000-000000000000', position: 0 }

const recordOf = ({ origin, event }: Letter): { record: BusRecord | null; stamped: Stamped } => {
  const [, topic, partition, offset, source, incarnation, position] = ORIGIN.exec(origin) ?? []
  const stamped = source && incarnation ? { source, incarnation, position: Number(position) } : UNKNOWN
  if (topic === undefined) return { record: null, stamped }
  // It was published after it was made: with the earlier time what it leads to is rather asked about than sent.
  const record = {
    topic,
    partition: Number(partition),
    offset: Number(offset),
    key: null,
    value: event,
    headers: {},
    timestampMs: madeAtMs(event),
  }
  return { record, stamped }
}

const madeAtMs = (value: Uint8Array): number => {
  try {
    const ms = Date.parse((fromBytes(value) as { ingested_at: string }).ingested_at)
    return Number.isNaN(ms) ? 0 : ms
  } catch {
    return 0
  }
}

/** Writes the ledger's side of an end into the batch whose turn takes it. False: it is closed already, nothing to deliver. */
const closeInLedger = (draft: Draft, ledger: Map<string, EffectRow>, { row }: EffectEnd): boolean => {
  const stored = ledger.get(row.effect)
  if (!stored) return false
  const now = stored.state === row.state ? stored : { ...row, sinceMs: draft.nowMs }
  if (now !== stored) draft.effects.set(row.effect, now)
  if (row.state === 'pending' || row.state === 'uncertain') ledger.set(row.effect, now)
  else ledger.delete(row.effect)
  return true
}
