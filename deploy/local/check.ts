/** `npm run check`: the checks and the unit tests. Under a minute; all of it runs, whatever fails. */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CHECKS } from './checks.ts'
import { endWithUs, printOutcome, runJobs } from './jobs.ts'
import type { Job } from './jobs.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
// First, because it takes longest.
const unitTests: Job = { name: 'unit tests', command: 'vitest', args: ['run', '--project', 'unit', '--reporter=minimal'] }

endWithUs()
const outcomes = await runJobs([unitTests, ...CHECKS], 2, { root }, printOutcome)
const failed = outcomes.filter(({ ok }) => !ok)
process.stdout.write(failed.length === 0 ? 'check passed\n' : `check failed: ${failed.map(({ name }) => name).join(', ')}\n`)
process.exitCode = failed.length === 0 ? 0 : 1
