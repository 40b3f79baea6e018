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
  675, // a command that storage had forgotten was asked about under a newer salt than the one it was signed with, and its offer had settled
]

/** Where each mutant was found out: what `npm run sim -- --find-seeds` writes. */
export const MUTANT_SEEDS: Readonly<Record<string, number>> = {
  'fence removed': 5,
  'takeover keeps the epoch': 9,
  'lease ends before its owner thinks so': 25,
  'batch number used again': 1,
  'batch computed ahead is lost': 2,
  'refused memory kept': 2,
  'refused batch dropped': 2,
  'cache outlives the lane': 1,
  'unwritten actors leave memory': 1,
  'mark not checked': 1,
  'marks per source only': 1,
  'marks without incarnation': 5,
  'marks not stored': 1,
  'positions not stored': 1,
  'position skipped': 1,
  'outbox released before commit': 1,
  'published before acknowledged': 1,
  'unanswered counts as published': 1,
  'retry leaves some out': 1,
  'two sends under way': 1,
  'unpublished outbox forgotten': 1,
  'offsets told before the turn is stored': 1,
  'effect run again blindly after a takeover': 1,
  'open effects forgotten at a takeover': 1,
  'read not taken up again': 9,
  'sent before commit': 2,
  'oracle believed too early': 19,
  'silence taken for not sent': 1,
  'send gate ignored': 5,
  'disarm waits for its commit': 77,
  'arm survives a new release': 3,
  'timer token ignored': 1,
  'timers not stored': 2,
  'later timers forgotten': 2,
  'parked actor goes on': 20,
  'undone turn leaves its state': 9,
  'journal without what was attached': 2,
  'order carried out twice': 1,
  'order answered before commit': 1,
  'reservation freed while uncertain': 1,
  'refusal frees the reservation': 4,
  'trade without a reservation': 1,
  'reservations not counted': 1,
  'settlement without a booking': 1,
  'ended quote decided again': 1,
  'nonce drawn anew at the send': 1,
  'bytes to sign worked out anew': 1,
  'a float in a context': 1,
  'settled height too low': 4,
  'incarnation kept after storage went back': 3,
  'arm survives the loss of storage': 3,
  'sent again after the loss': 315,
  'forgotten asked about under one salt': 675,
  'salts not stored': 675,
}
