import { hash } from 'node:crypto'
import type { Address } from '#machines/contracts/stamp.ts'
import type { ParkedActor } from '../rows.ts'

/** How `/state` shows an actor that a parked event holds, or a record that no actor was found for (kind ''). */
export interface HeldView {
  readonly kind: string
  readonly key: string
  /** of the parked event: `LANE:TURN` names it */
  readonly turn: number
  readonly since: string
  readonly cause: string
  /** later events behind it */
  readonly waiting: number
}

export interface ParkedView {
  /** parked events that wait for a person */
  readonly held: number
  /** later events behind them, and behind those under way */
  readonly waiting: number
  /** actors whose events were let go and are being taken, in their order */
  readonly under_way: number
  /** those held, the latest first, at most 20 of them */
  readonly actors: readonly HeldView[]
}

type Entry = { -readonly [K in keyof ParkedActor]: ParkedActor[K] }

const SHOWN = 20
const CAUSE_SHOWN = 300
/** Actors whose events are read again at a time. */
const AT_A_TIME = 64

/**
 * Which actors of a lane are parked, as of the last computed turn.
 *
 * P1. An actor has at most one event that was tried and failed, and it is its first open one: it holds the others.
 * P2. What is let go, or was behind one that is resolved, is taken from the rows in the order of their turns; until none is left
 *     every new event of the actor goes behind them.
 * P3. An event that fails again keeps its row and its place.
 */
export class Parked {
  readonly #actors: Map<string, Entry>
  readonly #underWay = new Set<string>()

  constructor(rows: readonly ParkedActor[]) {
    this.#actors = new Map(rows.map((row) => [placeOf(row, row.turn), { ...row }]))
    for (const [place, { held }] of this.#actors) if (!held) this.#underWay.add(place)
  }

  get size(): number {
    return this.#actors.size
  }

  isParked(address: Address): boolean {
    return this.#actors.size > 0 && this.#actors.has(placeOf(address, 0))
  }

  /** An event was tried and failed: its actor is held from here on. The row is `turn`'s, of this turn or of an earlier one. */
  hold(address: Address, turn: number, cause: string, nowMs: number): void {
    const place = placeOf(address, turn)
    const open = (this.#actors.get(place)?.open ?? 0) + 1
    this.#actors.set(place, { kind: address.kind, key: storableKey(address.key), turn, held: true, cause, sinceMs: nowMs, open })
    this.#underWay.delete(place)
  }

  /** One more behind what waits. */
  wait(address: Address): void {
    const entry = this.#actors.get(placeOf(address, 0))
    if (entry) entry.open++
  }

  /** The first open event is no longer one; those behind it are under way. */
  resolved(address: Address, turn: number): void {
    const place = placeOf(address, turn)
    const entry = this.#actors.get(place)
    if (!entry) return
    entry.open--
    entry.held = false
    this.#underWay.add(place)
    if (entry.open <= 0) this.forget(address, turn)
  }

  /** The event that holds them is to be taken again, and then the others. */
  letGo(address: Address, turn: number): void {
    const place = placeOf(address, turn)
    const entry = this.#actors.get(place)
    if (!entry) return
    entry.held = false
    this.#underWay.add(place)
  }

  forget(address: Address, turn: number): void {
    const place = placeOf(address, turn)
    this.#actors.delete(place)
    this.#underWay.delete(place)
  }

  /** Whether it is this event's turn to be taken: nothing holds its actor. */
  isUnderWay(address: Address, turn: number): boolean {
    return this.#underWay.has(placeOf(address, turn))
  }

  get anyUnderWay(): boolean {
    return this.#underWay.size > 0
  }

  /** Some whose events are under way. */
  underWay(): ParkedActor[] {
    const some: ParkedActor[] = []
    for (const place of this.#underWay) {
      if (some.length === AT_A_TIME) break
      some.push(this.#actors.get(place)!)
    }
    return some
  }

  /** One that waits for a person; the same one for as long as it does. */
  firstHeld(): ParkedActor | null {
    if (this.#actors.size === this.#underWay.size) return null
    for (const entry of this.#actors.values()) if (entry.held) return entry
    return null
  }

  get heldCount(): number {
    return this.#actors.size - this.#underWay.size
  }

  /** Those that wait for a person. */
  held(): ParkedActor[] {
    return [...this.#actors.values()].filter(({ held }) => held)
  }

  describe(): ParkedView {
    const held = this.held()
    let open = 0
    for (const entry of this.#actors.values()) open += entry.open
    const latest = held.toSorted((a, b) => a.sinceMs - b.sinceMs).slice(-SHOWN)
    return { held: held.length, waiting: open - held.length, under_way: this.#underWay.size, actors: latest.toReversed().map(viewOf) }
  }
}

const viewOf = ({ kind, key, turn, sinceMs, cause, open }: ParkedActor): HeldView => ({
  kind,
  key,
  turn,
  since: new Date(sinceMs).toISOString(),
  cause: cause.slice(0, CAUSE_SHOWN),
  waiting: open - 1,
})

/** An actor's events are one after the other; records without an actor have nothing to do with each other. */
const placeOf = ({ kind, key }: Address, turn: number): string => (kind === '' ? `\n${turn}` : `${kind}\n${storableKey(key)}`)

/** Stands for what storage cannot hold; a key with one is nobody's address. */
export const MANGLED = '\u{FFFD}'
/** An index entry of PostgreSQL takes about a third of a page. */
const LONGEST_KEY_BYTES = 2_000
const SHORTENED_TO = 400

/** PostgreSQL's text takes no NUL; the event itself is bytes and keeps it. */
export const withoutNul = (text: string): string => (text.includes('\u0000') ? text.replaceAll('\u0000', MANGLED) : text)

/** A key under which an event can be parked whose actor's own cannot be stored. */
export const storableKey = (key: string): string =>
  key.length * 3 > LONGEST_KEY_BYTES && Buffer.byteLength(key) > LONGEST_KEY_BYTES
    ? `${withoutNul(key.slice(0, SHORTENED_TO))}${MANGLED}${hash('sha256', key).slice(0, 16)}`
    : withoutNul(key)
