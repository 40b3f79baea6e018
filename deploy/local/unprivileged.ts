/** PostgreSQL refuses to run as root, and containers and CI machines run everything as root. */
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export type Unprivileged = {
  readonly uid: number
  readonly gid: number
  /** the command line to spawn instead of `command args` */
  command(command: string, args: readonly string[]): [string, ...string[]]
  readonly spawn: { readonly uid?: number; readonly gid?: number }
}

/**
 * Who PostgreSQL runs as: we ourselves, or, for root, the `postgres` or `nobody` of this machine.
 * With util-linux's setpriv that account keeps one of root's capabilities, passing by file permissions: a checkout below /root or
 * in a `mktemp -d` is readable by root alone. (no_setuid_fixup: otherwise access(2), by which initdb looks for its postgres, leaves the
 * capability out of account.)
 */
export const asUnprivileged = (): Unprivileged => {
  const uid = process.getuid?.() ?? 0
  const gid = process.getgid?.() ?? 0
  if (uid !== 0) return { uid, gid, command: (command, args) => [command, ...args], spawn: {} }
  const account = accountOf('postgres') ?? accountOf('nobody') ?? { uid: 65534, gid: 65534 }
  if (!hasCommand('setpriv')) return { ...account, command: (command, args) => [command, ...args], spawn: account }
  const flags = [
    `--reuid=${account.uid}`,
    `--regid=${account.gid}`,
    '--clear-groups',
    '--inh-caps=+dac_override',
    '--ambient-caps=+dac_override',
    '--securebits=+no_setuid_fixup',
  ]
  return { ...account, command: (command, args) => ['setpriv', ...flags, '--', command, ...args], spawn: {} }
}

const accountOf = (name: string): { uid: number; gid: number } | undefined => {
  if (!existsSync('/etc/passwd')) return undefined
  const fields = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))
    ?.split(':')
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])]
  return Number.isInteger(uid) && Number.isInteger(gid) ? { uid, gid } : undefined
}

const hasCommand = (name: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((dir) => dir !== '' && existsSync(join(dir, name)))
