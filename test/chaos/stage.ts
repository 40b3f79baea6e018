/**
 * The whole local system with a hand on everything between its parts: a broker and a database of our own, each behind a proxy, the
 * database's files on a volume of their own, and `npm start` on top of them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { startBroker } from '#deploy/local/broker.ts'
import type { Broker } from '#deploy/local/broker.ts'
import { freePort } from '#deploy/local/ports.ts'
import { startPostgres } from '#deploy/local/postgres.ts'
import type { Postgres } from '#deploy/local/postgres.ts'
import { tcpProxy } from '#test/tcp-proxy.ts'
import type { TcpProxy } from '#test/tcp-proxy.ts'
import { deploy } from '../e2e/deployment.ts'
import type { Deployment } from '../e2e/deployment.ts'
import { databaseProxy } from './database-proxy.ts'
import type { DatabaseProxy } from './database-proxy.ts'
import { mountVolume } from './volume.ts'
import type { Volume } from './volume.ts'

export interface Stage {
  readonly deployment: Deployment
  readonly broker: Broker
  readonly brokerProxy: TcpProxy
  readonly postgres: Postgres
  readonly database: DatabaseProxy
  /** or why there is none */
  readonly volume: Volume | string
  /** Puts everything away, whatever state it is in, but the logs where `keepsLogs` says so. @returns what did not end as it should */
  close(keepsLogs?: boolean): Promise<string[]>
  readonly logDir: string
}

const silent = (): void => undefined

/** @param release what `npm start` is told it is */
export const openStage = async (release: string): Promise<Stage> => {
  const dir = mkdtempSync(join(tmpdir(), 'unrip-chaos-'))
  const logDir = join(dir, 'services/logs')
  const undo: (() => Promise<void> | void)[] = []
  const close = async (keepsLogs = false): Promise<string[]> => {
    const faults: string[] = []
    for (const step of undo.splice(0).toReversed())
      await Promise.resolve()
        .then(step)
        .catch((error: unknown) => faults.push(error instanceof Error ? error.message : String(error)))
    rmSync(keepsLogs || faults.length > 0 ? join(dir, 'stack') : dir, { recursive: true, force: true })
    return faults
  }
  try {
    const stackDir = join(dir, 'stack')
    const volume = mountVolume(join(stackDir, 'postgres'))
    if (typeof volume !== 'string') undo.push(() => volume.unmount())
    const inner = { host: '127.0.0.1', port: await freePort() }
    const brokerProxy = await tcpProxy(inner)
    undo.push(() => brokerProxy.close())
    const proxied = { port: inner.port, advertised: brokerProxy.port }
    const [started, database] = await Promise.allSettled([
      startBroker({ dataDir: stackDir, log: silent, proxied }),
      startPostgres({ dataDir: stackDir, log: silent }),
    ])
    if (started.status === 'fulfilled') undo.push(() => started.value.stop())
    if (database.status === 'fulfilled') undo.push(() => database.value.stop())
    if (started.status === 'rejected') throw started.reason
    if (database.status === 'rejected') throw database.reason
    const [broker, postgres] = [started.value, database.value]
    await suitVolume(postgres.adminUrl)
    const adminUrl = new URL(postgres.adminUrl)
    const between = await databaseProxy({ host: adminUrl.hostname, port: Number(adminUrl.port) })
    undo.push(() => between.proxy.close())
    adminUrl.port = String(between.proxy.port)
    const deployment = await deploy({
      dataDir: join(dir, 'services'),
      env: {
        RELEASE: release,
        STRATEGY_OFFER_MARGIN_MS: '1500',
        KAFKA_BROKERS: `127.0.0.1:${brokerProxy.port}`,
        DATABASE_URL: adminUrl.href,
      },
      seenAt: { brokers: broker.brokers, database: postgres.adminUrl },
    })
    undo.push(async () => void (await deployment.stop()))
    return { deployment, broker, brokerProxy, postgres, database: between, volume, close, logDir }
  } catch (error) {
    await close()
    throw error
  }
}

/** Few segments of write-ahead log are kept, so that a full volume is soon felt. */
const suitVolume = async (url: string): Promise<void> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query("ALTER SYSTEM SET max_wal_size = '64MB'")
  await client.query('SELECT pg_reload_conf()')
  await client.end()
}
