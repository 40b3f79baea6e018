import { HostBroken, storeCode, textOf } from './faults.ts'
import { repeatedly } from './log.ts'
import type { Clock, Log } from './ports.ts'
import type { Recovered } from './rows.ts'
import type { LaneStore, Renewal, Structures } from './store-port.ts'

/** Renewed twice a second, expiring after 1.5 s on PostgreSQL's clock. */
const RENEW_MS = 500
const LEASE_MS = 1_500
/** A send needs a renewal issued at most this long ago. */
const SEND_MARGIN_MS = 300
/** A process whose clock is further off than this owns no lane. */
export const CLOCK_LIMIT_MS = 500

export interface OwnershipOptions {
  readonly process: string
  readonly service: string
  readonly release: string
  readonly url: () => string
  readonly structures: Structures
  readonly store: LaneStore
  readonly clock: Clock
  readonly log: Log
  readonly timerWindow: number
  /** lane → the epoch under which it is held */
  readonly held: () => ReadonlyMap<number, number>
  /** A lane is ours: recover and run it. */
  readonly onTaken: (recovered: Recovered) => Promise<void>
  /** More than a fair share: give this one back in order. */
  readonly onSurplus: (lane: number) => Promise<void>
  /** The store says that somebody else owns it, or the lease ran out. */
  readonly onLost: (lane: number, why: string) => void
  readonly onRenewed: (renewal: Renewal) => void
  readonly onBroken: (error: HostBroken) => void
}

/**
 * Which lanes are ours, by leases in PostgreSQL.
 *
 * O1. A process holds ceil(lanes / live processes) at most, and gives back what is above.
 * O2. Ownerless lanes are taken at once, expired ones by a waiting UPDATE.
 * O3. A lane that holds what this code cannot load is not taken; who cannot load every lane is not among the live of O1.
 * O4. A process that cannot renew for a lease stops all its lanes by itself.
 */
export class Ownership {
  readonly #options: OwnershipOptions
  readonly #begunMs: number
  #state: 'live' | 'draining' | 'ended' = 'live'
  #cancel: () => void = () => {}
  #issuedMonotonicMs = Number.NEGATIVE_INFINITY
  #issuedWallMs = Number.NEGATIVE_INFINITY
  /** lanes that are being taken or given back */
  #busy = new Map<number, 'taking' | 'giving'>()
  #clockIsOff = false
  #registered = false
  clockOffMs = 0
  /** lanes without owner that hold what this code cannot load */
  readonly notLoadable = new Map<number, { readonly sinceMs: number; readonly structures: readonly string[] }>()
  /** lanes that were ours to take and could not be started */
  readonly notTaken = new Map<number, { readonly sinceMs: number; readonly why: string }>()
  failures = 0
  lastError = ''

  constructor(options: OwnershipOptions) {
    this.#options = options
    this.#begunMs = options.clock.monotonicMs()
  }

  async start(): Promise<void> {
    await this.#register()
    await this.#tick()
  }

  /**
   * By the larger of both clocks' time since the last successful renewal was *issued*: the monotonic clock can stand
   * still while the machine is suspended, the wall clock can be set.
   */
  isFresh(): boolean {
    return this.#sinceRenewalMs() < LEASE_MS - SEND_MARGIN_MS
  }

  /** Wall clock, ms: when the last successful renewal was issued; null: never. */
  get renewedAtMs(): number | null {
    return Number.isFinite(this.#issuedWallMs) ? this.#issuedWallMs : null
  }

  /** No longer counted for a fair share; held lanes stay renewed until they are given back. */
  drain(): void {
    this.#state = 'draining'
  }

  async end(): Promise<void> {
    this.#state = 'ended'
    this.#cancel()
    await this.#options.store.deregister(this.#options.process).catch((error: unknown) => {
      this.#options.log.warn({ event: 'process.deregister_failed' }, textOf(error))
    })
  }

  #sinceRenewalMs(): number {
    const { clock } = this.#options
    return Math.max(clock.monotonicMs() - this.#issuedMonotonicMs, clock.wallMs() - this.#issuedWallMs)
  }

  async #register(): Promise<void> {
    const { store, process, service, release, url, structures } = this.#options
    await store.register({ process, service, release, url: url(), structures })
    this.#registered = true
  }

  #next(inMs: number): void {
    if (this.#state === 'ended') return
    this.#cancel()
    this.#cancel = this.#options.clock.after(inMs, () => void this.#tick())
  }

  async #tick(): Promise<void> {
    const { store, process, clock, log } = this.#options
    const [monotonic, wall] = [clock.monotonicMs(), clock.wallMs()]
    try {
      if (!this.#registered) await this.#register()
      const counts = this.#state === 'live' && !this.#clockIsOff
      const renewal = await this.#renewInTime(() => store.renew(process, counts ? 'live' : 'draining', LEASE_MS))
      if (this.#state === 'ended') return
      if (this.failures > 0)
        log.info(
          { event: 'database.recovered', failures: this.failures },
          `the database answers again, after ${Math.round(this.#sinceRenewalMs())} ms`,
        )
      this.failures = 0
      this.#issuedMonotonicMs = monotonic
      this.#issuedWallMs = wall
      this.clockOffMs = clockOff(renewal.nowMs, wall, clock.wallMs())
      // What is no longer ours goes first: a renewal lets held back effects be sent.
      this.#settle(renewal)
      this.#options.onRenewed(renewal)
      this.#next(this.#untilNext(renewal))
    } catch (error) {
      if (this.#state === 'ended') return
      this.failures++
      if (storeCode(error) === 'broken_contract') this.#options.onBroken(new HostBroken(textOf(error), { cause: error }))
      this.lastError = textOf(error)
      repeatedly(log, this.failures)(
        { event: this.failures === 1 ? 'database.lost' : 'database.still_lost', failures: this.failures },
        this.lastError,
      )
      if (this.#sinceRenewalMs() >= LEASE_MS) this.#loseAll('its lease ran out: the database does not answer')
      this.#next(RENEW_MS / 2)
    }
  }

  /** A renewal that takes longer than the lease has failed, whatever it says later. */
  async #renewInTime(renew: () => Promise<Renewal>): Promise<Renewal> {
    let cancel = (): void => {}
    const late = new Promise<never>((_, reject) => {
      cancel = this.#options.clock.after(LEASE_MS, () => reject(new Error(`no answer to a renewal within ${LEASE_MS} ms`)))
    })
    try {
      return await Promise.race([renew(), late])
    } finally {
      cancel()
    }
  }

  #untilNext(renewal: Renewal): number {
    const { process, clock } = this.#options
    const others = renewal.lanes.filter(({ owner }) => owner !== process)
    // Lanes about to be free are looked at sooner, and so is who has them when we begin: often it is one that we take the place of.
    const isYoung = clock.monotonicMs() - this.#begunMs < 2 * LEASE_MS
    return others.some(({ owner, expired }) => owner === null || expired || isYoung) ? RENEW_MS / 4 : RENEW_MS
  }

  #loseAll(why: string): void {
    for (const lane of this.#options.held().keys()) this.#options.onLost(lane, why)
  }

  #settle(renewal: Renewal): void {
    const { process, held, onLost, onSurplus } = this.#options
    for (const [lane, epoch] of held()) if (isLost(renewal, lane, epoch, process)) onLost(lane, 'another process owns it')
    this.#clockIsOff = Math.abs(this.clockOffMs) > CLOCK_LIMIT_MS
    if (this.#clockIsOff) return this.#giveUp(renewal)
    if (this.#state !== 'live') return
    const share = Math.ceil(renewal.lanes.length / Math.max(1, renewal.live))
    const surplus = [...held().keys()].filter((lane) => !this.#busy.has(lane)).slice(share)
    for (const lane of surplus) void this.#occupied(lane, 'giving', () => onSurplus(lane))
    let room = share - held().size - this.#busy.size
    this.#lookThrough(renewal)
    for (const { lane, owner, expired, epoch } of renewal.lanes) {
      if (this.#busy.has(lane) || this.notLoadable.has(lane)) continue
      // A lane that is ours in the store and not in memory was lost by an accident: it is taken anew, or given back.
      const abandoned = owner === process && !held().has(lane)
      if (owner !== null && !expired && !abandoned) continue
      if (room > 0) {
        room--
        void this.#occupied(lane, 'taking', () => this.#take(lane, owner === null ? 'free' : 'expired'))
      } else if (abandoned) void this.#occupied(lane, 'giving', () => this.#release(lane, epoch))
    }
  }

  #lookThrough({ lanes }: Renewal): void {
    const { service, process, clock, log } = this.#options
    for (const { lane, owner, expired, notLoadable: structures } of lanes) {
      const isHeld = owner !== null && !expired && owner !== process
      const known = this.notLoadable.get(lane)
      if (isHeld || structures.length === 0) this.notLoadable.delete(lane)
      else if (!known) {
        this.notLoadable.set(lane, { sinceMs: clock.wallMs(), structures })
        log.error(
          { event: 'lane.not_loadable', lane, structures },
          `lane ${service}/${lane} may hold ${structures.join(', ')}, which this code cannot load`,
        )
      }
    }
  }

  /** Stops at once, and leaves the lanes to processes whose clocks are right. */
  #giveUp({ lanes }: Renewal): void {
    const { process, log } = this.#options
    const text = `clock is ${this.clockOffMs} ms off PostgreSQL's: no lane is kept`
    log.error({ event: 'process.clock_off', clock_off_ms: this.clockOffMs }, text)
    this.#loseAll('the clock is off')
    for (const { lane, owner, epoch } of lanes) {
      if (owner === process && !this.#busy.has(lane)) void this.#occupied(lane, 'giving', () => this.#release(lane, epoch))
    }
  }

  #release(lane: number, epoch: number): Promise<void> {
    return this.#options.store.release(this.#options.service, lane, epoch)
  }

  async #take(lane: number, how: 'free' | 'expired'): Promise<void> {
    const { store, process, service, timerWindow, onTaken, log } = this.#options
    const recovered = await store.take(process, service, lane, how, timerWindow)
    if (!recovered) return
    log.info({ event: 'lane.taken', lane, epoch: recovered.lane.epoch, how }, `lane ${service}/${lane}: epoch ${recovered.lane.epoch}`)
    await onTaken(recovered)
  }

  async #occupied(lane: number, how: 'taking' | 'giving', work: () => Promise<void>): Promise<void> {
    this.#busy.set(lane, how)
    try {
      await work()
      this.notTaken.delete(lane)
      this.#next(0)
    } catch (error) {
      if (how === 'taking')
        this.notTaken.set(lane, { sinceMs: this.notTaken.get(lane)?.sinceMs ?? this.#options.clock.wallMs(), why: textOf(error) })
      this.#options.log.warn({ event: how === 'taking' ? 'lane.take_failed' : 'lane.release_failed', lane }, textOf(error))
      this.#next(RENEW_MS)
    } finally {
      this.#busy.delete(lane)
    }
  }
}

/** Whether a renewal says that a lane is no longer ours. What it says of an older epoch was read before we took the lane. */
const isLost = ({ lanes }: Renewal, lane: number, epoch: number, process: string): boolean => {
  const row = lanes.find((one) => one.lane === lane)
  return !row || row.epoch > epoch || (row.epoch === epoch && row.owner !== process)
}

/** How far our clock is off for certain: the server's now lies somewhere between the call and its answer, however long that took. */
const clockOff = (serverMs: number, calledMs: number, answeredMs: number): number =>
  Math.round(serverMs > answeredMs ? serverMs - answeredMs : serverMs < calledMs ? serverMs - calledMs : 0)
