/** The eight services together: started at once, armed where that is allowed, drained with the history last. */
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { BRIEF } from '#bus/client.ts'
import { topicNames } from '#machines/contracts/topics.ts'
import { isEnding, LocalStackFault, tookTooLong } from './child.ts'
import type { Look } from './control-client.ts'
import { quietKafka } from './kafka-client.ts'
import type { StartEnv } from './options.ts'
import { SERVICES } from '#machines/contracts/services.ts'
import { ARMED_SERVICES, mainOf, serviceEnv } from './services.ts'
import type { ServiceName } from '#machines/contracts/services.ts'
import type { Shared } from './services.ts'
import { supervise } from './supervisor.ts'
import type { Change, Supervised } from './supervisor.ts'

export type Fleet = {
  readonly services: readonly Supervised[]
  /** name → url and pid, as `ready` and run.json have it */
  map(): Record<string, { url: string; pid: number }>
  /** Until every service is ready or says what blocks it. */
  untilReady(): Promise<Map<ServiceName, Look>>
  /** @throws {LocalStackFault} a service refuses */
  arm(): Promise<void>
  drain(brokers: string): Promise<ServiceName[]>
}

export type FleetSpec = {
  readonly root: string
  readonly env: StartEnv
  readonly ports: Record<ServiceName, number>
  readonly roleUrls: Readonly<Record<string, string>>
  readonly shared: Shared
  readonly onChange: (change: Change) => void
}

export const startFleet = async ({ root, env, ports, roleUrls, shared, onChange }: FleetSpec): Promise<Fleet> => {
  let draining = false
  const isStopping = (): boolean => draining || isEnding()
  const host = env.CONTROL_HOST === '0.0.0.0' ? '127.0.0.1' : env.CONTROL_HOST
  const services = await Promise.all(
    SERVICES.map((name) => {
      const databaseUrl = roleUrls[name]
      if (databaseUrl === undefined) throw new LocalStackFault(`the migrations made no role for ${name}`)
      const spec = {
        name,
        main: mainOf(root, name),
        env: serviceEnv(name, databaseUrl, ports[name], env, shared),
        url: `http://${host}:${ports[name]}`,
        token: env.CONTROL_TOKEN,
        cwd: root,
        logFile: join(env.DATA_DIR, 'logs', `${name}.log`),
      }
      return supervise(spec, onChange, isStopping)
    }),
  )
  return {
    services,
    map: () => Object.fromEntries(services.map(({ name, control, pid }) => [name, { url: control.url, pid: pid() }])),
    untilReady: () => untilReady(services),
    arm: async () => {
      for (const name of ARMED_SERVICES) await armOne(services.find((service) => service.name === name))
    },
    drain: async (brokers) => {
      draining = true
      return drainAll(services, brokers)
    },
  }
}

const READY_WITHIN_MS = 60_000
/** A service that has just come up is blocked for a moment by what it has not heard yet; after this it counts as what blocks it. */
const SETTLE_MS = 4_000
const DEATHS_ALLOWED = 3

const untilReady = async (services: readonly Supervised[]): Promise<Map<ServiceName, Look>> => {
  const deadline = performance.now() + READY_WITHIN_MS
  let allAnswerSince: number | undefined
  for (;;) {
    const looks = new Map<ServiceName, Look>()
    await Promise.all(
      services.map(async (service) => {
        const look = await service.control.look()
        if (look !== undefined) looks.set(service.name, look)
      }),
    )
    if (isEnding()) throw new LocalStackFault('stopped while starting')
    const states = [...looks.values()]
    if (states.length === services.length) allAnswerSince ??= performance.now()
    const settled = allAnswerSince !== undefined && performance.now() - allAnswerSince > SETTLE_MS
    if (states.length === services.length && states.every((look) => look.ready || (settled && look.blocked.length > 0))) return looks
    const broken = services.find((service) => service.deaths() >= DEATHS_ALLOWED)
    if (broken !== undefined) throw new LocalStackFault(`${broken.name} dies again and again: ${broken.lastWords()}`)
    if (performance.now() > deadline) throw new LocalStackFault(notReady(services, looks))
    await after(100)
  }
}

const notReady = (services: readonly Supervised[], looks: ReadonlyMap<ServiceName, Look>): string => {
  const waiting = services.filter(({ name }) => looks.get(name)?.ready !== true)
  const words = waiting.map(({ name, lastWords }) => `${name}: ${looks.get(name)?.lifecycle ?? `does not answer: ${lastWords()}`}`)
  return `not ready after ${READY_WITHIN_MS / 1000} s: ${words.join('; ')}`
}

const ARM_WITHIN_MS = 30_000

const armOne = async (service: Supervised | undefined): Promise<void> => {
  if (service === undefined) return
  const deadline = performance.now() + ARM_WITHIN_MS
  for (;;) {
    const answer = await service.control.order('/arm', 'every venue is a simulator')
    // 202: written, and no lane has taken it yet; an arm that waits too long expires.
    if (answer.status === 200) return
    // A person has to look first: it runs disarmed and says so.
    if (answer.code === 'STATE_DISAGREES') return
    if (performance.now() > deadline || isEnding()) {
      throw new LocalStackFault(`${service.name} was not armed: ${answer.message || `status ${answer.status}`}`)
    }
    await after(100)
  }
}

const DRAIN_WITHIN_MS = 15_000

/** @returns those that had to be ended by force */
const drainAll = async (services: readonly Supervised[], brokers: string): Promise<ServiceName[]> => {
  const forced: ServiceName[] = []
  const drain = async (service: Supervised): Promise<void> => {
    if (!(await service.drain(DRAIN_WITHIN_MS))) forced.push(service.name)
  }
  await Promise.all(services.filter(({ name }) => name !== 'history-writer').map(drain))
  const history = services.find(({ name }) => name === 'history-writer')
  if (history === undefined) return forced
  if (!history.isDown()) await untilHistoryHasAll(brokers)
  await drain(history)
  return forced
}

const HISTORY_WITHIN_MS = 3_000

/** Until the history writer has committed all that the others published, or three seconds: the next start would write the rest. */
const untilHistoryHasAll = async (brokers: string): Promise<void> => {
  const admin = quietKafka(brokers, BRIEF).admin()
  try {
    await admin.connect()
    await tookTooLong(catchUp(admin, performance.now() + HISTORY_WITHIN_MS), HISTORY_WITHIN_MS)
  } catch {
    // The broker is going away too; nothing is lost, only later.
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

const catchUp = async (admin: Admin, deadline: number): Promise<void> => {
  // Its own, once a second; and what it does not read.
  const topics = topicNames.filter((name) => name !== 'ops.audit_state' && name !== 'ops.lane_state' && name !== 'ctl.operator_command')
  const ends = new Map<string, bigint>()
  const found = await Promise.all(topics.map(async (topic) => ({ topic, partitions: await admin.fetchTopicOffsets(topic) })))
  for (const { topic, partitions } of found) {
    for (const { partition, high } of partitions) if (high !== '0') ends.set(`${topic}/${partition}`, BigInt(high))
  }
  while (ends.size > 0 && performance.now() < deadline) {
    for (const { topic, partitions } of await admin.fetchOffsets({ groupId: 'history-writer' })) {
      for (const { partition, offset } of partitions) {
        const end = ends.get(`${topic}/${partition}`)
        if (end !== undefined && BigInt(offset) >= end) ends.delete(`${topic}/${partition}`)
      }
    }
    if (ends.size > 0) await after(100)
  }
}
