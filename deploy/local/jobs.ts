/** Commands of `npm run check` and `npm test`: run with a line each as they end, the output of what failed in full. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, join } from 'node:path'
import { unwatch, watch } from './watchdog.ts'

export type Job = { readonly name: string; readonly command: string; readonly args: readonly string[]; readonly timeoutMs?: number }
export type Outcome = { readonly name: string; readonly ok: boolean; readonly output: string; readonly ms: number }

type RunOptions = {
  readonly root: string
  /** pass the command's output on as it comes */
  readonly live?: boolean
}

const children = new Set<ChildProcess>()

/** An interrupted run leaves nothing running, and is not a passed one. */
export const endWithUs = (): void => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      process.exitCode = 130
      const ends = [...children].map((child) => once(child, 'close'))
      for (const child of children) child.kill('SIGTERM')
      void Promise.all(ends).then(() => process.exit(130))
    })
  }
}

export const runJob = ({ name, command, args, timeoutMs }: Job, { root, live = false }: RunOptions): Promise<Outcome> =>
  new Promise((resolve) => {
    const began = performance.now()
    const path = [join(root, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter)
    const child = spawn(command, [...args], {
      cwd: root,
      stdio: live ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...(live && process.stdout.isTTY ? {} : { NO_COLOR: '1', FORCE_COLOR: undefined }), PATH: path },
    })
    const { pid } = child
    if (pid !== undefined) {
      children.add(child)
      watch(pid, 'SIGTERM')
    }
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGTERM'), timeoutMs)
    let output = ''
    const collect = (chunk: unknown): void => void (output += String(chunk))
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    const done = (ok: boolean): void => {
      clearTimeout(timer)
      children.delete(child)
      if (pid !== undefined) unwatch(pid)
      resolve({ name, ok, output, ms: performance.now() - began })
    }
    child.once('error', (error) => {
      output += error.message
      done(false)
    })
    child.once('close', (code) => done(code === 0))
  })

/** At most `atOnce` at a time, in their order; `onEnd` is called as each ends. */
export const runJobs = async (
  jobs: readonly Job[],
  atOnce: number,
  options: RunOptions,
  onEnd: (outcome: Outcome) => void,
): Promise<Outcome[]> => {
  const waiting = [...jobs]
  const outcomes: Outcome[] = []
  const worker = async (): Promise<void> => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      const outcome = await runJob(job, options)
      outcomes.push(outcome)
      onEnd(outcome)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return outcomes
}

export const lineOf = ({ name, ok, ms }: Outcome): string =>
  `${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(28)} ${(ms / 1000).toFixed(1).padStart(6)} s`

/** One line, and all that a failed job said. */
export const printOutcome = (outcome: Outcome): void => {
  process.stdout.write(`${lineOf(outcome)}\n`)
  if (!outcome.ok) process.stdout.write(`${outcome.output.trimEnd()}\n`)
}
