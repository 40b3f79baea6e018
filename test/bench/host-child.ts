import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { HostCommand, HostReport } from './host-process.ts'

export interface HostChild {
  readonly pid: number
  /** One command at a time. @throws the process has ended */
  ask(command: Exclude<HostCommand, { do: 'stop' }>): Promise<HostReport>
  /** Drains. */
  stop(): Promise<void>
  /** kill -9. */
  kill(): Promise<void>
}

const script = fileURLToPath(import.meta.resolve('./host-process.ts'))

export const hostChild = (): HostChild => {
  const child = fork(script, { execArgv: ['--expose-gc'], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = once(child, 'exit')
  return {
    pid: child.pid ?? 0,
    ask: async (command) => {
      child.send(command)
      const died = ended.then(([code, signal]) => {
        throw new Error(`the host's process ended with ${signal ?? code}`)
      })
      const [answer] = await Promise.race([once(child, 'message'), died])
      return answer as HostReport
    },
    stop: async () => {
      child.send({ do: 'stop' } satisfies HostCommand)
      await ended
    },
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
