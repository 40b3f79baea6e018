import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test, vi } from 'vitest'
import { commandOf } from '#deploy/local/leftovers.ts'

/** Starts a database, prints its postmaster's pid, and waits. */
const PARENT = `
import { startPostgres } from '#deploy/local/postgres.ts'
const postgres = await startPostgres({ dataDir: process.argv[1], log: () => undefined })
console.log(postgres.pid())
setInterval(() => undefined, 1_000_000)
`

test('kill -9 of the process that started the database ends the database', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'unrip-watchdog-test-'))
  const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line]: unknown[] = await once(createInterface({ input: parent.stdout }), 'line')
    expect(commandOf(Number(line))).toContain(dataDir)
    parent.kill('SIGKILL')
    await vi.waitFor(() => expect(commandOf(Number(line))).not.toContain(dataDir), { timeout: 10_000 })
  } finally {
    parent.kill('SIGKILL')
    rmSync(dataDir, { recursive: true, force: true })
  }
})
