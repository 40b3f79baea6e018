import { textOf } from './faults.ts'
import type { HeldLanes } from './held-lanes.ts'
import type { Clock, Log } from './ports.ts'
import type { LaneStore } from './store-port.ts'
import type { ServiceDefinition } from './service.ts'

const EVERY_MS = 600_000
/** Of each kind a step: a statement of some 50 ms. */
const ROWS = 2_000
const STEP_MS = 500

/**
 * Lets go what nobody needs any more: what ended longer ago than its retention, a little at a time (the next step follows soon while
 * there is more), then marks that no record can come for. The answer ends it.
 */
export const sweeping = (of: {
  definition: ServiceDefinition
  store: LaneStore
  clock: Clock
  log: Log
  lanes: HeldLanes
}): (() => void) => {
  const { store, clock, log, lanes } = of
  const { name: service, retainEndedMs } = of.definition
  let isOver = false
  let cancel = (): void => {}
  const step = async (): Promise<number> => {
    const gone = await store.sweep(service, clock.wallMs() - retainEndedMs, ROWS)
    if (gone >= ROWS) return STEP_MS
    for (const lane of lanes) await lane.sweepMarks()
    return EVERY_MS
  }
  const later = (inMs: number): void => {
    cancel = clock.after(inMs, () => {
      step()
        .catch((error: unknown) => {
          log.warn({ event: 'store.not_swept' }, textOf(error))
          return EVERY_MS
        })
        .then((nextMs) => isOver || later(nextMs))
    })
  }
  later(EVERY_MS)
  return () => {
    isOver = true
    cancel()
  }
}
