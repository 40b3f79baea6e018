import { randomUUID } from 'node:crypto'
import { machinesOf, structureOf } from '#actors/runtime/machine/machines.ts'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import type { Finding } from '#actors/runtime/stored/snapshots-check.ts'
import { SnapshotCheck } from '#actors/runtime/stored/snapshots-check.ts'
import { NotTakenDown, takeDown } from '#actors/runtime/stored/snapshots-down.ts'
import { systemClock } from '#actors/runtime/system-clock.ts'
import { CliFailure } from '#control/cli/failure.ts'
import type { Sources } from '#control/cli/readings.ts'
import type { Checked, Snapshots } from '#control/cli/snapshots.ts'
import { printableUrl } from '#control/telemetry/redact.ts'
import { laneStore } from '#storage/lane-store.ts'
import { storeReads } from '#storage/reads.ts'
import type { StoreReads } from '#storage/reads.ts'
import { rewriting } from '#storage/rewriting.ts'
import { definitionOf } from './definitions.ts'

/**
 * What is stored against the code at hand: nothing but the database is needed, and no service is started.
 * @throws {CliFailure} nobody said where the database is
 */
export const snapshots = ({ database }: Sources, env: NodeJS.ProcessEnv, define = definitionOf): Snapshots => {
  if (database === undefined) throw new CliFailure('NO_DATABASE', 'set DATABASE_URL, or start with npm start')
  const reads = storeReads({ connectionString: database })
  const lanesOf = async (wanted: readonly string[]): Promise<Map<string, number>> => {
    const rows = await reads.lanes().catch((error: unknown) => {
      throw new CliFailure('NO_DATABASE', `${printableUrl(database)}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
    })
    const lanes = Map.groupBy(rows, ({ service }) => service)
    // Row security hides rows without a word: "none" must not mean "not for your eyes".
    if (lanes.size === 0) throw new CliFailure('SEES_NOTHING', `the role of ${printableUrl(database)} sees no lane of any service`)
    const missing = wanted.find((service) => !lanes.has(service))
    if (missing !== undefined)
      throw new CliFailure('NO_SUCH_SERVICE', `no service ${missing} is seen in the database; there are: ${[...lanes.keys()].join(', ')}`)
    return new Map(
      [...lanes].filter(([service]) => wanted.length === 0 || wanted.includes(service)).map(([service, own]) => [service, own.length]),
    )
  }
  return {
    check: async ({ services: wanted, limit, progress }) => {
      const services: Checked['services'][number][] = []
      const findings: Checked['findings'][number][] = []
      let more = 0
      for (const [service, lanes] of await lanesOf(wanted)) {
        const check = new SnapshotCheck(await define(service, env))
        let failing = 0
        const found = (lane: number, each: Finding): void => {
          failing++
          if (findings.length < limit) findings.push({ service, lane, ...each })
          else more++
        }
        await everyLane(reads, service, lanes, progress, (lane, rows) => check.look(rows).forEach((each) => found(lane, each)))
        for (const { lane, structure } of await reads.structures(service)) check.mark(structure).forEach((each) => found(lane, each))
        services.push({ service, ...check.counts, not_loadable: failing, structures: Object.fromEntries(check.structures) })
      }
      return { services, findings, more }
    },
    down: async ({ service, to, by, reason, progress }) => {
      const lanes = (await lanesOf([service])).get(service) ?? 0
      const definition = await define(service, env)
      const targets = await targetsOf(reads, definition, to)
      const options = { connectionString: database, applicationName: 'unrip snapshots down', log: { info: () => {}, warn: () => {} } }
      const [store, rewrite] = [laneStore(options), rewriting(options)]
      try {
        const counts = await takeDown(
          {
            definition,
            targets,
            store,
            lanes: { ...rewrite, stored: reads.stored, processes: reads.processes },
            clock: systemClock,
            process: randomUUID(),
            release: env['RELEASE'] || 'unrip snapshots down',
            by,
            reason,
            progress: ({ lane, actors }) => progress(`lane ${service}/${lane}: ${actors} actors taken down`),
          },
          lanes,
        )
        return { service, targets: Object.fromEntries(targets), ...counts }
      } catch (error) {
        throw error instanceof NotTakenDown ? new CliFailure('NOT_TAKEN_DOWN', error.message, { cause: error }) : error
      } finally {
        await Promise.all([store.close(), rewrite.close()])
      }
    },
    close: () => reads.close(),
  }
}

type Rows = Parameters<SnapshotCheck['look']>[0]
const TELL_EVERY_MS = 1_000

const everyLane = async (
  reads: StoreReads,
  service: string,
  lanes: number,
  progress: (text: string) => void,
  look: (lane: number, rows: Rows) => void,
): Promise<void> => {
  let seen = 0
  let toldMs = performance.now()
  for (let lane = 0; lane < lanes; lane++)
    await reads.stored(service, lane, async (page) => {
      for (const rows of page) look(lane, rows)
      seen += page.length
      if (performance.now() - toldMs < TELL_EVERY_MS) return
      toldMs = performance.now()
      progress(`${service}: ${seen} actors looked at`)
    })
}

/** `KIND=VERSION`s, or what a release ran: kinds that it did not have are taken down to 0. */
const targetsOf = async (reads: StoreReads, definition: ServiceDefinition, to: readonly string[]): Promise<Map<string, number>> => {
  const pairs = to.map((target) => /^([^=]+)=(\d+)$/.exec(target))
  if (pairs.every((pair) => pair !== null)) return new Map(pairs.map(([, kind = '', version]) => [kind, Number(version)]))
  const [release] = to
  if (release === undefined || to.length > 1) throw new CliFailure('USAGE', '--to wants one release, or KIND=VERSION for each kind')
  const known = await reads.releases(definition.name)
  const runs = known.find((each) => each.release === release)?.runs
  if (!runs)
    throw new CliFailure(
      'NO_SUCH_RELEASE',
      `${definition.name} has not run release ${release}; it has run: ${known.map((each) => each.release).join(', ') || 'none that is known'}`,
    )
  const ran = new Map(runs.map((structure) => structure.split(' ')).map(([kind = '', version]) => [kind, Number(version)]))
  const targets = new Map<string, number>()
  for (const [kind, machine] of machinesOf(definition)) {
    const version = ran.get(kind) ?? 0
    const found = machine.lineage.structureOf(version)
    if (version > machine.version)
      throw new CliFailure('NOT_TAKEN_DOWN', `release ${release} ran ${kind} ${version}, which is newer than ${machine.version}`)
    if (found && !runs.includes(structureOf(kind, found)))
      throw new CliFailure(
        'NOT_TAKEN_DOWN',
        `release ${release} ran another structure of ${kind} ${version} than ${found.hash}, which the code at hand leads to`,
      )
    if (version !== machine.version) targets.set(kind, version)
  }
  return targets
}
