/** Broker and database for tests and benches: one pair, in a temporary directory, shared by everything in a vitest run. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker } from './broker.ts'
import type { Broker, LogLine } from './broker.ts'
import { startPostgres } from './postgres.ts'
import type { Postgres } from './postgres.ts'

/** Where they are: plain data, so that it can be handed to test workers. */
export type StackAddress = {
  /** `127.0.0.1:port` */
  readonly brokers: string
  /** superuser of database `unrip`, which holds nothing: tests create databases of their own */
  readonly adminUrl: string
}

export type Stack = StackAddress & { readonly broker: Broker; readonly postgres: Postgres; stop(): Promise<void> }

/** Starts a broker and a database of its own in a new temporary directory, which stop() removes. About 2 s. */
export const startStack = async (log: LogLine = () => undefined): Promise<Stack> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'unrip-stack-'))
  const [broker, postgres] = await Promise.allSettled([startBroker({ dataDir, log }), startPostgres({ dataDir, log })])
  const stop = async (): Promise<void> => {
    await Promise.all([broker, postgres].map((part) => (part.status === 'fulfilled' ? part.value.stop() : undefined)))
    rmSync(dataDir, { recursive: true, force: true })
  }
  if (broker.status === 'rejected' || postgres.status === 'rejected') {
    await stop()
    throw broker.status === 'rejected' ? broker.reason : (postgres as PromiseRejectedResult).reason
  }
  return { brokers: broker.value.brokers, adminUrl: postgres.value.adminUrl, broker: broker.value, postgres: postgres.value, stop }
}

declare module 'vitest' {
  interface ProvidedContext {
    stack: StackAddress
  }
}

/**
 * The shared pair. In a test of the projects int and e2e it is the one that test/global-setup.ts started; do not stop it, and name
 * topics and databases so that nobody else meets them. A test that kills its broker or database starts its own (startStack).
 */
export const ensureStack = async (): Promise<StackAddress> => {
  const { inject } = await import('vitest')
  const stack: StackAddress | undefined = inject('stack')
  if (stack === undefined) throw new Error('no shared stack in this project: only `int` and `e2e` tests have one')
  return stack
}
