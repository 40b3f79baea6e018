import { readFileSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'
import type { ServiceName } from '#machines/contracts/services.ts'
import type { Deployment } from '../e2e/deployment.ts'

/** How long a lane was nobody's. */
export interface Takeover {
  readonly service: ServiceName
  readonly lane: number
  readonly by: 'itself anew' | 'another process'
  /** from the death of its owner to its next epoch, ms; null: not within the time given */
  readonly takenMs: number | null
  /** to the first turn committed under that epoch; null as well where the new owner had nothing to commit */
  readonly turnMs: number | null
  /** what the new process had used of a CPU by then, ms; null where it is another, or not to be known here */
  readonly cpuMs: number | null
}

interface LaneRow {
  readonly service: ServiceName
  readonly lane: number
  readonly epoch: string
  readonly turn: string
  readonly url: string | null
}

const LANES = `SELECT l.service, l.lane, l.epoch, l.turn, p.url FROM unrip.lane l LEFT JOIN unrip.process p ON p.process = l.owner
  WHERE l.service = ANY ($1) ORDER BY l.service, l.lane`
const LOOK_EVERY_MS = 10
const GIVE_UP_MS = 30_000
/** Nothing is configured or armed in its lanes: a new owner has nothing to commit until a record comes. */
const QUIET: readonly ServiceName[] = ['alert-evaluator']

/** Kills the services' own processes, all at once, and looks at the tables until each lane of theirs has been taken over. */
export const killAndWatch = async (deployment: Deployment, services: readonly ServiceName[]): Promise<Takeover[]> => {
  const urlOf = (service: ServiceName): string | undefined => deployment.ready.services[service]?.url
  // The database itself may be what is being hurt: then nothing is seen.
  const look = (): Promise<LaneRow[]> => deployment.query<LaneRow>(LANES, [services]).catch(() => [])
  const lanes = (await look()).filter(({ service, url }) => url === urlOf(service)).map((row) => new Orphan(row))
  const killedAt = performance.now()
  for (const service of services) deployment.kill(service)
  while (lanes.some((lane) => !lane.isDone) && performance.now() - killedAt < GIVE_UP_MS) {
    await after(LOOK_EVERY_MS)
    const rows = await look()
    const ms = performance.now() - killedAt
    for (const lane of lanes) {
      const row = rows.find((one) => one.service === lane.service && one.lane === lane.lane)
      if (row !== undefined && !lane.isDone) lane.see(row, ms, row.url === urlOf(lane.service) ? deployment.pid(lane.service) : null)
    }
  }
  return lanes.map((lane) => lane.takeover())
}

class Orphan {
  readonly service: ServiceName
  readonly lane: number
  readonly #epoch: bigint
  #turn: bigint
  #by: Takeover['by'] = 'itself anew'
  #takenMs: number | null = null
  #turnMs: number | null = null
  #cpuMs: number | null = null

  constructor({ service, lane, epoch, turn }: LaneRow) {
    this.service = service
    this.lane = lane
    this.#epoch = BigInt(epoch)
    this.#turn = BigInt(turn)
  }

  get isDone(): boolean {
    return this.#takenMs !== null && (this.#turnMs !== null || QUIET.includes(this.service))
  }

  /** @param pid of the service's own process, where that is the owner */
  see({ epoch, turn }: LaneRow, ms: number, pid: number | null): void {
    if (BigInt(epoch) === this.#epoch) {
      // What was in commit when its owner died.
      this.#turn = BigInt(turn)
      return
    }
    if (this.#takenMs === null) {
      this.#takenMs = ms
      this.#by = pid === null ? 'another process' : 'itself anew'
    }
    if (BigInt(turn) === this.#turn) return
    this.#turnMs = ms
    if (pid !== null) this.#cpuMs = cpuMsOf(pid)
  }

  takeover(): Takeover {
    const { service, lane } = this
    return { service, lane, by: this.#by, takenMs: this.#takenMs, turnMs: this.#turnMs, cpuMs: this.#cpuMs }
  }
}

/** User and system time of all its threads; a tick is 10 ms. @see proc_pid_stat(5), fields 14 and 15 */
const cpuMsOf = (pid: number): number | null => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return null
  }
}
