import type { Batch, LaneStore } from '#actors/runtime/ports.ts'
import { topicNames } from '#machines/contracts/topics.ts'
import type { MemoryBus } from '../twins/bus.ts'
import type { MemoryStore } from '../twins/store.ts'
import type { StoredLane } from '../twins/store-lane.ts'
import { Books } from './books.ts'
import type { SimProcess } from './process.ts'
import { replay } from './replay.ts'
import { definitionOf, EXECUTOR, SERVICES } from './services.ts'
import type { Submission, Venue } from './venue.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface Watched {
  readonly store: MemoryStore
  readonly bus: MemoryBus
  readonly venue: Venue
  readonly time: VirtualTime
  readonly lanes: number
  readonly partitionOf: (laneKey: string) => number
}

/** What has to be true (design section 6), at every commit, at every send, and when everything has come to rest. */
export class Watcher {
  readonly violations: string[] = []
  readonly #of: Watched
  readonly #processes = new Map<string, SimProcess>()
  readonly #orders: { id: number; service: string; order: string; release: unknown; atMs: number }[] = []
  readonly #sent = new Set<string>()

  constructor(of: Watched) {
    this.#of = of
    of.venue.onSend = (submission, process) => this.#sending(submission, process)
  }

  violated(what: string): void {
    this.violations.push(what)
  }

  started(process: SimProcess): void {
    this.#processes.set(process.id, process)
  }

  /** The database has just done this for a process. */
  executed(process: SimProcess, call: string, args: readonly unknown[], answer: unknown): void {
    if (call === 'commit') this.#committed(process, args as Parameters<LaneStore['commit']>)
    if (call === 'insertOrder') {
      const [service, { body }] = args as Parameters<LaneStore['insertOrder']>
      this.#orders.push({
        id: (answer as { id: number }).id,
        service,
        order: body.order,
        release: body['release'],
        atMs: this.#of.time.nowMs,
      })
    }
  }

  /** I2: a commit counts only for the owner of the lane, under its epoch. */
  #committed(process: SimProcess, [service, batch]: [string, Batch]): void {
    const { epoch, owner } = this.#of.store.lane(service, batch.lane)
    if (epoch !== batch.epoch)
      this.violated(`I2 ${process.name} committed ${service}/${batch.lane} batch ${batch.batch} with epoch ${batch.epoch}, it is ${epoch}`)
    else if (owner !== process.id) this.violated(`I2 ${process.name} committed ${service}/${batch.lane}, which is ${owner}'s`)
  }

  #sending({ effect, command_id }: Submission, process: SimProcess): void {
    const { time } = this.#of
    const what = `${process.name} sends ${command_id} (${effect})`
    if (this.#sent.has(command_id)) this.violated(`I1 ${what} again`)
    this.#sent.add(command_id)
    const lane = this.#lanesOf(EXECUTOR).find(({ effects }) => effects.has(effect))
    if (!lane) return this.violated(`E1 ${what} before its row is committed`)
    if (lane.owner !== process.id) this.violated(`I2 ${what}, but ${lane.owner} has the lane`)
    const arms = this.#orders.filter(({ order, release }) => order === 'arm' && release === process.release)
    if (arms.length === 0) this.violated(`I7 ${what}, and nobody armed ${process.release}`)
    const { disarmedAtMs } = process
    if (disarmedAtMs !== null && !arms.some(({ atMs }) => atMs > disarmedAtMs))
      this.violated(`E5 ${what}, disarmed ${time.nowMs - disarmedAtMs} ms ago`)
  }

  // --- at rest ---

  /** What is still under way; empty: the world is at rest. */
  unfinished(): string[] {
    const now = this.#of.time.nowMs
    const draining = [...this.#processes.values()].filter((process) => process.draining && !process.dead)
    const lanes = SERVICES.flatMap((service) =>
      this.#lanesOf(service).flatMap((lane, number) => {
        const at = `${service}/${number}`
        const owner = lane.owner === null ? undefined : this.#processes.get(lane.owner)
        if (!owner?.live) return [`${at} has no living owner`]
        const open: string[] = []
        if (lane.halted) open.push(`${at} is halted: ${lane.halted.detail}`)
        for (const { topic, next } of lane.inputs.values()) {
          const high = this.#of.bus.log(topic, number).length
          if (next !== high) open.push(`${at} ${topic} is at ${next} of ${high}`)
        }
        for (const { effect, name, state } of lane.effects.values())
          if (state === 'pending' || state === 'uncertain') open.push(`${at} effect ${name} ${effect} is ${state}`)
        for (const { order, doneTurn } of lane.orders.values()) if (doneTurn === null) open.push(`${at} order ${order.id} is open`)
        for (const timer of lane.timers.values())
          if (timer.dueMs < now - 2_000)
            open.push(`${at} timer ${timer.kind}/${timer.key} ${timer.timer} was due ${now - timer.dueMs} ms ago`)
        const last = lane.outbox.findLast(({ blob }) => blob !== null)
        if (last && last.batch > lane.published) open.push(`${at} has published ${lane.published} of ${last.batch}`)
        for (const { kind, key, status } of lane.actors.values())
          if ((kind === 'quote' || kind === 'command') && status === 'active' && !isParked(lane, kind, key))
            open.push(`${at} ${kind}/${key} is active`)
        return open
      }),
    )
    return [...draining.map(({ name }) => `${name} was drained and has not ended`), ...lanes]
  }

  checkBooks(unreadable: readonly string[]): void {
    const { store, bus, venue, lanes } = this.#of
    this.#checkPositions()
    for (const service of SERVICES) {
      const process = [...this.#processes.values()].find((one) => one.service === service)!
      const definition = definitionOf(service, process, venue)
      for (const lane of this.#lanesOf(service)) for (const wrong of replay(lane, definition)) this.violated(`I5 ${wrong}`)
    }
    const books = new Books({ store, bus, venue, lanes, orders: this.#orders, unreadable })
    for (const wrong of books.wrong()) this.violated(wrong)
  }

  /** I6: positions are dense for each source and incarnation in each partition, once what came twice is left out. */
  #checkPositions(): void {
    for (const topic of topicNames) {
      const last = new Map<string, number>()
      for (const { partition, offset, headers } of this.#of.bus.log(topic)) {
        const position = Number(headers['unrip-position'])
        const source = `${partition} ${headers['unrip-source']} ${headers['unrip-incarnation']}`
        if (!position || headers['unrip-source']?.startsWith('x')) continue
        const before = last.get(source) ?? 0
        if (position > before + 1) this.violated(`I6 ${topic}/${partition}@${offset}: ${source} position ${position} after ${before}`)
        last.set(source, Math.max(before, position))
      }
    }
  }

  #lanesOf(service: string): StoredLane[] {
    return Array.from({ length: this.#of.lanes }, (_, lane) => this.#of.store.lane(service, lane))
  }

  counts(): Record<string, number> {
    const { venue, bus } = this.#of
    return {
      processes: this.#processes.size,
      demands: bus.log('norm.swap_demand').length,
      commands: bus.log('cmd.execute_trade').length,
      sends: venue.sends.length,
      settled: venue.settled.size,
      results: bus.log('exec.trade_result').length,
      turns: SERVICES.flatMap((service) => this.#lanesOf(service)).reduce((sum, { turn }) => sum + turn, 0),
      epochs: SERVICES.flatMap((service) => this.#lanesOf(service)).reduce((sum, { epoch }) => sum + epoch, 0),
    }
  }
}

const isParked = ({ parked }: StoredLane, kind: string, key: string): boolean => parked.some((row) => row.kind === kind && row.key === key)
