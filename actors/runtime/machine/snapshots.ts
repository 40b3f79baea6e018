import type { Migration, StoredEffect, StoredEvent, StoredSnapshot, StoredTimer } from '#machines/contracts/migration.ts'
import { textOf } from '../faults.ts'
import { fromBytes, toBytes } from '../json.ts'

/** What a snapshot was written by. */
export interface Found {
  readonly version: number
  readonly hash: string
}

/** A snapshot that this code cannot load; the message says why. */
export class SnapshotMismatch extends Error {
  readonly code = 'snapshot_mismatch'
  readonly found: Found
  constructor(message: string, found: Found, options?: ErrorOptions) {
    super(message, options)
    this.found = found
  }
}

/** All that is stored of one actor and is of its machine's version. */
export interface StoredActor {
  readonly snapshot: StoredSnapshot
  readonly timers: readonly StoredTimer[]
  readonly effects: readonly StoredEffect[]
}

export interface Snapshot extends StoredSnapshot, Found {
  readonly sequence: number
}

/** JSON `{v, h, s, value, c, hist?}` @throws {TypeError} the context is not JSON (a bigint, a cycle) */
export const writeSnapshot = ({ version, hash, sequence, value, context, history }: Snapshot): Uint8Array => {
  const stored = { v: version, h: hash, s: sequence, value, c: context }
  return toBytes(history ? { ...stored, hist: mapped(history, (ids) => ids.map((id) => ({ id }))) } : stored)
}

/** @throws {SnapshotMismatch} bytes that are no snapshot */
export const readSnapshot = (bytes: Uint8Array): Snapshot => {
  const unreadable = (why: string): never => {
    throw new SnapshotMismatch(`it cannot be read: ${why}`, { version: 0, hash: '' })
  }
  let read: unknown
  try {
    read = fromBytes(bytes)
  } catch (error) {
    return unreadable(textOf(error))
  }
  if (typeof read !== 'object' || read === null) return unreadable('it is no object')
  const { v, h, s, value, c, hist } = read as Partial<Stored>
  if (typeof v !== 'number' || typeof h !== 'string' || typeof s !== 'number') return unreadable('it names no version')
  return {
    version: v,
    hash: h,
    sequence: s,
    value,
    context: c,
    ...(hist ? { history: mapped(hist, (nodes) => nodes.map(({ id }) => id)) } : {}),
  }
}

const mapped = <A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))

/** Without what it was written by. */
export const snapshotOf = ({ value, context, history }: Snapshot): StoredSnapshot => ({ value, context, ...(history ? { history } : {}) })

interface Stored {
  readonly v: number
  readonly h: string
  readonly s: number
  readonly value: unknown
  readonly c: unknown
  readonly hist: Readonly<Record<string, readonly { id: string }[]>>
}

/** The version of a machine that this code runs, and the older ones that its migrations lead up from and down to. */
export class Lineage {
  readonly #id: string
  readonly #own: Found
  /** dense, oldest first; the last starts one below our own version */
  readonly #migrations: readonly Migration[]

  /** @throws {Error} the migrations do not lead to the machine's version step by step */
  constructor(id: string, own: Found, migrations: readonly Migration[]) {
    this.#id = id
    this.#own = own
    this.#migrations = migrations.toSorted((a, b) => a.from - b.from)
    const wanted = this.#migrations.map((_, index) => own.version - migrations.length + index)
    if (this.#migrations.some(({ from }, index) => from !== wanted[index]))
      throw new Error(`${id}: migrations start from ${this.#migrations.map(({ from }) => from).join(', ')}, not from ${wanted.join(', ')}`)
  }

  /** Whether older versions can be stored at all, as far as this code knows. */
  get hasOlder(): boolean {
    return this.#migrations.length > 0
  }

  /** Every version and structure that can be loaded, our own included. */
  get loads(): Found[] {
    const older = this.#migrations.flatMap(({ from, hashes }) => hashes.map((hash) => ({ version: from, hash })))
    return [...older, this.#own]
  }

  /** Why what was written by this version and structure cannot be loaded; null: it can. */
  refusal({ version, hash }: Found): string | null {
    const { version: own, hash: ownHash } = this.#own
    if (version > own) return `version ${version} (${hash}) is newer than ${own}: only a release that knows it can take it down`
    if (version === own) return hash === ownHash ? null : `version ${version} has structure ${hash}, and the machine at hand ${ownHash}`
    const migration = this.#migrations.find(({ from }) => from === version)
    if (!migration) return `version ${version} (${hash}) is older than ${own}, and no migration starts from it`
    return migration.hashes.includes(hash)
      ? null
      : `the migration from version ${version} starts from ${migration.hashes.join(', ')}, not from ${hash}`
  }

  /**
   * As our own version would have stored it. What comes back is JSON that was written and read once.
   * @throws {SnapshotMismatch} `refusal`, or a migration threw
   */
  up(found: Found, actor: StoredActor): StoredActor {
    const refusal = this.refusal(found)
    if (refusal !== null) throw new SnapshotMismatch(`${this.#id}: ${refusal}`, found)
    const steps = this.#migrations.filter(({ from }) => from >= found.version)
    return this.#through(found, steps, 'up', actor)
  }

  /**
   * As an older version would have stored it, with the structure hash to store it under.
   * @throws {SnapshotMismatch} it is of no known version, there is no way down to `to`, or a migration threw
   */
  down(found: Found, actor: StoredActor, to: number): StoredActor & Found {
    const refusal = this.refusal(found) ?? this.noWayDown(to)
    if (refusal !== null) throw new SnapshotMismatch(`${this.#id}: ${refusal}`, found)
    if (found.version <= to) return { ...actor, ...found }
    const steps = this.#migrations.filter(({ from }) => from >= to && from < found.version).toReversed()
    return { ...this.#through(found, steps, 'down', actor), version: to, hash: this.#hashOf(to)! }
  }

  /** Why nothing can be taken down to this version; null: it can. */
  noWayDown(to: number): string | null {
    return this.#hashOf(to) === null ? `no migration leads down to version ${to}` : null
  }

  /** What `down` writes a version under; null: it leads to no such version. */
  structureOf(version: number): Found | null {
    const hash = this.#hashOf(version)
    return hash === null ? null : { version, hash }
  }

  /**
   * An event of the journal, or a parked one, by whatever version it was written.
   * @param of  its actor as the machine at hand has it; null: not known
   * @throws what a migration throws
   */
  event<E extends StoredEvent>(event: E, of: StoredSnapshot | null): StoredEvent {
    return this.#migrations.reduce<StoredEvent>((each, migration) => migration.event?.up(each, of) ?? each, event)
  }

  /** The same for an older version; `of`: its actor in that one. @throws what a migration throws */
  eventDown(event: StoredEvent, to: number, of: StoredSnapshot | null): StoredEvent {
    const steps = this.#migrations.filter(({ from }) => from >= to).toReversed()
    return steps.reduce<StoredEvent>((each, migration) => migration.event?.down(each, of) ?? each, event)
  }

  /** The structure that a version is written under; null: not a version that we can write. */
  #hashOf(version: number): string | null {
    if (version === this.#own.version) return this.#own.hash
    return this.#migrations.find(({ from }) => from === version)?.hashes[0] ?? null
  }

  #through(found: Found, steps: readonly Migration[], way: 'up' | 'down', actor: StoredActor): StoredActor {
    let now = actor
    for (const migration of steps) {
      try {
        const snapshot = migration.snapshot[way](now.snapshot)
        now = asStored({
          snapshot,
          timers: migration.timers?.[way](now.timers, snapshot) ?? now.timers,
          effects: now.effects.map((effect) => migration.effect?.[way](effect, snapshot) ?? effect),
        })
      } catch (cause) {
        const message = `${this.#id}: the migration ${way} between versions ${migration.from} and ${migration.from + 1}: ${textOf(cause)}`
        throw new SnapshotMismatch(message, found, { cause })
      }
    }
    return now
  }
}

/** What a store would give back: a bigint or a cycle throws, `undefined` is gone. */
const asStored = (actor: StoredActor): StoredActor => JSON.parse(JSON.stringify(actor)) as StoredActor
