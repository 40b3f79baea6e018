import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startPostgres } from '#deploy/local/postgres.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'unrip-postgres-test-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const query = async (url: string, text: string): Promise<unknown[]> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

test('a second start in the same directory keeps port, password and rows', async () => {
  const first = await startPostgres({ dataDir, log: () => undefined })
  await query(first.adminUrl, 'CREATE TABLE kept AS SELECT 7 AS n')
  await first.stop()
  const second = await startPostgres({ dataDir, log: () => undefined })
  try {
    expect(second.adminUrl).toBe(first.adminUrl)
    expect(await query(second.adminUrl, 'SELECT n FROM kept')).toEqual([{ n: 7 }])
  } finally {
    await second.stop()
  }
})

test('what was committed before kill -9 of the postmaster is there after the restart, at the same address', async () => {
  const postgres = await startPostgres({ dataDir, log: () => undefined })
  try {
    await query(postgres.adminUrl, 'CREATE TABLE kept AS SELECT 7 AS n')
    expect(await postgres.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
    await postgres.restart()
    expect(await query(postgres.adminUrl, 'SELECT n FROM kept')).toEqual([{ n: 7 }])
  } finally {
    await postgres.stop()
  }
})

test('commits are flushed to disk, and the password is readable by its owner only', async () => {
  const postgres = await startPostgres({ dataDir, log: () => undefined })
  try {
    const settings = await query(
      postgres.adminUrl,
      "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit, current_setting('max_connections') AS max_connections",
    )
    expect(settings).toEqual([{ fsync: 'on', synchronous_commit: 'on', max_connections: '150' }])
    expect(statSync(join(dataDir, 'postgres/password')).mode & 0o777).toBe(0o600)
  } finally {
    await postgres.stop()
  }
})

test('a postmaster that ends by itself is reported, one that was stopped is not', async () => {
  const postgres = await startPostgres({ dataDir, log: () => undefined })
  const deaths: unknown[] = []
  const died = new Promise<void>((resolve) => {
    postgres.onDeath((exit) => {
      deaths.push(exit)
      resolve()
    })
  })
  process.kill(postgres.pid(), 'SIGKILL')
  await died
  await postgres.restart()
  await postgres.stop()
  expect(deaths).toEqual([{ code: null, signal: 'SIGKILL' }])
})
