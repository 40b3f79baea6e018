/** `npm run bench -- NAME`: one bench, in a process of its own. Benches print what they measured and assert nothing. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = dirname(fileURLToPath(import.meta.url))
const SUFFIX = '.bench.ts'
const names = readdirSync(here)
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => file.slice(0, -SUFFIX.length))

/** The first sentence of what its file says of it. */
const aboutOf = (name: string): string => {
  const [, comment = ''] = /^\/\*\*(.*?)\*\//s.exec(readFileSync(join(here, name + SUFFIX), 'utf8')) ?? []
  const text = comment.replaceAll(/\s+\*?\s*/g, ' ').replace(/^.*?`npm run bench -- [\w-]+`: /, '')
  return text.split(/\. |\.$/)[0]?.trim() ?? ''
}

const usage = (): string => `npm run bench -- NAME

Runs one bench and prints what it measured. Larger and smaller ones by environment variables, which each file names.

${names.map((name) => `  ${name.padEnd(13)}${aboutOf(name)}`).join('\n')}`

const run = (name: string): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join(here, name + SUFFIX)], { stdio: 'inherit' })
    // Ctrl-C reaches the bench too, which puts away what it has started.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void child.kill(signal))
    child.once('exit', (code) => resolve(code ?? 1))
  })

const { values, positionals } = parseArgs({ options: { help: { type: 'boolean', short: 'h', default: false } }, allowPositionals: true })
const [name] = positionals
if (values.help || name === undefined) process.stdout.write(`${usage()}\n`)
else if (names.includes(name)) process.exitCode = await run(name)
else {
  process.stderr.write(`no bench ${JSON.stringify(name)}: there are ${names.join(', ')}\n`)
  process.exitCode = 1
}
