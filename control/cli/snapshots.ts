import { InvalidArgumentError } from 'commander'
import type { Command } from 'commander'
import { CliFailure } from './failure.ts'
import { table } from './print.ts'

/** The stored state of services against the code at hand. `deploy/cli` passes it in. */
export interface Snapshots {
  check(query: { services: readonly string[]; limit: number; progress: (text: string) => void }): Promise<Checked>
  /** @throws {CliFailure} nothing was begun, or it goes on when it is given again */
  down(order: { service: string; to: readonly string[]; by: string; reason: string; progress: (text: string) => void }): Promise<TakenDown>
  close(): Promise<void>
}

export interface Checked {
  readonly services: readonly {
    readonly service: string
    readonly actors: number
    readonly timers: number
    readonly effects: number
    readonly parked: number
    readonly not_loadable: number
    /** `<kind> <version> <structure hash>` → actors */
    readonly structures: Readonly<Record<string, number>>
  }[]
  readonly findings: readonly {
    readonly service: string
    readonly lane: number
    readonly what: string
    readonly kind: string
    readonly key: string
    /** the timer's name, the effect's id, the parked turn; '' for a snapshot */
    readonly name: string
    readonly version: number
    readonly hash: string
    readonly reason: string
  }[]
  /** findings beyond the limit */
  readonly more: number
}

export interface TakenDown {
  readonly service: string
  /** kind → version; 0: the older release has none */
  readonly targets: Readonly<Record<string, number>>
  readonly actors: number
  readonly timers: number
  readonly effects: number
  readonly parked: number
}

interface Given {
  readonly under: Command
  readonly add: (usage: string, says: string, under: Command) => Command
  readonly print: (json: true | undefined, value: object, text: () => string) => void
  readonly progress: (text: string) => void
  readonly opened: () => Promise<Snapshots>
}

/** `unrip snapshots check` and `unrip snapshots down`. */
export const addSnapshots = ({ under, add, print, progress, opened }: Given): void => {
  const using = async <T>(use: (snapshots: Snapshots) => Promise<T>): Promise<T> => {
    const snapshots = await opened()
    return use(snapshots).finally(() => snapshots.close())
  }

  add('check', 'dry-runs everything stored through the code at hand; 0 when all of it would load: the gate of a deploy', under)
    .option('--service <name...>', 'of these services; without it all of them')
    .option('--limit <n>', 'name at most so many that would not load', count, 100)
    .action(async ({ json, service, limit }: { json?: true; service?: string[]; limit: number }) => {
      const checked = await using((snapshots) => snapshots.check({ services: service ?? [], limit, progress }))
      print(json, checked, () => tellChecked(checked))
      const failing = checked.services.reduce((sum, { not_loadable }) => sum + not_loadable, 0)
      if (failing > 0) throw new CliFailure('NOT_LOADABLE', `${failing} stored would not load with the code at hand`)
    })

  add('down', 'writes what a drained service has stored as an older release would have; run from the newer one', under)
    .requiredOption('--service <name>', 'whose lanes')
    .requiredOption('--to <target...>', 'a release that it ran, or KIND=VERSION for each kind')
    .requiredOption('--by <who>', 'who orders it; journalled')
    .requiredOption('--reason <why>', 'why; journalled')
    .action(async ({ json, ...order }: { json?: true; service: string; to: string[]; by: string; reason: string }) => {
      if (order.by.trim() === '' || order.reason.trim() === '') throw new CliFailure('USAGE', '--by and --reason must not be empty')
      const done = await using((snapshots) => snapshots.down({ ...order, progress }))
      const targets = Object.entries(done.targets).map(([kind, version]) => `${kind} ${version}`)
      print(
        json,
        done,
        () =>
          `${done.service}: ${done.actors} actors, ${done.timers} timers, ${done.effects} effects, ${done.parked} parked events are now as of ${targets.join(', ')}`,
      )
    })
}

const tellChecked = ({ services, findings, more }: Checked): string => {
  const counts = table(
    ['SERVICE', 'ACTORS', 'TIMERS', 'EFFECTS', 'PARKED', 'NOT LOADABLE'],
    services.map(({ service, actors, timers, effects, parked, not_loadable }) => [
      service,
      ...[actors, timers, effects, parked, not_loadable].map(String),
    ]),
  )
  if (findings.length === 0) return counts
  const named = table(
    ['SERVICE', 'LANE', 'ACTOR', 'WHAT', 'STORED BY', 'REASON'],
    findings.map(({ service, lane, kind, key, what, name, version, hash, reason }) => [
      service,
      String(lane),
      `${kind}/${key}`,
      name === '' ? what : `${what} ${name}`,
      version === 0 ? '-' : `${version} (${hash})`,
      reason,
    ]),
  )
  return `${counts}\n\n${named}${more === 0 ? '' : `\n… and ${more} more`}`
}

const count = (text: string): number => {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('must be a whole number from 1 to 99999')
  return Number(text)
}
