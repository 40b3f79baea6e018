/** The faults of a plan, one after another, each followed by as long as the system needs to be whole again. */
import { setTimeout as after } from 'node:timers/promises'
import type { Deployment } from '../e2e/deployment.ts'
import { emptied } from '../e2e/emptied.ts'
import { envelopeOf } from '../e2e/topic-log.ts'
import { perform } from './faults.ts'
import type { Performed } from './faults.ts'
import type { Step } from './plan.ts'
import type { Stage } from './stage.ts'
import { killAndWatch } from './takeover.ts'
import type { Takeover } from './takeover.ts'
import { notRunning } from './verdict.ts'

/** One step of the plan, as it went. */
export interface Ran {
  readonly step: Step
  readonly outcome: 'done' | 'skipped'
  /** why it was skipped */
  readonly why: string | null
  /** of the lanes whose owner was killed, with nothing else in the way */
  readonly takeovers: readonly Takeover[]
  /** from the end of the fault until every service is ready, every lane has an owner, and a demand has come all the way, ms */
  readonly wholeAfterMs: number
  /** what was not whole after all that time, or could not be undone */
  readonly stuck: readonly string[]
}

const RATE = 4
const DECISIONS = 'decision.trade_decision'
const WHOLE_WITHIN_MS = 45_000

/** @param ending asked before each step. A step that has begun is carried through. @param onRan told of each step in turn */
export const runPlan = async (stage: Stage, plan: readonly Step[], ending: () => boolean, onRan: (ran: Ran) => void): Promise<Ran[]> => {
  const all: Ran[] = []
  await stage.deployment.venues.traffic(true, RATE)
  for (const step of plan) {
    if (ending()) break
    await after(step.pauseMs)
    const ran = await run(stage, step)
    all.push(ran)
    onRan(ran)
    // What is not whole by now will not be by the next fault's doing.
    if (ran.stuck.length > 0) break
  }
  return all
}

const run = async (stage: Stage, step: Step): Promise<Ran> => {
  const faults: string[] = []
  const performed = await both(stage, step).catch((error: unknown): Performed => {
    faults.push(error instanceof Error ? error.message : String(error))
    return { outcome: 'done', takeovers: [] }
  })
  const [endedAt, endedAtMs] = [performance.now(), Date.now()]
  const left = await emptied(() => notWhole(stage.deployment, endedAtMs), WHOLE_WITHIN_MS, 50)
  return {
    step,
    outcome: performed.outcome,
    why: performed.outcome === 'skipped' ? performed.why : null,
    takeovers: performed.outcome === 'done' ? performed.takeovers : [],
    wholeAfterMs: Math.round(performance.now() - endedAt),
    stuck: [...faults, ...left],
  }
}

/** A decision since then that is in its table has been through feed, broker, strategy, broker and history. */
const notWhole = async (deployment: Deployment, sinceMs: number): Promise<string[]> => {
  const decided = deployment.topics.records.filter(({ topic, timestampMs }) => topic === DECISIONS && timestampMs > sinceMs)
  const kept = await deployment.query('SELECT FROM trade_decisions WHERE event_id = ANY ($1)', [
    decided.map((record) => envelopeOf(record).event_id),
  ])
  const stopped = kept.length > 0 ? [] : [decided.length > 0 ? 'no decision since is in its table' : 'nothing has been decided since']
  return [...stopped, ...(await notRunning(deployment))]
}

/** The kill in the middle tells nothing of a takeover's time: there is more in its way. */
const both = async (stage: Stage, { fault, meanwhile }: Step): Promise<Performed> => {
  const [performed] = await Promise.all([
    perform(stage, fault),
    meanwhile && after(meanwhile.afterMs).then(() => killAndWatch(stage.deployment, [meanwhile.service])),
  ])
  return performed
}
