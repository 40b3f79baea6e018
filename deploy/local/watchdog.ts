/**
 * Ends what we started when we cannot: after `kill -9` of this process nothing of the local stack goes on running.
 *
 * W1. Every long-lived child is written down here the moment it is started, and struck off when it has ended.
 * W2. The watchdog is a shell of its own session whose stdin is a pipe from us. End of file means that we are gone, however that
 *     came about; then it sends each pid left its signal, and SIGKILL to what is still there after ten seconds.
 * W3. A watchdog that dies is started again with the same list.
 *
 * A shell, because it costs 1 MB and 2 ms; prctl(PR_SET_PDEATHSIG) would need a helper as well and is Linux only.
 */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import type { Writable } from 'node:stream'

const SCRIPT = `
trap '' INT TERM HUP
list=
while read -r op pid signal; do
  case $op in
    +) list="$list $pid:$signal" ;;
    -) rest=; for entry in $list; do [ "\${entry%%:*}" = "$pid" ] || rest="$rest $entry"; done; list=$rest ;;
  esac
done
[ -n "$list" ] || exit 0
for entry in $list; do kill -s "\${entry##*:}" "\${entry%%:*}" 2>/dev/null; done
tries=0
while [ $tries -lt 50 ]; do
  alive=
  for entry in $list; do kill -0 "\${entry%%:*}" 2>/dev/null && alive=yes; done
  [ -n "$alive" ] || exit 0
  sleep 0.2
  tries=$((tries + 1))
done
for entry in $list; do kill -s KILL "\${entry%%:*}" 2>/dev/null; done
`

const watched = new Map<number, NodeJS.Signals>()
let shell: ChildProcessByStdio<Writable, null, null> | undefined

const tell = (line: string): void => {
  shell ??= startShell()
  shell.stdin.write(line)
}

const startShell = (): ChildProcessByStdio<Writable, null, null> => {
  const started = spawn('/bin/sh', ['-c', SCRIPT], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  started.stdin.on('error', () => undefined) // its end is handled below
  started.once('exit', () => {
    if (shell !== started) return
    shell = undefined
    for (const [pid, signal] of watched) tell(`+ ${pid} ${short(signal)}\n`)
  })
  // It must not keep us alive: that is the wrong way round.
  started.unref()
  const pipe: unknown = started.stdin
  if (hasUnref(pipe)) pipe.unref()
  return started
}

const hasUnref = (value: unknown): value is { unref: () => void } => typeof value === 'object' && value !== null && 'unref' in value

const short = (signal: NodeJS.Signals): string => signal.replace('SIG', '')

/** From now on `pid` ends with us, by `signal`. */
export const watch = (pid: number, signal: NodeJS.Signals): void => {
  watched.set(pid, signal)
  tell(`+ ${pid} ${short(signal)}\n`)
}

/** `pid` has ended: its number may soon be another process's. */
export const unwatch = (pid: number): void => {
  if (watched.delete(pid)) tell(`- ${pid}\n`)
}
