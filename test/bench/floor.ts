import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { BRIEF } from '#bus/client.ts'
import { quietKafka } from '#deploy/local/kafka-client.ts'

export interface Floor {
  /** Latencies of every message of the measured span, ms. */
  measure(rate: number, warmMs: number, measureMs: number): Promise<readonly number[]>
  close(): Promise<void>
}

export interface FloorOrder {
  readonly role: 'first' | 'second'
  readonly brokers: string
  readonly database: string
  /** the first sends to `there` and reads `back`, the second the reverse */
  readonly topics: { readonly there: string; readonly back: string }
  readonly table: string
}
/** To the first process; it answers with the latencies. */
export interface FloorRun {
  readonly rate: number
  readonly warmMs: number
  readonly measureMs: number
}

const chain = fileURLToPath(import.meta.resolve('./floor-chain.ts'))

/** Two topics, two tables and two processes, beside what runs on the same broker and database. */
export const openFloor = async (brokers: string, database: string): Promise<Floor> => {
  const run = randomUUID().slice(0, 8)
  const topics = { there: `bench.${run}.there`, back: `bench.${run}.back` }
  const admin = quietKafka(brokers, BRIEF).admin()
  await admin.connect()
  await admin.createTopics({
    waitForLeaders: true,
    topics: Object.values(topics).map((topic) => ({ topic, numPartitions: 1, replicationFactor: 1 })),
  })
  await admin.disconnect()
  const db = new Client({ connectionString: database })
  await db.connect()
  await db.query('CREATE SCHEMA IF NOT EXISTS bench')
  const roles = ['first', 'second'] as const
  for (const role of roles) await db.query(`CREATE TABLE bench.floor_${run}_${role} (id bigint, body text)`)
  await db.end()
  const [first, second] = roles.map((role) => fork(chain, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }).once('error', fail(role)))
  if (first === undefined || second === undefined) throw new Error('no processes')
  for (const [index, child] of [first, second].entries()) {
    const role = roles[index] ?? 'first'
    child.send({ role, brokers, database, topics, table: `bench.floor_${run}_${role}` } satisfies FloorOrder)
    await answerOf(child)
  }
  return {
    measure: async (rate, warmMs, measureMs) => {
      first.send({ rate, warmMs, measureMs } satisfies FloorRun)
      return (await answerOf(first)) as number[]
    },
    close: async () => {
      const ended = [first, second].map((child) => new Promise((resolve) => child.once('exit', resolve)))
      for (const child of [first, second]) child.disconnect()
      await Promise.all(ended)
    },
  }
}

const fail = (role: string) => (error: Error) => {
  throw new Error(`the ${role} process of the floor chain`, { cause: error })
}

const answerOf = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const died = (code: number | null): void => reject(new Error(`a process of the floor chain ended with ${code}`))
    child.once('exit', died)
    child.once('message', (answer) => {
      child.off('exit', died)
      resolve(answer)
    })
  })
