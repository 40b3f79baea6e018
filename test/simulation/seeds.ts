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

/** Where each mutant was found out: what `npm run sim -- --find-seeds` writes. */
export const MUTANT_SEEDS: Readonly<Record<string, number>> = {
  'fence removed': 2,
  'takeover keeps the epoch': 2,
  'refused memory kept': 1,
  'refused batch dropped': 1,
  'batch number used again': 4,
  'cache outlives the lane': 1,
  'mark not checked': 1,
  'marks per source only': 1,
  'unwritten actors leave memory': 2,
  'marks not stored': 1,
  'positions not stored': 1,
  'position skipped': 1,
  'outbox released before commit': 6,
  'published before acknowledged': 1,
  'unanswered counts as published': 1,
  'retry leaves some out': 1,
  'two sends under way': 1,
  'unpublished outbox forgotten': 1,
  'offsets told before the turn is stored': 1,
  'effect run again blindly after a takeover': 1,
  'open effects forgotten at a takeover': 1,
  'read not taken up again': 2,
  'sent before commit': 1,
  'oracle believed too early': 3,
  'silence taken for not sent': 1,
  'send gate ignored': 1,
  'disarm waits for its commit': 1,
  'any arm opens the gate': 7,
  'arm survives a new release': 11,
  'timers not stored': 1,
  'later timers forgotten': 10,
  'undone turn leaves its state': 1,
  'journal without what was attached': 1,
  'order carried out twice': 1,
}
