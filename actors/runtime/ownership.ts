import { HostBroken, storeCode, textOf } from './faults.ts'
import type { Clock, LaneStore, Log, Recovered, Renewal } from './ports.ts'

/** Renewed twice a second, expiring after 1.5 s on PostgreSQL's clock. */
const RENEW_MS = 500
export const LEASE_MS = 1_500
/** A send needs a renewal issued at most this long ago. */
const SEND_MARGIN_MS = 300
/** A process whose clock is further off than this owns no lane. */
const CLOCK_LIMIT_MS = 500

export interface OwnershipOptions {
  readonly process: string
  readonly service: string
  readonly release: string
  readonly url: () => string
  readonly store: LaneStore
  readonly clock: Clock
  readonly log: Log
  readonly timerWindow: number
  readonly held: () => readonly number[]
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
 * O3. A process that cannot renew for a lease stops all its lanes by itself.
 */
export class Ownership {
  readonly #options: OwnershipOptions
  #state: 'live' | 'draining' | 'ended' = 'live'
  #cancel: () => void = () => {}
  #issuedMonotonicMs = Number.NEGATIVE_INFINITY
  #issuedWallMs = Number.NEGATIVE_INFINITY
  #busy = new Set<number>()
  #registered = false
  clockOffMs = 0
  failures = 0

  constructor(options: OwnershipOptions) {
    this.#options = options
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
    const { store, process, service, release, url } = this.#options
    await store.register({ process, service, release, url: url() })
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
      const renewal = await this.#renewInTime(() => store.renew(process, this.#state === 'live' ? 'live' : 'draining', LEASE_MS))
      if (this.#state === 'ended') return
      this.failures = 0
      this.#issuedMonotonicMs = monotonic
      this.#issuedWallMs = wall
      this.clockOffMs = Math.round(renewal.nowMs - (wall + clock.wallMs()) / 2)
      this.#options.onRenewed(renewal)
      this.#settle(renewal)
      this.#next(this.#untilNext(renewal))
    } catch (error) {
      this.failures++
      if (storeCode(error) === 'broken_contract') this.#options.onBroken(new HostBroken(textOf(error), { cause: error }))
      log.warn({ event: 'process.renew_failed', failures: this.failures }, textOf(error))
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
    // Somebody else's lanes about to be free are looked at sooner.
    return renewal.lanes.some(({ owner, expired }) => owner !== this.#options.process && (owner === null || expired))
      ? RENEW_MS / 4
      : RENEW_MS
  }

  #loseAll(why: string): void {
    for (const lane of this.#options.held()) this.#options.onLost(lane, why)
  }

  #settle(renewal: Renewal): void {
    const { process, held, onLost, onSurplus, log } = this.#options
    const mine = new Set(renewal.lanes.filter(({ owner }) => owner === process).map(({ lane }) => lane))
    for (const lane of held()) if (!mine.has(lane) && !this.#busy.has(lane)) onLost(lane, 'another process owns it')
    if (Math.abs(this.clockOffMs) > CLOCK_LIMIT_MS) {
      log.error(
        { event: 'process.clock_off', clock_off_ms: this.clockOffMs },
        `clock is ${this.clockOffMs} ms off PostgreSQL's: no lane is kept`,
      )
      return this.#loseAll('the clock is off')
    }
    if (this.#state !== 'live') return
    const share = Math.ceil(renewal.lanes.length / Math.max(1, renewal.live))
    const surplus = held()
      .filter((lane) => !this.#busy.has(lane))
      .slice(share)
    for (const lane of surplus) void this.#occupied(lane, () => onSurplus(lane))
    let room = share - held().length - this.#busy.size
    for (const { lane, owner, expired } of renewal.lanes) {
      if (room <= 0) break
      // A lane that is ours in the store and not in memory was lost by an accident: it is taken anew.
      const abandoned = owner === process && !held().includes(lane)
      if ((owner !== null && !expired && !abandoned) || this.#busy.has(lane)) continue
      room--
      void this.#occupied(lane, () => this.#take(lane, owner === null ? 'free' : 'expired'))
    }
  }

  async #take(lane: number, how: 'free' | 'expired'): Promise<void> {
    const { store, process, service, timerWindow, onTaken, log } = this.#options
    const recovered = await store.take(process, service, lane, how, timerWindow)
    if (!recovered) return
    log.info({ event: 'lane.taken', lane, epoch: recovered.lane.epoch, how }, `lane ${service}/${lane}: epoch ${recovered.lane.epoch}`)
    await onTaken(recovered)
  }

  async #occupied(lane: number, work: () => Promise<void>): Promise<void> {
    this.#busy.add(lane)
    try {
      await work()
      this.#next(0)
    } catch (error) {
      this.#options.log.warn({ event: 'lane.take_failed', lane }, textOf(error))
      this.#next(RENEW_MS)
    } finally {
      this.#busy.delete(lane)
    }
  }
}
