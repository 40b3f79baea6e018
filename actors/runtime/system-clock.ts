import type { Clock } from './ports.ts'

/** The machine's own clocks. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (ms, callback) => {
    // setTimeout counts in 31 bits: what lies further ahead is looked at again then.
    const timer = setTimeout(callback, Math.min(Math.ceil(ms), 2_147_483_647))
    return () => clearTimeout(timer)
  },
}
