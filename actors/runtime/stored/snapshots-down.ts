import type { StoredEvent } from '#machines/contracts/migration.ts'
import { Draft } from '../lane/draft.ts'
import { storeCode } from '../faults.ts'
import { fromBytes, toBytes } from '../json.ts'
import { codeHashOf, machinesOf, structureOf, structuresOf } from '../machine/machines.ts'
import { addressOf } from '../lane/memory.ts'
import type { Clock } from '../ports.ts'
import type { ActorRow, Batch, OrderRow, Recovered } from '../rows.ts'
import type { LaneStore } from '../store-port.ts'
import type { ServiceDefinition } from '../service.ts'
import type { StoredRows } from './snapshots-check.ts'
import { readSnapshot, snapshotOf, writeSnapshot } from '../machine/snapshots.ts'
import { rowsOf, storedEffect, storedTimer } from '../lane/snapshots-up.ts'
import type { Machine } from '../machine/xstate.ts'

/** The store as a rewriting needs it, beside the lanes' own port. */
export interface StoredLanes {
  /** whose lease has not run out */
  processes(service: string): Promise<readonly { readonly process: string; readonly release: string; readonly url: string }[]>
  stored(service: string, lane: number, onPage: (rows: readonly StoredRows[]) => Promise<void>): Promise<void>
  setStructures(service: string, lane: number, epoch: number, structures: readonly string[]): Promise<void>
  rewriteParked(
    service: string,
    lane: number,
    epoch: number,
    rows: readonly { day: string; turn: number; event: Uint8Array }[],
  ): Promise<void>
}

export interface DownOptions {
  readonly definition: ServiceDefinition
  /** kind → the version to take it down to; 0: the older release has no such kind. Kinds that are absent stay as they are. */
  readonly targets: ReadonlyMap<string, number>
  readonly store: LaneStore
  readonly lanes: StoredLanes
  readonly clock: Clock
  /** uuid, drawn for this run */
  readonly process: string
  /** the release whose code this is */
  readonly release: string
  readonly by: string
  readonly reason: string
  readonly progress: (done: DownCounts & { readonly lane: number }) => void
}

export interface DownCounts {
  readonly actors: number
  readonly timers: number
  readonly effects: number
  readonly parked: number
}

/** It was not begun, or goes on when it is given again; the message says which and why. */
export class NotTakenDown extends Error {
  readonly code = 'not_taken_down'
}

const ORDER = 'snapshots-down'
/** Long: nobody waits for these lanes, and a page may be slow. */
const LEASE_MS = 15_000
const RENEW_MS = 2_000
const ACTORS_A_BATCH = 200
const TRIES = 20
const RETRY_MS = 250

/**
 * Writes what a service has stored as an older release's machines would have written it.
 *
 * B1. It owns every lane while it writes: it takes them as any host does, by a lease and a higher epoch, so that nobody else
 *     commits. Its writes are batches without turns.
 * B2. At any moment a lane is one that this release's own code loads; the older one's may only once all of it is down.
 * B3. It can be interrupted anywhere and given again: what is down already stays as it is.
 * B4. Nothing is written unless everything can be: it is dry-run first.
 *
 * @param number lanes of the service
 * @throws {NotTakenDown} a process of the service lives, a lane is somebody else's, or something has no way down
 * @throws the store's errors
 */
export const takeDown = async (options: DownOptions, number: number): Promise<DownCounts> => {
  const { definition, store, lanes, clock, process, release, by, reason, targets } = options
  const service = definition.name
  const plan = new Plan(definition, targets)
  await assertDrained(lanes, service, process)
  for (let lane = 0; lane < number; lane++) await lanes.stored(service, lane, async (page) => void page.map((rows) => plan.down(rows, 0)))

  await store.register({ process, service, release, url: '', structures: structuresOf(plan.machines) })
  const lease = renewing(store, process, clock)
  try {
    await store.renew(process, 'draining', LEASE_MS)
    const taken: Recovered[] = []
    for (let lane = 0; lane < number; lane++) taken.push(await take(store, process, service, lane))
    const order = await store.insertOrder(service, {
      by,
      reason,
      body: { order: ORDER, to: Object.fromEntries(targets), release },
      expiresInMs: null,
    })
    let all: DownCounts = NONE
    for (const recovered of taken) all = sum(all, await laneDown(options, plan, recovered, order.id))
    await assertDrained(lanes, service, process)
    return all
  } finally {
    lease.stop()
    await store.deregister(process)
  }
}

const assertDrained = async (lanes: StoredLanes, service: string, own: string): Promise<void> => {
  const living = (await lanes.processes(service)).filter(({ process }) => process !== own)
  if (living.length === 0) return
  const names = living.map(({ process, release, url }) => `${process} (release ${release}${url === '' ? '' : `, ${url}`})`)
  throw new NotTakenDown(`${service} is not drained: ${names.join(', ')} lives; its lanes are taken up again by whoever can load them`)
}

const renewing = (store: LaneStore, process: string, clock: Clock): { stop: () => void } => {
  let cancel = (): void => {}
  const again = (): void => {
    // One that fails is tried again; when the lease is lost, the next batch raises.
    cancel = clock.after(
      RENEW_MS,
      () =>
        void store
          .renew(process, 'draining', LEASE_MS)
          .catch(() => null)
          .finally(again),
    )
  }
  again()
  let stop = (): void => {
    stop = () => {}
    cancel()
  }
  return { stop: () => stop() }
}

const take = async (store: LaneStore, process: string, service: string, lane: number): Promise<Recovered> => {
  const recovered = (await store.take(process, service, lane, 'free', 1)) ?? (await store.take(process, service, lane, 'expired', 1))
  if (!recovered) throw new NotTakenDown(`lane ${service}/${lane} is owned by a process that lives, or holds what this release cannot load`)
  return recovered
}

const laneDown = async (options: DownOptions, plan: Plan, { lane: row }: Recovered, order: number): Promise<DownCounts> => {
  const { definition, store, lanes, release, clock, progress } = options
  const service = definition.name
  const { lane, epoch, turn, published, nowMs } = row
  const codeHash = codeHashOf(plan.machines)
  const structures = new Set<string>()
  let batch = row.batch
  let counts = NONE

  const written = async (fill: (draft: Draft) => void): Promise<void> => {
    const draft = new Draft(++batch, nowMs)
    fill(draft)
    await committed(store, service, draft.seal({ lane, epoch, turn, published, release, codeHash }), clock)
  }
  await lanes.stored(service, lane, async (page) => {
    const downs = page.map((rows) => plan.down(rows, turn))
    for (const { structure } of downs) if (structure) structures.add(structure)
    const changed = downs.filter(({ row: actor }) => actor !== null)
    for (let from = 0; from < changed.length; from += ACTORS_A_BATCH)
      await written((draft) => changed.slice(from, from + ACTORS_A_BATCH).forEach((down) => write(draft, down)))
    const parked = downs.flatMap((down) => down.parked)
    await lanes.rewriteParked(service, lane, epoch, parked)
    counts = sum(counts, {
      actors: changed.length,
      timers: changed.reduce((n, { timersSet }) => n + timersSet.length, 0),
      effects: changed.reduce((n, { effects }) => n + effects.length, 0),
      parked: parked.length,
    })
    progress({ ...counts, lane })
  })
  await lanes.setStructures(service, lane, epoch, [...structures])
  const open = (await store.orders(service, lane)).filter(({ id, body }) => id === order || body.order === ORDER)
  await written((draft) => draft.orders.push(...open.map(({ id }: OrderRow) => ({ id, answer: { outcome: 'taken', ...counts } }))))
  return counts
}

const committed = async (store: LaneStore, service: string, batch: Batch, clock: Clock): Promise<void> => {
  for (let tries = 1; ; tries++) {
    try {
      await store.commit(service, batch)
      return
    } catch (error) {
      const code = storeCode(error)
      if ((code !== 'unknown' && code !== 'unavailable') || tries === TRIES) throw error
      await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
    }
  }
}

const write = (draft: Draft, { row, timersOff, timersSet, effects }: Down): void => {
  if (!row) return
  const { body, sequence } = row
  const state = { value: null, context: null, status: row.status, snapshot: null }
  // Of the actor in memory nothing is needed: nobody turns it here.
  draft.touched.set(addressOf(row), {
    address: row,
    actor: { state, sequence, bytes: body.length, baseDay: null, atMs: draft.nowMs, fresh: false },
    row: () => row,
  })
  for (const timer of timersOff) draft.cancelTimer(timer)
  for (const timer of timersSet) draft.setTimer(timer)
  for (const effect of effects) draft.effects.set(effect.effect, effect)
}

interface Down extends ReturnType<typeof rowsOf> {
  /** null: it is as the older release would have it */
  readonly row: ActorRow | null
  readonly parked: readonly { readonly day: string; readonly turn: number; readonly event: Uint8Array }[]
  /** what its snapshot is of from here on; null: it has none, or nobody will look at it */
  readonly structure: string | null
}

/** What becomes of each actor. */
class Plan {
  readonly machines: ReadonlyMap<string, Machine>
  readonly #targets: ReadonlyMap<string, number>

  constructor(definition: ServiceDefinition, targets: ReadonlyMap<string, number>) {
    this.machines = machinesOf(definition)
    this.#targets = targets
    for (const [kind, version] of targets) {
      const machine = this.machines.get(kind)
      if (!machine) throw new NotTakenDown(`${definition.name} hosts no ${kind}; there are: ${[...this.machines.keys()].join(', ')}`)
      const reason = version === 0 ? null : machine.lineage.noWayDown(version)
      if (reason !== null) throw new NotTakenDown(`${kind}: ${reason}`)
    }
  }

  /** @throws {NotTakenDown} it has no way down */
  down(rows: StoredRows, token: number): Down {
    const { kind, key, actor } = rows
    const machine = this.machines.get(kind)
    const to = this.#targets.get(kind)
    const stays: Down = { row: null, timersOff: [], timersSet: [], effects: [], parked: [], structure: null }
    if (to === 0 && rows.timers.length + rows.effects.length > 0)
      throw new NotTakenDown(`${kind}/${key}: the older release has no ${kind}, and this one has timers or effects that would be lost`)
    if (to === 0) return stays
    const found = actor && readSnapshot(actor.body)
    const structure = found && structureOf(kind, found)
    if (!machine || to === undefined) return { ...stays, structure }
    try {
      const stored = found && {
        snapshot: snapshotOf(found),
        timers: rows.timers.map(storedTimer),
        effects: rows.effects.map(storedEffect),
      }
      const down = found && stored && machine.lineage.down(found, stored, to)
      const parked = rows.parked.flatMap(({ day, turn, event }) => {
        const bytes = toBytes(machine.lineage.eventDown(fromBytes(event) as StoredEvent, to, down?.snapshot ?? null))
        return Buffer.compare(bytes, event) === 0 ? [] : [{ day, turn, event: bytes }]
      })
      if (!actor || !found || !down || found.version <= to) return { ...stays, parked, structure }
      const { version, hash } = down
      const body = writeSnapshot({ ...down.snapshot, version, hash, sequence: found.sequence })
      return {
        row: { ...actor, body },
        ...rowsOf(down, rows, rows.timers, rows.effects, token),
        parked,
        structure: structureOf(kind, down),
      }
    } catch (error) {
      throw new NotTakenDown(`${kind}/${key}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
}

const NONE: DownCounts = { actors: 0, timers: 0, effects: 0, parked: 0 }
const sum = (a: DownCounts, b: DownCounts): DownCounts => ({
  actors: a.actors + b.actors,
  timers: a.timers + b.timers,
  effects: a.effects + b.effects,
  parked: a.parked + b.parked,
})
