#!/usr/bin/env node
import { join } from 'node:path'
import { unrip } from '#control/cli/unrip.ts'

// Not process.exit: a pipe may not have taken all of the output yet.
process.exitCode = await unrip(process.argv.slice(2), {
  // `npm start` keeps its run.json under the root, wherever this is typed.
  env: { DATA_DIR: join(import.meta.dirname, '../../.data'), ...process.env },
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  fetch,
  // Drivers of database and broker only where something is read from them.
  readings: async (sources) => (await import('./readings.ts')).readings(sources, process.env),
  dropDays: async (sources, keepDays) => (await import('./days.ts')).dropOldDays(sources, keepDays),
  snapshots: async (sources) => (await import('./snapshots.ts')).snapshots(sources, process.env),
})
