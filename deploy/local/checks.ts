/** What needs no test to run: types, lint, format, import arrows, unused exports and dependencies. */
import type { Job } from './jobs.ts'

export const CHECKS: readonly Job[] = [
  { name: 'types', command: 'tsc', args: ['--noEmit', '-p', '.'] },
  { name: 'lint', command: 'oxlint', args: ['--deny-warnings'] },
  { name: 'format', command: 'oxfmt', args: ['--check', '.'] },
  { name: 'import arrows and cycles', command: process.execPath, args: ['deploy/local/arrows.ts'] },
  { name: 'unused exports, dependencies', command: 'knip', args: ['--no-progress', '--no-config-hints'] },
]
