import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { z } from 'zod'

const root = join(import.meta.dirname, '../../..')
const run = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
  const file = join(root, 'deploy/cli/unrip.ts')
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [file, ...args], { env: { DATA_DIR: '/nonexistent' } })) }
  } catch (error) {
    return z.object({ code: z.number(), stdout: z.string(), stderr: z.string() }).parse(error)
  }
}

test('as a process it ends with 0, 1 or 2, and with --json an error is JSON on stdout', { timeout: 60_000 }, async () => {
  const [help, nowhere, unknown] = await Promise.all([run('--help'), run('status', '--json'), run('armm')])
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('dead-letters'), stderr: '' })
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringMatching(/^unrip: \/nonexistent\/run\.json is not there/) })
  expect(JSON.parse(nowhere.stdout)).toMatchObject({ error: { code: 'NOT_RUNNING' } })
  expect(unknown.code).toBe(2)
})

test('npx finds it: package.json names a file that may be executed and that asks for node', async () => {
  const { bin } = z.object({ bin: z.object({ unrip: z.string() }) }).parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')))
  const file = join(root, bin.unrip)
  accessSync(file, constants.X_OK)
  expect(await readFile(file, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
})
