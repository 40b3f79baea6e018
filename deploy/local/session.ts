/** One `npm start` from nothing to the end: what is started in which order, what ends it, how it is put away. */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createTopics } from '#bus/set-up.ts'
import { migrate } from '#storage/migrate.ts'
import { endEverything } from './child.ts'
import { forgetData, runFile } from './data-dir.ts'
import { startFleet } from './fleet.ts'
import type { Fleet } from './fleet.ts'
import { keepHouse } from './housekeeping.ts'
import type { Housekeeping } from './housekeeping.ts'
import { startInfrastructure } from './infrastructure.ts'
import type { Infrastructure } from './infrastructure.ts'
import { silentLog } from './kafka-client.ts'
import { VENUE_VARIABLES } from './options.ts'
import type { Options, StartEnv } from './options.ts'
import { textOf } from './quote-book.ts'
import type { QuoteLine } from './quote-book.ts'
import { followQuotes } from './quote-follower.ts'
import type { Follower } from './quote-follower.ts'
import { pastOf } from './quote-history.ts'
import { readyEvent, readyText } from './ready.ts'
import type { Screen } from './screen.ts'
import { checkServiceConfigs } from './service-configs.ts'
import { controlPorts } from './services.ts'
import { simulatedVenues } from './simulators.ts'
import type { Change } from './supervisor.ts'
import { openGoal, STALLED_MS, summaryText } from './tally.ts'
import type { Goal } from './tally.ts'

export type SessionSpec = {
  readonly root: string
  readonly options: Options
  readonly env: StartEnv
  readonly screen: Screen
  /** resolves with the signal that asks us to end */
  readonly interrupted: Promise<NodeJS.Signals>
  /** called when everything runs: from then on an interrupt drains instead of ending at once */
  readonly onRunning: () => void
}

/** @returns the exit code. @throws {LocalStackFault} something could not be started; the caller ends what is left */
export const runSession = async (spec: SessionSpec): Promise<number> => {
  const { options, env, screen } = spec
  const running = await startAll(spec)
  const { goal, infrastructure } = running
  const end = await Promise.race([
    spec.interrupted.then(() => 'interrupted' as const),
    goal.reached.then(() => 'reached' as const),
    goal.stalled.then(() => 'stalled' as const),
    ...(infrastructure.simulators === undefined ? [] : [infrastructure.simulators.died]),
  ])
  goal.stop()
  if (end === 'interrupted' || end === 'reached') screen.note('draining the services ...')
  else if (end !== 'stalled') screen.fault(end)
  else
    screen.fault(`no quote has settled for ${STALLED_MS / 1000} s (${goal.settled()} of ${options.quotes} have): see ${env.DATA_DIR}/logs`)
  const clean = await putAway(running, spec)
  return clean && (end === 'reached' || (end === 'interrupted' && options.quotes === undefined)) ? 0 : 1
}

type Running = {
  readonly infrastructure: Infrastructure
  readonly fleet: Fleet
  readonly follower: Follower
  readonly goal: Goal
  readonly run: ReturnType<typeof runFile>
  readonly housekeeping: Housekeeping
}

const startAll = async ({ root, options, env, screen, onRunning }: SessionSpec): Promise<Running> => {
  const began = performance.now()
  await checkServiceConfigs(root, process.env)
  const ports = await controlPorts(env)
  if (options.fresh) await forgetData(env.DATA_DIR)
  mkdirSync(join(env.DATA_DIR, 'logs'), { recursive: true })
  const infrastructure = await startInfrastructure(root, env, screen)
  const roleUrls = await prepare(infrastructure, env)
  const goal = openGoal(options.quotes)
  const run = runFile(env.DATA_DIR)
  const early: QuoteLine[] = []
  const ready: { fleet?: Fleet } = {}

  const print = (line: QuoteLine): void => screen.event(line, textOf(line))
  const onLine = (line: QuoteLine): void => {
    goal.count(line)
    // The table comes first.
    if (ready.fleet === undefined) early.push(line)
    else print(line)
  }
  const onChange = ({ why, ...change }: Change): void => {
    screen.event({ event: 'service', ...change }, `${change.name} ${change.state} (${why})`)
    if (ready.fleet !== undefined) run.write(readyEvent(ready.fleet, infrastructure, env))
  }
  const allSimulated = simulatedVenues(env).length === VENUE_VARIABLES.length
  const shared = {
    brokers: infrastructure.brokers,
    release: env.RELEASE ?? commitOf(root),
    venues: infrastructure.simulators?.env ?? {},
    allSimulated,
    compileCache: join(root, '.cache/node'),
  }
  const [follower, fleet] = await Promise.all([
    followQuotes(infrastructure.brokers, (quoteId) => pastOf(roleUrls['operator'] ?? infrastructure.adminUrl, quoteId), onLine),
    startFleet({ root, env, ports, roleUrls, shared, onChange }),
  ])
  const arms = allSimulated && !options.disarmed
  const [looks] = await Promise.all([fleet.untilReady(), arms ? fleet.arm() : undefined])
  ready.fleet = fleet
  run.write(readyEvent(fleet, infrastructure, env))
  screen.event(readyEvent(fleet, infrastructure, env), readyText(fleet, looks, arms, performance.now() - began))
  early.forEach(print)
  const housekeeping = keepHouse(infrastructure.adminUrl, env.JOURNAL_KEEP_DAYS, screen)
  onRunning()
  goal.start()
  return { infrastructure, fleet, follower, goal, run, housekeeping }
}

/** Services first, the venues' verdict when those are silent, then what they stood on. @returns whether all of it was as it should be */
const putAway = async (
  { infrastructure, fleet, follower, goal, run, housekeeping }: Running,
  { screen }: SessionSpec,
): Promise<boolean> => {
  const forced = await fleet.drain(infrastructure.brokers)
  if (forced.length > 0) screen.fault(`did not drain within 15 s and were ended: ${forced.join(', ')}`)
  const violations = await violationsOf(infrastructure, screen)
  await follower.stop().catch(() => undefined) // its broker may be the one that died
  await housekeeping.stop()
  const summary = goal.summary(violations)
  screen.event(summary, summaryText(summary))
  await infrastructure.stop()
  await endEverything()
  run.remove()
  return forced.length === 0 && (violations === 0 || infrastructure.simulators === undefined)
}

/** Topics and tables, before any service looks for them. */
const prepare = async ({ brokers, adminUrl }: Infrastructure, env: StartEnv): Promise<Readonly<Record<string, string>>> => {
  const [{ roleUrls }] = await Promise.all([
    migrate({ adminUrl, lanes: env.LANES, log: silentLog }),
    createTopics({ brokers, lanes: env.LANES, log: silentLog }),
  ])
  return roleUrls
}

/** A release that nobody can name is always a new one. */
const commitOf = (root: string): string => {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return randomUUID()
  }
}

const violationsOf = async ({ simulators }: Infrastructure, screen: Screen): Promise<number | null> => {
  if (simulators === undefined) return null
  try {
    const { violations, body } = await simulators.report()
    if (violations > 0) screen.fault(`the simulated venues counted ${violations} violations: ${JSON.stringify(body)}`)
    return violations
  } catch (error) {
    screen.fault(`the simulated venues did not report: ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}
