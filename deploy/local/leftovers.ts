/** The child of an earlier run that was ended by force and may still be on its way out: two JVMs or postmasters in one directory would refuse each other. */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as after } from 'node:timers/promises'

/** Notes the process that uses a directory. */
export const notePid = (file: string, pid: number): void => writeFileSync(file, `${pid}\n`)

export const forgetPid = (file: string): void => rmSync(file, { force: true })

/**
 * Waits until the process noted in `file` is gone; its watchdog is ending it. After ten seconds it is killed.
 * @param mark a text in its command line, so that a pid given to somebody else is left alone
 */
export const waitForLeftover = async (file: string, mark: string): Promise<void> => {
  const pid = readPid(file)
  if (pid === undefined) return
  const deadline = Date.now() + 10_000
  while (commandOf(pid).includes(mark)) {
    if (Date.now() > deadline) {
      process.kill(pid, 'SIGKILL')
      break
    }
    await after(50)
  }
  forgetPid(file)
}

const readPid = (file: string): number | undefined => {
  try {
    const pid = Number(readFileSync(file, 'utf8'))
    return Number.isInteger(pid) && pid > 1 ? pid : undefined
  } catch {
    return undefined
  }
}

/** The command line of a process, empty where it has ended. */
export const commandOf = (pid: number): string => {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    } catch {
      return ''
    }
  }
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
  } catch {
    return ''
  }
}
