import { Client, Pool, types } from 'pg'
import type { ClientBase, ClientConfig, CustomTypesConfig, PoolClient, QueryConfig, QueryResultRow } from 'pg'
import { isSessionOver, toStoreError } from './errors.ts'

export interface StoreLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

export interface SessionOptions {
  readonly connectionString: string
  readonly applicationName: string
  readonly log: StoreLog
}

/** Prepared by name on first use of each connection. */
export interface Statement {
  readonly name: string
  readonly text: string
}

interface Patience {
  /** the server gives up */
  readonly statementMs: number
  /** we give up, later, and throw the connection away */
  readonly answerMs: number
}

/** A commit may wait for a disk. */
const FOR_COMMITS: Patience = { statementMs: 10_000, answerMs: 12_000 }
/** A lease of 1.5 s is lost by then, and only a new connection can bring it back. */
const FOR_LEASES: Patience = { statementMs: 1_500, answerMs: 2_000 }
const CONNECT_TIMEOUT_MS = 3_000

/** bigint as number: ids, offsets and ms stay far below 2^53. numeric stays text. */
const parsers: CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format ?? 'text'),
} as CustomTypesConfig

const configOf = ({ connectionString, applicationName }: SessionOptions, patience: Patience): ClientConfig => ({
  connectionString,
  application_name: applicationName,
  statement_timeout: patience.statementMs,
  query_timeout: patience.answerMs,
  connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  keepAlive: true,
  types: parsers,
})

/** A small pool for commits and reads. The function fences, not the connection: any of them will do. */
export class Sessions {
  readonly #pool: Pool

  constructor(options: SessionOptions, size: number) {
    this.#pool = new Pool({ ...configOf(options, FOR_COMMITS), max: size, idleTimeoutMillis: 0 })
    // A connection that breaks also says so by itself, under way or idle; whoever waits for it hears it from its statement.
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
    this.#pool.on('error', (error) =>
      options.log.warn({ event: 'database.idle_connection_ended', error: error.message }, 'an idle database connection ended'),
    )
  }

  /** @throws {StoreError} */
  async query<R extends QueryResultRow>(statement: Statement, values: unknown[], what: string): Promise<R[]> {
    return this.with(what, (client) => rowsOf<R>(client, statement, values))
  }

  /** @throws {StoreError} whatever `work` throws, named */
  async with<R>(what: string, work: (client: PoolClient) => Promise<R>): Promise<R> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw toStoreError(error, what, false)
    })
    try {
      const answer = await work(client)
      client.release()
      return answer
    } catch (error) {
      client.release(isSessionOver(error))
      throw toStoreError(error, what, true)
    }
  }

  close(): Promise<void> {
    return this.#pool.end()
  }
}

export const rowsOf = async <R extends QueryResultRow>(client: ClientBase, { name, text }: Statement, values: unknown[]): Promise<R[]> => {
  const config: QueryConfig = { name, text, values }
  return (await client.query<R>(config)).rows
}

/**
 * One connection of its own for what must not wait behind commits: the lease, and LISTEN. While somebody listens it
 * comes back by itself, and then calls everybody: a notification may have been missed.
 */
export class ControlSession {
  readonly #options: SessionOptions
  readonly #listeners = new Map<string, Set<() => void>>()
  #client: Promise<Client> | null = null
  #last: Promise<unknown> = Promise.resolve()
  #retry: NodeJS.Timeout | null = null
  #failures = 0
  #isClosed = false

  constructor(options: SessionOptions) {
    this.#options = options
  }

  async query<R extends QueryResultRow>(statement: Statement, values: unknown[], what: string): Promise<R[]> {
    const client = await this.#connected(what)
    try {
      return await this.#inOrder(() => rowsOf<R>(client, statement, values))
    } catch (error) {
      if (isSessionOver(error)) this.#drop(client)
      throw toStoreError(error, what, true)
    }
  }

  /** Calls back at each notification on the channel and after each reconnect. */
  async listen(channel: string, callback: () => void): Promise<() => Promise<void>> {
    const set = this.#listeners.get(channel) ?? new Set()
    const isFirst = set.size === 0
    this.#listeners.set(channel, set.add(callback))
    const client = await this.#connected(`listen to ${channel}`)
    if (isFirst) await this.#inOrder(() => client.query(`LISTEN ${client.escapeIdentifier(channel)}`))
    return async () => {
      set.delete(callback)
      if (set.size > 0 || this.#listeners.get(channel) !== set) return
      this.#listeners.delete(channel)
      const current = await this.#client?.catch(() => null)
      if (current) await this.#inOrder(() => current.query(`UNLISTEN ${current.escapeIdentifier(channel)}`)).catch(() => undefined)
    }
  }

  /** One statement after the other: pg 8 queues them with a warning, and pg 9 will not. */
  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work, work)
    this.#last = done.catch(() => undefined)
    return done
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#retry) clearTimeout(this.#retry)
    const client = await this.#client?.catch(() => null)
    this.#client = null
    await client?.end()
  }

  async #connected(what: string): Promise<Client> {
    this.#client ??= this.#connect()
    const attempt = this.#client
    try {
      return await attempt
    } catch (error) {
      if (this.#client === attempt) this.#client = null
      throw toStoreError(error, what, false)
    }
  }

  async #connect(): Promise<Client> {
    const client = new Client({ ...configOf(this.#options, FOR_LEASES), application_name: `${this.#options.applicationName} control` })
    client.on('error', () => this.#drop(client))
    client.on('end', () => this.#drop(client))
    client.on('notification', ({ channel }) => this.#call(channel))
    await client.connect()
    for (const channel of this.#listeners.keys()) await client.query(`LISTEN ${client.escapeIdentifier(channel)}`)
    for (const channel of this.#listeners.keys()) this.#call(channel)
    return client
  }

  #call(channel: string): void {
    for (const callback of this.#listeners.get(channel) ?? []) callback()
  }

  /** Forgets a broken connection, and fetches a new one if somebody listens. */
  #drop(client: Client): void {
    const attempt = this.#client
    void attempt?.then(
      (current) => {
        if (current !== client || this.#client !== attempt) return
        this.#client = null
        void client.end().catch(() => undefined)
        this.#reconnectSoon()
      },
      () => this.#reconnectSoon(),
    )
  }

  #reconnectSoon(): void {
    if (this.#isClosed || this.#retry || this.#listeners.size === 0) return
    this.#retry = setTimeout(() => {
      this.#retry = null
      this.#connected('listen').then(
        () => (this.#failures = 0),
        (error: Error) => {
          // Twice a second: the first, second, fourth … is news.
          if ((++this.#failures & (this.#failures - 1)) === 0)
            this.#options.log.warn({ event: 'database.no_notifications', error: error.message }, 'the connection for notifications is away')
          this.#reconnectSoon()
        },
      )
    }, RECONNECT_MS)
    this.#retry.unref()
  }
}

const RECONNECT_MS = 500
