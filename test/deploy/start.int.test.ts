import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '#deploy/local/ports.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'unrip-start-test-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string }

const start = (env: Record<string, string>, ...args: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, 'deploy/local/start.ts'), ...args],
      { cwd: root, env: { ...process.env, DATA_DIR: dataDir, CONTROL_BASE_PORT: '0', ...env }, timeout: 50_000 },
      (error, stdout, stderr) => resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr }),
    )
  })

const listening = async (): Promise<{ server: Server; port: number }> => {
  const server = createServer()
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return { server, port }
}

test('--help tells the options and starts nothing', async () => {
  const { code, stdout } = await start({}, '--help')
  expect(code).toBe(0)
  expect(stdout).toContain('--quotes N')
})

test('an unknown option is one line on stderr and exit 1', async () => {
  const { code, stdout, stderr } = await start({}, '--quote', '5', '--json')
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toContain("'--quote'")
})

test('a malformed variable is named on one line, with exit 1', async () => {
  const { code, stdout, stderr } = await start({ STRATEGY_THRESHOLD_BPS: 'two percent' }, '--json')
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toContain('STRATEGY_THRESHOLD_BPS (it is "two percent")')
})

test('a taken control port is named with its service on one line, with exit 1', async () => {
  const { server, port } = await listening()
  try {
    const { code, stderr } = await start({ CONTROL_BASE_PORT: String(port) })
    expect(code).toBe(1)
    expect(stderr.trim()).toMatch(new RegExp(`^port ${port} on 127.0.0.1 \\(control API of near-intents-ingest\\) is taken: .*$`))
  } finally {
    server.close()
  }
})

test('a broker that cannot be reached is named on one line, with exit 1', async () => {
  const brokers = `127.0.0.1:${await freePort()}`
  const { code, stderr } = await start({ KAFKA_BROKERS: brokers })
  expect(code).toBe(1)
  expect(stderr.trim()).toMatch(new RegExp(`^no Kafka broker answers at KAFKA_BROKERS=${brokers} \\(.*\\): .*$`))
})

test('a database that cannot be reached is named on one line without its password, with exit 1', async () => {
  const host = `127.0.0.1:${await freePort()}`
  const { code, stderr } = await start({ DATABASE_URL: `postgres://unrip:hidden@${host}/unrip` })
  expect(code).toBe(1)
  expect(stderr.trim()).toMatch(new RegExp(`^PostgreSQL at ${host} \\(DATABASE_URL\\) does not let us in \\(.*\\): .*$`))
  expect(stderr).not.toContain('hidden')
})
