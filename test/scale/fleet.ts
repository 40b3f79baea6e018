/** Processes of one service on a real broker and a real PostgreSQL, a feed of demands, and what they have made of them. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { FeedSource } from '#actors/runtime/feed-source.ts'
import { systemClock } from '#actors/runtime/system-clock.ts'
import { kafkaBus } from '#bus/kafka.ts'
import { partitionOf } from '#bus/murmur2.ts'
import { createTopics } from '#bus/set-up.ts'
import { startStack } from '#deploy/local/stack.ts'
import type { Stack } from '#deploy/local/stack.ts'
import { migrate } from '#storage/migrate.ts'
import { silent } from '../bus/silent.ts'
import { makeTopics } from '../bus/topics.ts'
import { demandOf } from './demand.ts'

export const SCALED_SERVICE = 'strategy-engine'

export class Fleet {
  readonly lanes: number
  readonly stack: Stack
  readonly members: ChildProcess[] = []
  readonly #url: string
  readonly #admin: Client

  private constructor(lanes: number, stack: Stack, url: string, admin: Client) {
    this.lanes = lanes
    this.stack = stack
    this.#url = url
    this.#admin = admin
  }

  /** Broker, database and topics for `lanes` lanes; no process yet. `bare`: only the two topics that its processes use. */
  static async open(lanes: number, { bare = false }: { bare?: boolean } = {}): Promise<Fleet> {
    const stack = await startStack()
    try {
      const [{ roleUrls }] = await Promise.all([
        migrate({ adminUrl: stack.adminUrl, lanes, log: silent }),
        bare
          ? makeTopics(stack.brokers, ['norm.swap_demand', 'ops.alert_event'], lanes)
          : createTopics({ brokers: stack.brokers, lanes, log: silent }),
      ])
      const admin = new Client({ connectionString: stack.adminUrl, application_name: 'scale' })
      await admin.connect()
      return new Fleet(lanes, stack, roleUrls[SCALED_SERVICE]!, admin)
    } catch (error) {
      await stack.stop()
      throw error
    }
  }

  /** Starts one more process. */
  join(): ChildProcess {
    const file = fileURLToPath(new URL('member.ts', import.meta.url))
    const member = spawn(process.execPath, [file, this.stack.brokers, this.#url, String(this.lanes)], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    this.members.push(member)
    return member
  }

  /** Ends one: SIGTERM drains it, SIGKILL does not. Its exit code, or null. */
  async leave(member: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    this.members.splice(this.members.indexOf(member), 1)
    const gone = once(member, 'exit') as Promise<[number | null]>
    member.kill(signal)
    return (await gone)[0]
  }

  /** How many lanes each process with a lease holds, most first. */
  async shares(): Promise<number[]> {
    const { rows } = await this.#admin.query<{ held: number }>(
      `SELECT count(l.lane)::int AS held FROM unrip.process p LEFT JOIN unrip.lane l ON l.owner = p.process AND l.service = p.service
       WHERE p.service = $1 AND p.expires_at > clock_timestamp() AND p.state = 'live' GROUP BY p.process ORDER BY held DESC`,
      [SCALED_SERVICE],
    )
    return rows.map(({ held }) => held)
  }

  /** Turns committed by all lanes, and of them those that were parked. */
  async turns(): Promise<{ turns: number; batches: number; parked: number; halted: number }> {
    const { rows } = await this.#admin.query<{ turns: number; batches: number; parked: number; halted: number }>(
      `SELECT coalesce(sum(turn), 0)::int AS turns, coalesce(sum(batch), 0)::int AS batches, count(halted)::int AS halted,
        (SELECT count(*)::int FROM unrip.parked WHERE service = $1) AS parked FROM unrip.lane WHERE service = $1`,
      [SCALED_SERVICE],
    )
    return rows[0]!
  }

  async close(): Promise<void> {
    await Promise.all([...this.members].map((member) => this.leave(member, 'SIGKILL')))
    await this.#admin.end()
    await this.stack.stop()
  }
}

/** Demands for many pairs, so for many lanes, from one process outside lanes. */
export class Demands {
  readonly #bus: ReturnType<typeof kafkaBus>
  readonly #source: FeedSource
  readonly #pairs: number
  sent = 0

  constructor({ stack, lanes }: Fleet, pairs: number) {
    this.#bus = kafkaBus({ brokers: stack.brokers, clientId: 'scale-feed', log: silent })
    this.#pairs = pairs
    this.#source = new FeedSource({
      service: 'near-intents-ingest',
      process: randomUUID(),
      bus: this.#bus,
      clock: systemClock,
      log: silent,
      partitionOf: (laneKey) => partitionOf(laneKey, lanes),
    })
  }

  /** @returns false when the feed had to drop some, which must not happen here */
  publish(count: number): boolean {
    const records = Array.from({ length: count }, () => {
      const number = this.sent++
      return demandOf('scale', `q${number}`, `P${number % this.#pairs}`)
    })
    return this.#source.publish(records)
  }

  drained(): Promise<void> {
    return this.#source.drained()
  }

  async close(): Promise<void> {
    this.#source.close()
    await this.#bus.close()
  }
}
