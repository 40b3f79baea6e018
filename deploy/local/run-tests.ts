/**
 * `npm test`: checks, unit, contracts and integration, simulation, end to end; all of it runs, whatever fails.
 * The last line is `N passed, N failed`, summed over the tests of every suite; a failed check is named in the line before it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { CHECKS } from './checks.ts'
import { endWithUs, lineOf, printOutcome, runJob, runJobs } from './jobs.ts'
import type { Outcome } from './jobs.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const SUITES = [
  { name: 'unit', project: 'unit' },
  { name: 'contracts and integration', project: 'int' },
  { name: 'simulation', project: 'sim' },
  { name: 'end to end', project: 'e2e' },
] as const
/** Fifteen minutes are promised; a suite that hangs is ended so that the line at the end still comes. */
const DEADLINE_MS = 14.5 * 60_000

const Report = z.looseObject({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  testResults: z.array(z.looseObject({ status: z.string(), assertionResults: z.array(z.looseObject({ status: z.string() })) })),
})

type Count = { readonly passed: number; readonly failed: number }

/** A file that could not even be loaded counts as one failed test, and so does a suite that wrote no report. */
const countOf = (file: string): Count => {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return { passed: 0, failed: 1 }
  }
  const { numPassedTests, numFailedTests, testResults } = Report.parse(JSON.parse(text))
  const unloaded = testResults.filter(
    (result) => result.status === 'failed' && !result.assertionResults.some(({ status }) => status === 'failed'),
  )
  return { passed: numPassedTests, failed: numFailedTests + unloaded.length }
}

const runSuite = async (suite: (typeof SUITES)[number], reports: string, timeoutMs: number): Promise<Outcome & Count> => {
  process.stdout.write(`\n=== ${suite.name}\n`)
  const report = join(reports, `${suite.project}.json`)
  const args = ['run', '--project', suite.project, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const outcome = await runJob({ name: suite.name, command: 'vitest', args, timeoutMs }, { root, live: true })
  const count = countOf(report)
  // A run that failed without a failed test (a leaked error, the deadline) is not to read as "0 failed".
  const failed = outcome.ok ? count.failed : Math.max(1, count.failed)
  return { ...outcome, passed: count.passed, failed }
}

endWithUs()
const began = performance.now()
const reports = mkdtempSync(join(tmpdir(), 'unrip-reports-'))
process.stdout.write('=== checks\n')
const checks = await runJobs(CHECKS, 2, { root }, printOutcome)
const suites: (Outcome & Count)[] = []
for (const suite of SUITES) suites.push(await runSuite(suite, reports, Math.max(1, DEADLINE_MS - (performance.now() - began))))
rmSync(reports, { recursive: true, force: true })

process.stdout.write('\n=== summary\n')
for (const suite of suites) process.stdout.write(`${lineOf(suite)}  ${suite.passed} passed, ${suite.failed} failed\n`)
const brokenChecks = checks.filter(({ ok }) => !ok)
process.stdout.write(
  brokenChecks.length === 0 ? 'every check passed\n' : `failed checks: ${brokenChecks.map(({ name }) => name).join(', ')}\n`,
)
const sum = (pick: (count: Count) => number): number => suites.reduce((total, suite) => total + pick(suite), 0)
process.stdout.write(`${sum(({ passed }) => passed)} passed, ${sum(({ failed }) => failed)} failed\n`)
process.exitCode = [...checks, ...suites].every(({ ok }) => ok) ? 0 : 1
