/**
 * One service's process: started, started again when it dies, drained at the end.
 *
 * V1. Dead by anything but a drain: started again at once, and no later than a second after its end.
 * V2. Ended with 0: it was drained, and stays down.
 */
import { setTimeout as after } from 'node:timers/promises'
import { lastWordsOf, startChild, tookTooLong } from './child.ts'
import type { Child, Exit } from './child.ts'
import { controlClient } from './control-client.ts'
import type { ControlClient } from './control-client.ts'
import type { ServiceName } from '#machines/contracts/services.ts'

export type ServiceSpec = {
  readonly name: ServiceName
  readonly main: string
  readonly env: NodeJS.ProcessEnv
  readonly url: string
  readonly token: string | undefined
  readonly cwd: string
  readonly logFile: string
}

export type Change = {
  readonly name: ServiceName
  readonly state: 'restarted' | 'drained' | 'died'
  readonly url: string
  readonly pid: number
  readonly why: string
}

export type Supervised = {
  readonly name: ServiceName
  readonly control: ControlClient
  readonly pid: () => number
  /** drained: it ended by itself and will not be started again */
  readonly isDown: () => boolean
  /** how often it has died */
  readonly deaths: () => number
  /** for the message about one that does not come up */
  readonly lastWords: () => string
  /** Drain order, then SIGTERM, then SIGKILL. Whether it ended by itself. */
  drain(withinMs: number): Promise<boolean>
}

/** Waits before a restart by the number of quick deaths in a row: always within a second. */
const BACKOFF_MS = [0, 100, 250, 500, 800]
const QUICK_MS = 2_000

/** @param isStopping true from the moment on when nothing is to be started again */
export const supervise = async (spec: ServiceSpec, onChange: (change: Change) => void, isStopping: () => boolean): Promise<Supervised> => {
  let child: Child
  let down = false
  let deaths = 0
  let quickDeaths = 0
  let startedAt = 0
  const change = (state: Change['state'], why: string): void => onChange({ name: spec.name, state, url: spec.url, pid: child.pid, why })

  const start = async (): Promise<void> => {
    startedAt = performance.now()
    child = await startChild({
      name: spec.name,
      command: process.execPath,
      args: [spec.main],
      env: spec.env,
      cwd: spec.cwd,
      logFile: spec.logFile,
      // Any process may die at any instruction: when we are gone there is nobody left to drain for.
      signalWhenWeAreGone: 'SIGKILL',
    })
    const mine = child
    void mine.exited.then((exit) => ended(exit))
  }

  const ended = async (exit: Exit): Promise<void> => {
    if (isStopping()) return
    if (exit.code === 0) {
      down = true
      change('drained', 'it ended itself')
      return
    }
    deaths += 1
    quickDeaths = performance.now() - startedAt < QUICK_MS ? quickDeaths + 1 : 0
    change('died', wordsOf(exit))
    await after(BACKOFF_MS[Math.min(quickDeaths, BACKOFF_MS.length - 1)])
    if (isStopping()) return
    await start()
    change('restarted', wordsOf(exit))
  }

  await start()
  const control = controlClient(spec.url, spec.token)
  return {
    name: spec.name,
    control,
    pid: () => child.pid,
    isDown: () => down,
    deaths: () => deaths,
    lastWords: () => `${lastWordsOf(spec.logFile)} (${spec.logFile})`,
    drain: async (withinMs) => {
      if (!child.running()) return true
      const order = control.order('/drain', 'npm start ends')
      const late = await tookTooLong(Promise.race([child.exited, order.then((answer) => (answer.ok ? child.exited : undefined))]), withinMs)
      if (late || child.running()) {
        await child.end([{ signal: 'SIGTERM', graceMs: 3_000 }])
        return false
      }
      return true
    },
  }
}

const wordsOf = ({ code, signal }: Exit): string => (signal === null ? `exit code ${code}` : signal)
