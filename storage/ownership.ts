import { recoverLane } from './recovery.ts'
import type { ProcessRow, Recovered, Renewal } from './rows.ts'
import type { ControlSession, Sessions, Statement } from './session.ts'

/** A lease is on PostgreSQL's clock, so that no two processes have to agree on theirs. */

/** Inserts the process row with a first lease of 1.5 s; again, it renews that. */
export const register = async (control: ControlSession, row: ProcessRow): Promise<void> => {
  const { process, service, release, url, structures } = row
  const values = [process, service, release, url]
  const what = `register ${service} ${process}`
  if (structures) await control.query(REGISTER_WITH, [...values, structures.runs, structures.loads], what)
  else await control.query(REGISTER, values, what)
}

/** @throws {StoreError} broken_contract: there is no such process row */
export const renew = async (control: ControlSession, process: string, state: 'live' | 'draining', leaseMs: number): Promise<Renewal> => {
  const [row] = await control.query<Renewal>(RENEW, [process, state, leaseMs], `renew ${process}`)
  if (!row) throw new Error('renew_process answered nothing')
  return row
}

/** Removes the process row and leaves its lanes without owner. */
export const deregister = async (control: ControlSession, process: string): Promise<void> => {
  await control.query(DEREGISTER, [process], `deregister ${process}`)
}

/**
 * Takes a lane: `free` only an ownerless one and never waits, `expired` waits for a commit in flight and also takes from an
 * owner whose lease has run out. A process may take again what it owns: the answer to its first take was lost.
 * @returns null where somebody else has it, and where the process cannot load it
 */
export const take = async (
  sessions: Sessions,
  process: string,
  service: string,
  lane: number,
  how: 'free' | 'expired',
  timerWindow: number,
): Promise<Recovered | null> => {
  const [row] = await sessions.query<{ epoch: number | null }>(TAKE, [process, service, lane, how], `lane ${service}/${lane}: take ${how}`)
  const epoch = row?.epoch ?? null
  return epoch === null ? null : recoverLane(sessions, service, lane, epoch, timerWindow)
}

/** Gives a lane back; nothing happens where the epoch is not its own any more. */
export const release = async (sessions: Sessions, service: string, lane: number, epoch: number): Promise<void> => {
  await sessions.query(RELEASE, [service, lane, epoch], `lane ${service}/${lane}: release`)
}

/** @throws {StoreError} broken_contract: the service has another number of lanes */
export const serviceLanes = async (sessions: Sessions, service: string, wanted: number): Promise<number> => {
  const [row] = await sessions.query<{ lanes: number }>(LANES, [service, wanted], `${service}: ${wanted} lanes`)
  return row?.lanes ?? wanted
}

/**
 * Storage went back (went_back, or Kafka's commit above ours): every lane of the fleet gets a new incarnation and epoch and
 * loses its owner. Only the first call for this incarnation does anything.
 */
export const reincarnate = async (sessions: Sessions, service: string, lane: number, incarnation: string): Promise<void> => {
  await sessions.query(REINCARNATE, [service, lane, incarnation], `lane ${service}/${lane}: reincarnate`)
}

/** Removes actors, effects and answered orders that ended before a time, at most `limit` of each; how many went. */
export const sweep = async (sessions: Sessions, service: string, beforeMs: number, limit: number): Promise<number> => {
  const [row] = await sessions.query<{ gone: number }>(SWEEP, [service, beforeMs, limit], `${service}: sweep`)
  return row?.gone ?? 0
}

/** Removes marks that no record can come for any more; `low`: where each topic's log starts. */
export const sweepMarks = (
  sessions: Sessions,
  service: string,
  lane: number,
  low: Readonly<Record<string, number>>,
): Promise<{ topic: string; source: string; incarnation: string }[]> =>
  sessions.query(SWEEP_MARKS, [service, lane, Object.keys(low), Object.values(low)], `lane ${service}/${lane}: sweep marks`)

/** Makes the partitions of the days ahead; how many were missing. */
export const ensureDays = async (sessions: Sessions): Promise<number> => {
  const [row] = await sessions.query<{ made: number }>(ENSURE_DAYS, [], 'make the days ahead')
  return row?.made ?? 0
}

const REGISTER: Statement = { name: 'register', text: 'SELECT unrip.register_process($1, $2, $3, $4)' }
const REGISTER_WITH: Statement = { name: 'register_with', text: 'SELECT unrip.register_process($1, $2, $3, $4, $5, $6)' }
const RENEW: Statement = {
  name: 'renew',
  text: 'SELECT now_ms AS "nowMs", live, lanes, open_orders AS "openOrders" FROM unrip.renew_process($1, $2, $3)',
}
const DEREGISTER: Statement = { name: 'deregister', text: 'SELECT unrip.deregister_process($1)' }
const TAKE: Statement = { name: 'take', text: 'SELECT unrip.take_lane($1, $2, $3, $4) AS epoch' }
const RELEASE: Statement = { name: 'release', text: 'SELECT unrip.release_lane($1, $2, $3)' }
const LANES: Statement = { name: 'lanes', text: 'SELECT unrip.service_lanes($1, $2) AS lanes' }
const REINCARNATE: Statement = { name: 'reincarnate', text: 'SELECT unrip.reincarnate($1, $2, $3)' }
const SWEEP: Statement = { name: 'sweep', text: 'SELECT unrip.sweep($1, $2, $3) AS gone' }
const SWEEP_MARKS: Statement = { name: 'sweep_marks', text: 'SELECT topic, source, incarnation FROM unrip.sweep_marks($1, $2, $3, $4)' }
const ENSURE_DAYS: Statement = { name: 'ensure_days', text: 'SELECT unrip.ensure_days() AS made' }
