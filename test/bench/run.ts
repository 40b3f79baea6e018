/** `npm run bench -- NAME`: one bench, in a process of its own. Benches print what they measured and assert nothing. */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = dirname(fileURLToPath(import.meta.url))
const SUFFIX = '.bench.ts'
const names = readdirSync(here)
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => file.slice(0, -SUFFIX.length))
const usage = `npm run bench -- NAME

Runs one bench and prints what it measured. Names: ${names.join(', ')}`

const run = (name: string): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join(here, name + SUFFIX)], { stdio: 'inherit' })
    // Ctrl-C reaches the bench too, which puts away what it has started.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void child.kill(signal))
    child.once('exit', (code) => resolve(code ?? 1))
  })

const { values, positionals } = parseArgs({ options: { help: { type: 'boolean', short: 'h', default: false } }, allowPositionals: true })
const [name] = positionals
if (values.help || name === undefined) process.stdout.write(`${usage}\n`)
else if (names.includes(name)) process.exitCode = await run(name)
else {
  process.stderr.write(`no bench ${JSON.stringify(name)}: there are ${names.join(', ')}\n`)
  process.exitCode = 1
}
