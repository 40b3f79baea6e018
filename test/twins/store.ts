import type { Clock } from '#actors/runtime/ports.ts'
import type { Batch, MarkRow } from '#actors/runtime/rows.ts'
import type { LaneStore, ProcessRow, Renewal } from '#actors/runtime/store-port.ts'
import type { HistoryRow } from '#machines/contracts/history-row.ts'
import { StoreError } from '#storage/errors.ts'
import { assertStorable } from './store-data.ts'
import { byDue, compareTimers, emptyLane, hex, keyOf, lettersOf, openOrders, pick, recovered, write } from './store-lane.ts'
import type { StoredLane } from './store-lane.ts'

/**
 * PostgreSQL's twin: the same promises in memory, by a clock that the test holds. One `memoryStore` is one database;
 * `connect()` gives each process its own store over it. What happens inside a call happens at once, between two steps.
 *
 * `onStep` is called before and after every call (`commit:before`, `commit:after`, `take:after` …). Throwing before loses
 * the request; throwing after loses the answer to what was done. Whatever it throws is what the caller gets.
 */
export type Step = `${Exclude<keyof LaneStore, 'close'>}:${'before' | 'after'}`
type OnStep = (step: Step, detail: { service: string; lane: number | null; batch: Batch | null }) => void | Promise<void>

interface StoredProcess extends ProcessRow {
  state: 'live' | 'draining'
  leaseMs: number
  expiresAtMs: number
}

interface Database {
  readonly lanes: Map<string, Map<number, StoredLane>>
  readonly processes: Map<string, StoredProcess>
  readonly history: Map<string, HistoryRow>
  nextOrder: number
}

export interface MemoryStore extends LaneStore {
  /** Set and cleared by the test at will. */
  onStep: OnStep | null
  /** Another store over the same database. */
  connect(): LaneStore
  /** Those that have lanes. */
  services(): string[]
  /** What is stored of a lane; for looking, not for changing. */
  lane(service: string, lane: number): StoredLane
  history(): HistoryRow[]
  /** The server started just now: owned lanes are safe for one lease. */
  restart(): void
  /** A copy of everything; `restore` puts it back as a point-in-time restore would: new incarnations, higher epochs. */
  backup(): unknown
  restore(backup: unknown): void
  /**
   * A standby takes over that has not heard of the last `lostMs` (at most `remembersMs`): what was done in them is undone. It is a new
   * timeline, which shows when a lane is next taken.
   */
  failOver(lostMs: number): void
  /** Days before this time are detached: their journal, and what is published of their outbox. */
  detachDays(beforeMs: number): void
}

/** How long a process lives that has registered and not yet renewed. */
const FIRST_LEASE_MS = 1_500
/** Undoing is forgotten so many at a time. */
const FORGET_EVERY = 256
/** By the clock, so above every epoch that the lost time may have handed out; or so much above, where the clock was set back. */
const EPOCH_JUMP = 1_000

/**
 * @param options.lanes lanes of every keyed service; a service asks for that many or for 1. Absent: any number
 * @param options.remembersMs how far back `failOver` can go; absent: not at all
 */
export const memoryStore = (options: { clock: Clock; lanes?: number; remembersMs?: number }): MemoryStore => {
  const { clock } = options
  let db: Database = { lanes: new Map(), processes: new Map(), history: new Map(), nextOrder: 1 }
  let startedAtMs = Number.NEGATIVE_INFINITY
  let draws = 0
  let isNewTimeline = false
  /** oldest first */
  const undos: { readonly atMs: number; readonly undo: () => void }[] = []
  const listeners = new Map<string, Set<() => void>>()

  /** Version 7 by the test's clock and a count in place of randomness: ordered, and the same in every run. */
  const draw = (): string => {
    const time = Math.max(0, Math.floor(clock.wallMs())).toString(16).padStart(12, '0')
    const count = (draws++).toString(16).padStart(15, '0')
    return `${time.slice(0, 8)}-${time.slice(8)}-7${count.slice(0, 3)}-8${count.slice(3, 6)}-${count.slice(6).padStart(12, '0')}`
  }

  const laneOf = (service: string, lane: number): StoredLane => {
    const found = db.lanes.get(service)?.get(lane)
    if (!found) throw new StoreError('broken_contract', `lane ${service}/${lane} does not exist`)
    return found
  }
  const processOf = (process: string): StoredProcess => {
    const found = db.processes.get(process)
    if (!found) throw new StoreError('broken_contract', `process ${process} is not registered`)
    return found
  }
  const isExpired = (owner: string | null): boolean => {
    const process = owner === null ? undefined : db.processes.get(owner)
    return !process || process.expiresAtMs <= clock.wallMs()
  }
  const notify = (service: string): void => {
    for (const callback of listeners.get(service) ?? []) queueMicrotask(callback)
  }
  /** What was just done can be undone for a while. */
  const did = (undo: () => void): void => {
    const { remembersMs } = options
    if (remembersMs === undefined) return
    const nowMs = clock.wallMs()
    undos.push({ atMs: nowMs, undo })
    if (undos.length % FORGET_EVERY === 0)
      undos.splice(
        0,
        Math.max(
          0,
          undos.findIndex(({ atMs }) => atMs >= nowMs - remembersMs),
        ),
      )
  }
  const put = <K, V>(map: Map<K, V>, key: K, value: V | undefined): void => {
    const before = map.get(key)
    if (value === undefined) map.delete(key)
    else map.set(key, value)
    did(() => void (before === undefined ? map.delete(key) : map.set(key, before)))
  }
  const set = <T extends object>(row: T, values: Partial<T>, before: Partial<T> = { ...row }): void => {
    Object.assign(row, values)
    did(() => void Object.assign(row, before))
  }
  const reincarnateAll = (): void => {
    isNewTimeline = false
    for (const lanes of db.lanes.values())
      for (const row of lanes.values()) {
        const before = pick(row)
        did(() => void Object.assign(row, before))
        row.epoch = Math.max(row.epoch + EPOCH_JUMP, Math.floor(clock.wallMs() * 1_000))
        row.owner = null
        row.digest = null
        row.incarnation = draw()
      }
  }

  const store: MemoryStore = {
    onStep: null,

    async register(row) {
      put(db.processes, row.process, { ...row, state: 'live', leaseMs: FIRST_LEASE_MS, expiresAtMs: clock.wallMs() + FIRST_LEASE_MS })
    },

    async renew(process, state, leaseMs): Promise<Renewal> {
      const row = processOf(process)
      const nowMs = clock.wallMs()
      set(row, { state, leaseMs, expiresAtMs: nowMs + leaseMs })
      const peers = [...db.processes.values()].filter((peer) => peer.service === row.service)
      const lanes = [...(db.lanes.get(row.service) ?? [])].toSorted(([a], [b]) => a - b)
      return {
        nowMs,
        live: peers.filter((peer) => peer.state === 'live' && peer.expiresAtMs > nowMs && lanes.every(([, each]) => isLoadable(each, peer)))
          .length,
        lanes: lanes.map(([lane, stored]) => {
          const { owner, epoch } = stored
          return { lane, owner, expired: owner !== null && isExpired(owner), epoch, notLoadable: notLoadable(stored, row) }
        }),
        openOrders: lanes.filter(([, stored]) => openOrders(stored).length > 0).map(([lane]) => lane),
      }
    },

    async deregister(process) {
      put(db.processes, process, undefined)
      for (const lanes of db.lanes.values())
        for (const row of lanes.values()) if (row.owner === process) set(row, { owner: null }, { owner: process })
    },

    async take(process, service, lane, how, timerWindow) {
      const row = laneOf(service, lane)
      const taker = processOf(process)
      if (taker.service !== service) throw new StoreError('broken_contract', `process ${process} is not of ${service}`)
      if (isNewTimeline) reincarnateAll()
      if (isExpired(process)) return null
      const isOurs = row.owner === null || row.owner === process
      const mayInherit = how === 'expired' && isExpired(row.owner) && clock.wallMs() >= startedAtMs + taker.leaseMs
      if ((!isOurs && !mayInherit) || !isLoadable(row, taker)) return null
      const structures = [...new Set([...row.structures, ...(taker.structures?.runs ?? [])])]
      set(row, { owner: process, epoch: row.epoch + 1, digest: null, release: taker.release, structures }, pick(row))
      return recovered(row, lane, timerWindow)
    },

    async recover(service, lane, epoch, timerWindow) {
      const row = laneOf(service, lane)
      if (row.epoch !== epoch || row.owner === null) throw stale(service, lane, epoch, row)
      return recovered(row, lane, timerWindow)
    },

    async release(service, lane, epoch) {
      const row = laneOf(service, lane)
      if (row.epoch === epoch) set(row, { owner: null }, { owner: row.owner })
    },

    async load(service, lane, addresses) {
      const { actors } = laneOf(service, lane)
      return addresses.flatMap(({ kind, key }) => actors.get(keyOf(kind, key)) ?? [])
    },

    async timers(service, lane, after, limit) {
      return byDue(laneOf(service, lane))
        .filter((row) => compareTimers(row, after) > 0)
        .slice(0, limit)
    },

    async timersOf(service, lane, addresses) {
      const wanted = new Set(addresses.map(({ kind, key }) => keyOf(kind, key)))
      return byDue(laneOf(service, lane)).filter(({ kind, key }) => wanted.has(keyOf(kind, key)))
    },

    async letters(service, lane, of, limit) {
      return lettersOf(laneOf(service, lane), of, limit)
    },

    async commit(service, batch) {
      const row = laneOf(service, batch.lane)
      if (row.epoch !== batch.epoch || row.owner === null) throw stale(service, batch.lane, batch.epoch, row)
      const name = `lane ${service}/${batch.lane}: batch ${batch.batch}`
      if (batch.batch <= row.batch) {
        if (batch.batch === row.batch && hex(batch.digest) === row.digest) return 'again'
        throw new StoreError('batch_conflict', `${name} is already used with other content`)
      }
      if (batch.batch !== row.batch + 1) throw new StoreError('went_back', `${name} does not follow ${row.batch}`)
      if (batch.turn !== row.turn + batch.journal.length)
        throw new StoreError('broken_contract', `${name} ends at turn ${batch.turn}, not at ${row.turn} + ${batch.journal.length}`)
      const unknown = batch.orders.find(({ id }) => !row.orders.has(id))
      if (unknown) throw new StoreError('broken_contract', `${name} answers order ${unknown.id}, which the lane does not have`)
      assertStorable(batch)
      const isOpen = (turn: number): boolean =>
        batch.parked.some((one) => one.turn === turn) || row.parked.some((one) => one.turn === turn && one.done === null)
      if (!batch.letters.every(({ turn }) => isOpen(turn)))
        throw new StoreError('broken_contract', `${name} resolves parked events that are not open`)
      did(write(row, batch))
      for (const line of batch.history) {
        const id = `${line.topic}\n${(JSON.parse(line.text) as { event_id: string }).event_id}`
        if (!db.history.has(id)) put(db.history, id, line)
      }
      if (batch.orders.length > 0) notify(service)
      return 'done'
    },

    async orders(service, lane) {
      return openOrders(laneOf(service, lane)).map(({ order }) => ({ ...order, lane }))
    },

    async insertOrder(service, { by, reason, body, expiresInMs, lane }) {
      const lanes = [...(db.lanes.get(service) ?? [])].filter(([number]) => lane === undefined || number === lane)
      if (lanes.length === 0) throw new StoreError('broken_contract', `${service} has no lane ${lane ?? 'at all'}`)
      const id = db.nextOrder++
      const atMs = clock.wallMs()
      const order = { id, atMs, expiresAtMs: expiresInMs === null ? null : atMs + expiresInMs, by, reason, body }
      for (const [, row] of lanes) put(row.orders, id, { order, doneTurn: null, answer: null })
      notify(service)
      return { id }
    },

    async orderAnswers(service, id) {
      const lanes = [...(db.lanes.get(service) ?? [])].toSorted(([a], [b]) => a - b)
      return lanes.flatMap(([lane, row]) => {
        const found = row.orders.get(id)
        return found ? [{ lane, answer: found.answer }] : []
      })
    },

    async onOrder(service, callback) {
      const heard = listeners.get(service) ?? new Set()
      listeners.set(service, heard.add(callback))
      return async () => void heard.delete(callback)
    },

    async lanes(service, wanted) {
      const stored = db.lanes.get(service)
      const isRefused = stored ? stored.size !== wanted : wanted !== 1 && wanted !== (options.lanes ?? wanted)
      if (isRefused || !Number.isInteger(wanted) || wanted < 1)
        throw new StoreError('broken_contract', `${service} has ${stored?.size ?? options.lanes} lanes, not ${wanted}`)
      if (!stored) db.lanes.set(service, new Map(Array.from({ length: wanted }, (_, lane) => [lane, emptyLane(draw())])))
      return wanted
    },

    async close() {},

    connect() {
      const own = new Set<() => Promise<void>>()
      return {
        ...store,
        onOrder: async (service, callback) => {
          const stop = await store.onOrder(service, callback)
          own.add(stop)
          return stop
        },
        close: async () => {
          for (const stop of own) await stop()
        },
      }
    },

    services: () => [...db.lanes.keys()],
    lane: laneOf,
    history: () => [...db.history.values()],
    restart: () => void (startedAtMs = clock.wallMs()),
    backup: () => structuredClone(db),
    restore(backup) {
      db = structuredClone(backup) as Database
      undos.length = 0
      reincarnateAll()
    },
    failOver(lostMs) {
      const fromMs = clock.wallMs() - lostMs
      for (let last = undos.at(-1); last && last.atMs >= fromMs; last = undos.at(-1)) {
        undos.pop()
        last.undo()
      }
      undos.length = 0
      isNewTimeline = true
    },
    detachDays(beforeMs) {
      for (const lanes of db.lanes.values())
        for (const { journal, outbox, published } of lanes.values()) {
          journal.splice(0, journal.findLastIndex(({ nowMs }) => nowMs < beforeMs) + 1)
          const kept = journal[0]?.batch ?? Number.POSITIVE_INFINITY
          outbox.splice(0, outbox.findLastIndex(({ batch }) => batch < kept && batch <= published) + 1)
        }
    },
    async sweep(service, beforeMs, limit) {
      let gone = 0
      for (const { actors, parked } of db.lanes.get(service)?.values() ?? [])
        for (const [at, { kind, key, endedAtMs }] of actors) {
          if (gone >= limit || endedAtMs === null || endedAtMs >= beforeMs) continue
          if (parked.some((one) => one.done === null && one.kind === kind && one.key === key)) continue
          put(actors, at, undefined)
          gone++
        }
      return gone
    },
    async sweepMarks(service, lane, low) {
      const { marks } = laneOf(service, lane)
      const isOver = ({ topic, source, incarnation }: MarkRow): boolean => {
        const [, process] = source.split('#')
        if (process !== undefined) return !db.processes.has(process)
        return [...marks.values()].some((mark) => mark.topic === topic && mark.source === source && mark.incarnation > incarnation)
      }
      const over = [...marks].filter(([, mark]) => mark.atOffset < (low[mark.topic] ?? 0) && isOver(mark))
      for (const [key] of over) put(marks, key, undefined)
      return over.map(([, { topic, source, incarnation }]) => ({ topic, source, incarnation }))
    },
    async reincarnate(service, lane, incarnation) {
      if (laneOf(service, lane).incarnation === incarnation) reincarnateAll()
    },
  }
  return withSteps(store)
}

/** Calls `onStep` around every call of the port. */
const withSteps = (store: MemoryStore): MemoryStore => {
  const around =
    <A extends unknown[], R>(name: Exclude<keyof LaneStore, 'close'>, call: (...args: A) => Promise<R>, about: (...args: A) => Detail) =>
    async (...args: A): Promise<R> => {
      await store.onStep?.(`${name}:before`, about(...args))
      const answer = await call(...args)
      await store.onStep?.(`${name}:after`, about(...args))
      return answer
    }
  type Detail = Parameters<OnStep>[1]
  const none = (): Detail => ({ service: '', lane: null, batch: null })
  const ofService = (service: string): Detail => ({ service, lane: null, batch: null })
  const ofLane = (service: string, lane: number): Detail => ({ service, lane, batch: null })
  return Object.assign(store, {
    register: around('register', store.register, (row) => ofService(row.service)),
    renew: around('renew', store.renew, none),
    deregister: around('deregister', store.deregister, none),
    take: around('take', store.take, (_process, service, lane) => ofLane(service, lane)),
    recover: around('recover', store.recover, ofLane),
    release: around('release', store.release, ofLane),
    load: around('load', store.load, ofLane),
    timers: around('timers', store.timers, ofLane),
    timersOf: around('timersOf', store.timersOf, ofLane),
    letters: around('letters', store.letters, ofLane),
    commit: around('commit', store.commit, (service, batch) => ({ service, lane: batch.lane, batch })),
    orders: around('orders', store.orders, ofLane),
    insertOrder: around('insertOrder', store.insertOrder, ofService),
    orderAnswers: around('orderAnswers', store.orderAnswers, ofService),
    onOrder: around('onOrder', store.onOrder, ofService),
    sweep: around('sweep', store.sweep, ofService),
    sweepMarks: around('sweepMarks', store.sweepMarks, ofLane),
    reincarnate: around('reincarnate', store.reincarnate, ofLane),
    lanes: around('lanes', store.lanes, ofService),
  })
}

const stale = (service: string, lane: number, epoch: number, row: StoredLane): StoreError =>
  new StoreError('stale_epoch', `lane ${service}/${lane}: epoch ${epoch} is not its owner's ${row.epoch}`)

/** What may be stored in a lane and this process cannot load. */
const notLoadable = ({ structures }: StoredLane, { structures: own }: ProcessRow): string[] =>
  own ? structures.filter((structure) => !own.loads.includes(structure)).toSorted() : []

const isLoadable = (row: StoredLane, process: ProcessRow): boolean => notLoadable(row, process).length === 0
