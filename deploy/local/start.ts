/**
 * `npm start`: the whole system on this machine.
 *
 * N1. Whatever ends it (a fault at any step, Ctrl-C, SIGTERM, a closed terminal), nothing that it started goes on running; after
 *     kill -9 the watchdog sees to that.
 * N2. A first interrupt drains; npm forwards it, so two within a second are one; a later one ends everything at once.
 * N3. What cannot be started is one line that says what and how to mend it, and exit 1.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endEverything, LocalStackFault } from './child.ts'
import { lockDataDir } from './data-dir.ts'
import { readEnv, readOptions, USAGE } from './options.ts'
import type { Options, StartEnv } from './options.ts'
import { openScreen } from './screen.ts'
import type { Screen } from './screen.ts'
import { runSession } from './session.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const SAME_INTERRUPT_MS = 1_000

const main = async (): Promise<number> => {
  const asked = read(() => readOptions(process.argv.slice(2)))
  if (asked === undefined) return 1
  const screen = openScreen(asked.json)
  if (asked.help) {
    screen.note(USAGE)
    return 0
  }
  const env = read(() => readEnv(process.env))
  return env === undefined ? 1 : guarded(asked, env, screen)
}

const read = <T>(from: () => T): T | undefined => {
  try {
    return from()
  } catch (error) {
    process.stderr.write(`${wordsOf(error)}\n`)
    return undefined
  }
}

const guarded = async (options: Options, env: StartEnv, screen: Screen): Promise<number> => {
  let release: (() => void) | undefined
  const interrupts = listen(screen)
  try {
    release = lockDataDir(env.DATA_DIR)
    return await runSession({ root, options, env, screen, interrupted: interrupts.first, onRunning: interrupts.drainFromNowOn })
  } catch (error) {
    if (interrupts.seen()) return 0
    screen.fault(wordsOf(error))
    return 1
  } finally {
    await endEverything()
    release?.()
  }
}

/** While starting, an interrupt ends everything at once: nothing has been sent that the next start does not find again. */
const listen = (screen: Screen) => {
  const { promise: first, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let seenAt: number | undefined
  let running = false
  const interrupt = (signal: NodeJS.Signals): void => {
    if (seenAt === undefined) {
      seenAt = performance.now()
      resolve(signal)
      if (!running) void endEverything()
    } else if (performance.now() - seenAt > SAME_INTERRUPT_MS) {
      screen.fault(`second ${signal}: ending everything at once`)
      void endEverything(0).then(() => process.exit(130))
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  // Nobody reads us any more (a closed terminal, `| head`).
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => interrupt('SIGHUP'))
  return {
    first,
    seen: () => seenAt !== undefined,
    drainFromNowOn: () => {
      running = true
    },
  }
}

const wordsOf = (error: unknown): string => {
  if (error instanceof LocalStackFault) return error.message
  // An error of another room with a code of its own is told in its words; anything else is our bug, and its stack helps.
  if (error instanceof Error) return 'code' in error ? error.message : (error.stack ?? error.message)
  return String(error)
}

process.on('uncaughtException', (error) => {
  process.stderr.write(`${wordsOf(error)}\n`)
  void endEverything(2_000).then(() => process.exit(1))
})

process.exitCode = await main()
process.exit()
