import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { startChild, tailOf } from '#deploy/local/child.ts'
import { freePort } from '#deploy/local/ports.ts'
import type { ServiceName } from '#machines/contracts/services.ts'
import { controlAt } from './control.ts'
import type { Deployment } from './deployment.ts'

export interface Twin {
  /** @throws {Error} it did not end in order */
  drain(): Promise<void>
}

const RUNS_WITHIN_MS = 30_000

/** A second process of a running service, with the same environment; it takes its share of the lanes, or all that are free. Linux. */
export const twinOf = async ({ pid, dataDir }: Deployment, service: ServiceName): Promise<Twin> => {
  const environment = Object.fromEntries(
    wordsOf(`/proc/${pid(service)}/environ`)
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  const [command = process.execPath, ...args] = wordsOf(`/proc/${pid(service)}/cmdline`).filter((word) => word !== '')
  const port = await freePort()
  const logFile = join(dataDir, 'logs', `${service}-second.log`)
  const child = await startChild({
    name: `a second ${service}`,
    command,
    args,
    env: { ...environment, CONTROL_PORT: String(port) },
    logFile,
    signalWhenWeAreGone: 'SIGKILL',
  })
  const control = controlAt(`http://127.0.0.1:${port}`)
  const deadline = performance.now() + RUNS_WITHIN_MS
  while ((await control.state())?.lifecycle !== 'running') {
    if (!child.running() || performance.now() > deadline) {
      await child.end([])
      throw new Error(`the second process of ${service} does not run: ${tailOf(logFile)}`)
    }
    await after(25)
  }
  return {
    drain: async () => {
      // Its answer may be cut off by its end.
      await control.order('/drain').catch(() => undefined)
      const { code, signal } = await child.end([{ signal: 'SIGTERM', graceMs: 15_000 }])
      if (code !== 0) throw new Error(`the second process of ${service} ended with ${signal ?? code} after its drain: ${tailOf(logFile)}`)
    },
  }
}

const wordsOf = (file: string): string[] => readFileSync(file, 'utf8').split('\0')
