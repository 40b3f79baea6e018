import { HostBroken, textOf } from '../faults.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'

/** Whether a lane is still ours, and who is told when it is not. Whoever finds out that it is not drops it (L4). */
export class LaneLife {
  readonly #options: LaneOptions
  readonly #now: LaneNow
  readonly #onClosed: () => void
  #state: 'running' | 'draining' | 'closed' = 'running'

  constructor(of: { options: LaneOptions; now: LaneNow; onClosed: () => void }) {
    this.#options = of.options
    this.#now = of.now
    this.#onClosed = of.onClosed
  }

  get isOpen(): boolean {
    return this.#state !== 'closed'
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /** Nothing new from now on; what is under way finishes. */
  drain(): void {
    this.#state = 'draining'
    this.#options.reader.leave(this.#now.memory.lane)
  }

  close(): void {
    this.#state = 'closed'
    this.#options.reader.leave(this.#now.memory.lane)
    this.#onClosed()
  }

  /** Stops at once and touches nothing any more (L4). */
  drop(why: string): void {
    if (!this.isOpen) return
    const { log, service, onLost } = this.#options
    const { lane, epoch } = this.#now.memory
    log.warn({ event: 'lane.dropped', lane, epoch }, `lane ${service}/${lane}: ${why}`)
    this.close()
    onLost(lane, why)
  }

  /** The store is not where it was when it said that it had committed. */
  wentBack(why: string): void {
    this.drop(why)
    const { lane, incarnation } = this.#now.memory
    this.#options.onWentBack({ lane, incarnation }, why)
  }

  /** The store has refused what it must take: our bug, and the host's end. */
  broken(what: string, error: unknown): void {
    const { service, onBroken } = this.#options
    onBroken(new HostBroken(`lane ${service}/${this.#now.memory.lane}, ${what}: ${textOf(error)}`, { cause: error }))
    this.drop('the store refused what it must take')
  }
}
