import { tcpProxy } from '#test/tcp-proxy.ts'
import type { TcpProxy } from '#test/tcp-proxy.ts'

/** When the connection is cut: `before` the database has the commit, `after` it has it, or when it has answered and nobody has heard it. */
export type Moment = 'before' | 'after' | 'answer'

export interface DatabaseProxy {
  readonly proxy: TcpProxy
  /** The next `times` commits of a service lose their connection. */
  cutCommits(service: string, moment: Moment, times: number): Cutting
}

export interface Cutting {
  /** resolves with the last of them */
  readonly done: Promise<void>
  readonly cut: () => number
  stop(): void
}

/** The statement names of storage/batches.ts, as a Bind message carries them between two zeros. */
const COMMITS = [Buffer.from('\0commit\0'), Buffer.from('\0commit_history\0')]
const APPLICATION = /application_name\0([^\0]*)\0/

/** A proxy that knows of PostgreSQL's wire who is connected (by the start-up packet) and what is a commit. */
export const databaseProxy = async (target: { host: string; port: number }): Promise<DatabaseProxy> => {
  const proxy = await tcpProxy(target)
  const names = new Map<number, string>()
  let order: { service: string; moment: Moment; left: number; waiting: Set<number>; done: () => void } | undefined

  const counted = (): void => {
    if (order !== undefined && --order.left === 0) {
      order.done()
      order = undefined
    }
  }
  proxy.toServer = ({ connection, bytes, before }) => {
    if (before === 0) names.set(connection, APPLICATION.exec(bytes.toString('latin1'))?.[1] ?? '')
    if (order === undefined || names.get(connection) !== order.service || !COMMITS.some((name) => bytes.includes(name))) return 'pass'
    if (order.moment === 'answer') {
      order.waiting.add(connection)
      return 'pass'
    }
    const verdict = order.moment === 'before' ? 'cut' : 'last'
    counted()
    return verdict
  }
  proxy.toClient = ({ connection }) => {
    if (order?.waiting.delete(connection) !== true) return 'pass'
    counted()
    return 'cut'
  }
  return {
    proxy,
    cutCommits: (service, moment, times) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const mine = { service, moment, left: times, waiting: new Set<number>(), done: resolve }
      order = mine
      return {
        done: promise,
        cut: () => times - mine.left,
        stop: () => {
          if (order === mine) order = undefined
        },
      }
    },
  }
}
