/** Worlds in which something was wrong once. What a seed does changes with the world's own code; that it must pass does not. */
export const KNOWN_SEEDS: readonly number[] = [
  1, // a NUL in a source's name; orders refused for a broken connection
  2, // the next window of timers read while a batch was in commit
  3, // an actor parked because a SELECT was not answered; after a failover storage found gone back again and again, for ever
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
  136, // the chain's word from before a deadline, heard after it, freed an offer that settled
  208, // a command that storage had forgotten was refused as TOO_LATE, and its offer settled
  239, // a lane that read itself again did not see that storage had gone back
]

/** Where each mutant was found out: what `npm run sim -- --find-seeds` writes. */
export const MUTANT_SEEDS: Readonly<Record<string, number>> = {
  'fence removed': 1,
  'takeover keeps the epoch': 1,
  'lease ends before its owner thinks so': 18,
  'batch number used again': 1,
  'refused memory kept': 2,
  'refused batch dropped': 2,
  'cache outlives the lane': 1,
  'unwritten actors leave memory': 9,
  'mark not checked': 1,
  'marks per source only': 1,
  'marks without incarnation': 6,
  'marks not stored': 1,
  'positions not stored': 1,
  'position skipped': 2,
  'outbox released before commit': 1,
  'published before acknowledged': 2,
  'unanswered counts as published': 1,
  'retry leaves some out': 1,
  'two sends under way': 1,
  'unpublished outbox forgotten': 1,
  'offsets told before the turn is stored': 1,
  'effect run again blindly after a takeover': 2,
  'open effects forgotten at a takeover': 2,
  'read not taken up again': 9,
  'sent before commit': 2,
  'oracle believed too early': 2,
  'silence taken for not sent': 2,
  'send gate ignored': 9,
  'disarm waits for its commit': 22,
  'arm survives a new release': 1,
  'timer token ignored': 1,
  'timers not stored': 2,
  'later timers forgotten': 2,
  'parked actor goes on': 15,
  'undone turn leaves its state': 2,
  'journal without what was attached': 1,
  'order carried out twice': 1,
  'order answered before commit': 1,
  'reservation freed while uncertain': 5,
  'refusal frees the reservation': 16,
  'trade without a reservation': 1,
  'reservations not counted': 1,
  'settlement without a booking': 3,
  'ended quote decided again': 1,
  'nonce drawn anew at the send': 3,
  'bytes to sign worked out anew': 1,
  'a float in a context': 1,
  'settled height too low': 3,
  'incarnation kept after storage went back': 25,
  'arm survives the loss of storage': 18,
  'sent again after the loss': 38,
}
