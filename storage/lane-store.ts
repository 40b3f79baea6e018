import { commitBatch } from './batches.ts'
import { insertOrder, onOrder, openOrders, orderAnswers } from './orders.ts'
import { deregister, ensureDays, register, reincarnate, release, renew, serviceLanes, sweep, sweepMarks, take } from './ownership.ts'
import { loadActors, nextLetters, nextTimers, recoverLane, timersOf } from './recovery.ts'
import { ControlSession, Sessions } from './session.ts'
import type { StoreLog } from './session.ts'

export interface LaneStoreOptions {
  /** of the service's own role; never logged */
  readonly connectionString: string
  /** connections for commits and reads; one more is for the lease and notifications */
  readonly poolSize?: number
  readonly applicationName: string
  readonly log: StoreLog
}

const DAYS_EVERY_MS = 3_600_000

/**
 * The runtime's `LaneStore` on PostgreSQL. Nothing connects before the first call.
 * @throws {StoreError} from every method
 */
export const laneStore = (options: LaneStoreOptions) => {
  const sessions = new Sessions(options, options.poolSize ?? 3)
  const control = new ControlSession(options)
  const days = hourly(async () => {
    const made = await ensureDays(sessions)
    if (made > 0) options.log.info({ event: 'database.days_made', made }, 'made partitions for the days ahead')
  })
  return {
    register: register.bind(null, control),
    renew: async (...args: Tail<typeof renew>) => {
      const renewal = await renew(control, ...args)
      days((error) => options.log.warn({ event: 'database.days_not_made', error: error.message }, 'the days ahead could not be made'))
      return renewal
    },
    deregister: deregister.bind(null, control),
    take: take.bind(null, sessions),
    recover: recoverLane.bind(null, sessions),
    release: release.bind(null, sessions),
    load: loadActors.bind(null, sessions),
    timers: nextTimers.bind(null, sessions),
    timersOf: timersOf.bind(null, sessions),
    letters: nextLetters.bind(null, sessions),
    commit: commitBatch.bind(null, sessions),
    orders: openOrders.bind(null, sessions),
    insertOrder: insertOrder.bind(null, sessions),
    orderAnswers: orderAnswers.bind(null, sessions),
    onOrder: onOrder.bind(null, control),
    lanes: serviceLanes.bind(null, sessions),
    reincarnate: reincarnate.bind(null, sessions),
    sweep: sweep.bind(null, sessions),
    sweepMarks: sweepMarks.bind(null, sessions),
    close: async () => {
      await Promise.all([sessions.close(), control.close()])
    },
  }
}

type Tail<F> = F extends (first: never, ...rest: infer R) => unknown ? R : never

/** Starts the work at most once an hour, beside the caller. */
const hourly = (work: () => Promise<void>): ((onError: (error: Error) => void) => void) => {
  let lastMs = Number.NEGATIVE_INFINITY
  return (onError) => {
    const nowMs = performance.now()
    if (nowMs - lastMs < DAYS_EVERY_MS) return
    lastMs = nowMs
    work().catch((error: unknown) => {
      lastMs = nowMs - DAYS_EVERY_MS + RETRY_DAYS_MS
      onError(error instanceof Error ? error : new Error(String(error)))
    })
  }
}

const RETRY_DAYS_MS = 60_000
