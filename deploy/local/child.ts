/**
 * A child process of the local stack: in a session of its own (so that Ctrl-C in the terminal reaches only us, who stop things in
 * order), its output in a file, watched (watchdog.ts).
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as after } from 'node:timers/promises'
import { unwatch, watch } from './watchdog.ts'

export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

export type Child = {
  readonly pid: number
  readonly exited: Promise<Exit>
  running(): boolean
  signal(signal: NodeJS.Signals): void
  /** Sends each signal in turn until the child has ended, waiting `graceMs` after each. */
  end(steps: readonly { readonly signal: NodeJS.Signals; readonly graceMs: number }[]): Promise<Exit>
}

export type ChildSpec = {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  /** appended to */
  readonly logFile: string
  /** what ends it when we are gone */
  readonly signalWhenWeAreGone: NodeJS.Signals
  /** called with each line of its stdout, which then does not go to the log file */
  readonly onLine?: (line: string) => void
}

/** A part of the local stack could not be started, or ended when it should not have. The message says how to mend it. */
export class LocalStackFault extends Error {
  readonly code = 'LOCAL_STACK'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LocalStackFault'
  }
}

const LOG_KEEP_BYTES = 32 * 1024 * 1024

const alive = new Map<Child, NodeJS.Signals>()
let ending = false

/** Whether endEverything() has been called: nothing is started any more. */
export const isEnding = (): boolean => ending

/** Ends every child, whatever stage of the start it belongs to, and refuses new ones. Each gets the signal that it gets when we are gone. */
export const endEverything = async (graceMs = 10_000): Promise<void> => {
  ending = true
  await Promise.all([...alive].map(([child, signal]) => child.end([{ signal, graceMs }])))
}

/** @throws {LocalStackFault} the command does not exist or may not be run, or everything is being ended */
export const startChild = async (spec: ChildSpec): Promise<Child> => {
  if (ending) throw new LocalStackFault(`${spec.name}: not started, everything is being ended`)
  mkdirSync(dirname(spec.logFile), { recursive: true })
  if (existsSync(spec.logFile) && statSync(spec.logFile).size > LOG_KEEP_BYTES) renameSync(spec.logFile, `${spec.logFile}.old`)
  const log = openSync(spec.logFile, 'a')
  const child = spawn(spec.command, [...spec.args], {
    detached: true,
    stdio: ['ignore', spec.onLine === undefined ? log : 'pipe', log],
    ...(spec.env === undefined ? {} : { env: spec.env }),
    ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    ...(spec.uid === undefined ? {} : { uid: spec.uid }),
    ...(spec.gid === undefined ? {} : { gid: spec.gid }),
  })
  const { pid } = child
  if (pid !== undefined) watch(pid, spec.signalWhenWeAreGone)
  closeSync(log)
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      if (pid !== undefined) unwatch(pid)
      resolve({ code, signal })
    })
  })
  if (pid === undefined) {
    const cause = await new Promise<Error>((resolve) => child.once('error', resolve))
    throw new LocalStackFault(`${spec.name}: cannot run ${spec.command}: ${cause.message}`, { cause })
  }
  child.on('error', () => undefined) // a signal that could not be sent: the child has just ended
  if (child.stdout !== null && spec.onLine !== undefined) createInterface({ input: child.stdout }).on('line', spec.onLine)
  const running = (): boolean => child.exitCode === null && child.signalCode === null
  const signal = (name: NodeJS.Signals): void => {
    if (running()) child.kill(name)
  }
  const end = async (steps: readonly { readonly signal: NodeJS.Signals; readonly graceMs: number }[]): Promise<Exit> => {
    for (const step of steps) {
      signal(step.signal)
      if (!(await tookTooLong(exited, step.graceMs))) break
    }
    signal('SIGKILL')
    return exited
  }
  const self: Child = { pid, exited, running, signal, end }
  alive.set(self, spec.signalWhenWeAreGone)
  void exited.then(() => alive.delete(self))
  return self
}

/** Whether `promise` is still open after `ms`. */
export const tookTooLong = async (promise: Promise<unknown>, ms: number): Promise<boolean> => {
  const timer = new AbortController()
  try {
    return await Promise.race([promise.then(() => false), after(ms, true, { signal: timer.signal, ref: true })])
  } finally {
    timer.abort()
  }
}

/** What a service that died said last: the text of its last error line, else its last line. */
export const lastWordsOf = (logFile: string): string => {
  const lines = tailOf(logFile, 50).split('\n')
  for (const line of lines.toReversed()) {
    const text = /^\{"level":"(?:error|fatal)".*"msg":"((?:[^"\\]|\\.)*)"\}$/.exec(line)?.[1]
    if (text !== undefined) return String(JSON.parse(`"${text}"`))
  }
  return lines.findLast((line) => line !== '' && !line.startsWith('Node.js v')) ?? 'nothing'
}

/** The last lines of a log, for the message about a child that died. */
export const tailOf = (logFile: string, lines = 12): string => {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch {
    return '' // it died before it wrote anything
  }
}
