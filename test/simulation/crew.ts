import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import type { Done, Job } from './work.ts'

/** Processes that run worlds, one each at a time. */
export interface Crew {
  readonly size: number
  /** Waits for a free process. @throws {Error} what the world could not be run for; a world that never ends says so in its violations */
  run(job: Job): Promise<Done>
  close(): void
}

/** A world takes less than a second; what runs for this long goes round in circles. */
const PATIENCE_MS = 40_000
const HANGS = `it went round in circles for ${PATIENCE_MS / 1_000} s`

/** @param env of the processes, beside ours; what a world does must not depend on it */
export const makeCrew = (size: number, env: Readonly<Record<string, string>> = {}): Crew => {
  const idle: ChildProcess[] = []
  const all = new Set<ChildProcess>()
  const waiting: (() => void)[] = []

  const hire = (): ChildProcess => {
    const child = fork(new URL('worker.ts', import.meta.url), { execArgv: [], env: { ...process.env, ...env } })
    all.add(child)
    child.once('exit', () => all.delete(child))
    return child
  }

  const free = async (): Promise<ChildProcess> => {
    for (;;) {
      const child = idle.pop() ?? (all.size < size ? hire() : null)
      if (child?.connected) return child
      if (!child) await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }

  return {
    size,
    async run(job) {
      const child = await free()
      try {
        return await ask(child, job)
      } finally {
        if (child.connected) idle.push(child)
        waiting.shift()?.()
      }
    },
    close() {
      for (const child of all) child.kill('SIGKILL')
    },
  }
}

const ask = (child: ChildProcess, job: Job): Promise<Done> =>
  new Promise((resolve, reject) => {
    const settle = (say: () => void): void => {
      clearTimeout(patience)
      child.removeAllListeners('message').removeListener('exit', died)
      say()
    }
    const died = (code: number | null, signal: string | null): void =>
      settle(() => reject(new Error(`the process that ran seed ${job.seed} ended with ${signal ?? code}`)))
    const patience = setTimeout(
      () =>
        settle(() => {
          child.disconnect()
          child.kill('SIGKILL')
          resolve({ ran: { seed: job.seed, trace: '', violations: [HANGS], counts: {} }, events: [] })
        }),
      PATIENCE_MS,
    )
    child.once('exit', died)
    child.once('message', (answer: { done: Done } | { error: string }) =>
      settle(() => ('done' in answer ? resolve(answer.done) : reject(new Error(answer.error)))),
    )
    child.send(job)
  })
