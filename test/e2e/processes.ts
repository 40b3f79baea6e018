import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

export interface Process {
  readonly pid: number
  readonly command: string
}

/** Every process but this one whose command line or environment holds `mark`: what a deployment has started, however it was detached. */
export const processesWith = (mark: string): Process[] => (process.platform === 'linux' ? fromProc(mark) : fromPs(mark))

const fromProc = (mark: string): Process[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => ({ pid: Number(name), command: textOf(`/proc/${name}/cmdline`), environment: textOf(`/proc/${name}/environ`) }))
    .filter(({ command, environment }) => command.includes(mark) || environment.includes(mark))
    .map(({ pid, command }) => ({ pid, command }))

/** Empty for a process that has just ended, and for somebody else's. */
const textOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

const fromPs = (mark: string): Process[] =>
  execFileSync('ps', ['-Eaxww', '-o', 'pid=,command='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(mark))
    .map((line) => ({ pid: Number.parseInt(line, 10), command: line.trim().replace(/^\d+\s+/, '') }))
    .filter(({ pid }) => pid !== process.pid)
