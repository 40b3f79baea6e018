/** What is done to the system, drawn from a seed: the same seed is the same list, on any machine. */
import { SERVICES } from '#machines/contracts/services.ts'
import type { ServiceName } from '#machines/contracts/services.ts'
import { Random } from '../simulators/random.ts'
import type { Moment } from './database-proxy.ts'

export type Side = 'database' | 'broker'

/** `beside`: a second process of the service is alive, and is to have its lanes. */
export type Kill = { readonly kind: 'kill'; readonly services: readonly ServiceName[]; readonly beside: boolean }
export type Other =
  | { readonly kind: 'stop and go on'; readonly service: ServiceName; readonly forMs: number; readonly beside: boolean }
  | { readonly kind: 'second process'; readonly service: ServiceName; readonly forMs: number }
  | { readonly kind: 'broker restart'; readonly signal: 'SIGKILL' | 'SIGTERM' }
  | { readonly kind: 'database restart'; readonly signal: 'SIGQUIT' | 'SIGKILL' }
  | { readonly kind: 'cut in COMMIT'; readonly service: ServiceName; readonly moment: Moment; readonly times: number }
  | { readonly kind: 'disk full'; readonly forMs: number; readonly log: boolean }
  | { readonly kind: 'stall'; readonly side: Side; readonly forMs: number }
  | { readonly kind: 'half open'; readonly side: Side }
  | { readonly kind: 'delay'; readonly side: Side; readonly ms: number; readonly forMs: number }

export type Fault = Kill | Other
/** `pauseMs` before it; `meanwhile`: who dies in the middle of it. */
export type Step = {
  readonly fault: Fault
  readonly pauseMs: number
  readonly meanwhile: { readonly service: ServiceName; readonly afterMs: number } | null
}

export const OTHER_KINDS = [
  'cut in COMMIT',
  'stop and go on',
  'broker restart',
  'database restart',
  'disk full',
  'stall',
  'second process',
  'half open',
  'delay',
] as const satisfies readonly Other['kind'][]

/** These commit all the time under load. */
const COMMITTING: readonly ServiceName[] = ['strategy-engine', 'trade-executor', 'history-writer']

/** What another death can fall into; the others are about one process. */
const CROWDED: readonly Fault['kind'][] = [
  'cut in COMMIT',
  'broker restart',
  'database restart',
  'disk full',
  'stall',
  'half open',
  'delay',
]

/** @returns `kills` times kill -9, alone or in the middle of something else, and `others` other faults among them */
export const planOf = (seed: number, kills: number, others: number): Step[] => {
  const random = new Random(seed)
  const [service, victim, committing] = [bag(random, SERVICES), bag(random, SERVICES), bag(random, COMMITTING)]
  const kind = bag(random, OTHER_KINDS)
  const steps: Step[] = []
  for (let left = { kills, others }; left.kills + left.others > 0;) {
    const isKill = random.integer(1, left.kills + left.others) <= left.kills
    const fault = isKill ? killOf(random, victim, left.kills) : otherOf(random, kind(), service, committing)
    const meanwhile =
      left.kills > 0 && CROWDED.includes(fault.kind) && random.chance(0.3) ? { service: victim(), afterMs: random.integer(0, 1_500) } : null
    steps.push({ fault, meanwhile, pauseMs: random.integer(0, 700) })
    const died = fault.kind === 'kill' ? fault.services.length : meanwhile === null ? 0 : 1
    left = { kills: left.kills - died, others: left.others - (isKill ? 0 : 1) }
  }
  return steps
}

/** Each in turn, every round in another order. */
const bag = <T>(random: Random, all: readonly T[]): (() => T) => {
  let left: T[] = []
  return () => {
    if (left.length === 0) left = [...all]
    const [drawn] = left.splice(random.integer(0, left.length - 1), 1)
    if (drawn === undefined) throw new RangeError('nothing to draw from')
    return drawn
  }
}

const killOf = (random: Random, victim: () => ServiceName, left: number): Kill => {
  const draw = random.next()
  if (draw < 0.15) return { kind: 'kill', services: [victim()], beside: true }
  const first = victim()
  const second = draw < 0.3 && left > 1 ? victim() : first
  return { kind: 'kill', services: [...new Set([first, second])], beside: false }
}

const otherOf = (random: Random, kind: Other['kind'], service: () => ServiceName, committing: () => ServiceName): Other => {
  const side = random.pick('database', 'broker')
  switch (kind) {
    case 'stop and go on':
      return { kind, service: service(), forMs: random.integer(1_800, 3_500), beside: random.chance(0.6) }
    case 'second process':
      return { kind, service: service(), forMs: random.integer(500, 2_000) }
    case 'broker restart':
      return { kind, signal: random.pick('SIGKILL', 'SIGTERM') }
    case 'database restart':
      return { kind, signal: random.pick('SIGQUIT', 'SIGKILL') }
    case 'cut in COMMIT':
      return { kind, service: committing(), moment: random.pick('before', 'after', 'answer'), times: random.integer(1, 3) }
    case 'disk full':
      return { kind, forMs: random.integer(1_000, 3_000), log: random.chance(0.5) }
    case 'stall':
      return { kind, side, forMs: random.integer(800, 5_000) }
    case 'half open':
      return { kind, side }
    case 'delay':
      return { kind, side, ms: random.integer(10, 80), forMs: random.integer(1_000, 3_000) }
  }
}

/** One line for people. */
export const wordsOf = (fault: Fault): string => {
  switch (fault.kind) {
    case 'kill':
      return `kill -9 ${fault.services.join(' and ')}${fault.beside ? ', a second process beside it' : ''}`
    case 'stop and go on':
      return `SIGSTOP ${fault.service} for ${fault.forMs} ms${fault.beside ? ', a second process beside it' : ''}, SIGCONT`
    case 'second process':
      return `a second process of ${fault.service} for ${fault.forMs} ms`
    case 'broker restart':
      return `broker ended with ${fault.signal} and started again`
    case 'database restart':
      return `PostgreSQL ended with ${fault.signal} and started again`
    case 'cut in COMMIT':
      return `${fault.times} commits of ${fault.service} cut ${MOMENTS[fault.moment]}`
    case 'disk full':
      return `the database's volume is full for ${fault.forMs} ms${fault.log ? ', and its log needs more' : ''}`
    case 'stall':
      return `nothing passes to or from the ${fault.side} for ${fault.forMs} ms`
    case 'half open':
      return `open connections to the ${fault.side} swallow everything`
    case 'delay':
      return `${fault.ms} ms each way to the ${fault.side} for ${fault.forMs} ms`
  }
}

const MOMENTS: Readonly<Record<Moment, string>> = {
  before: 'before the database has them',
  after: 'when the database has them',
  answer: 'when the database has answered',
}
