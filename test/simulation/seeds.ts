import type { Mutant } from './mutants.ts'

/** Worlds in which something was wrong once. What a seed does changes with the world's own code; that it must pass does not. */
export const KNOWN_SEEDS: readonly number[] = [
  1, // a NUL in a source's name; orders refused for a broken connection
  2, // the next window of timers read while a batch was in commit
  3, // an actor parked because a SELECT was not answered
  5, // an unhandled rejection of the timers' window
  8, // an arm order without a release armed the next one
  9, // a refused order parked its actor for the next owner
  12, // (the world) a settlement held up by a suspended machine
  35, // a lane owned in the store and held by nobody, after a database outage
  38, // the same, after a release that was not answered
  48, // a disarm that could not be written, forgotten with the lane
  49,
  68,
  77,
  20133, // an arm just before a disarm that could not be written opened the gate
  20337, // (the world) a frozen process heard what was new before what it had missed
  90, // storage declared lost by a process that had slept over its takeover
]

/** The first of five seeds by which the checkers have found the mutant out. */
export const MUTANT_SEEDS: Readonly<Record<Mutant, number>> = {
  'no fence': 6,
  resends: 1,
  'forgets marks': 1,
  'forgets timers': 1,
  'loses acknowledged': 3,
  'forgets effects': 1,
}
