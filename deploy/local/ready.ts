/** What is said when everything runs: one event for programs, one table for people. */
import type { Look } from './control-client.ts'
import type { Fleet } from './fleet.ts'
import type { Infrastructure } from './infrastructure.ts'
import type { StartEnv } from './options.ts'
import { table } from './screen.ts'
import type { ServiceName } from '#machines/contracts/services.ts'

export const readyEvent = (fleet: Fleet, { brokers, adminUrl, simulators }: Infrastructure, env: StartEnv) => ({
  event: 'ready',
  services: fleet.map(),
  kafka: brokers,
  database: env.DATABASE_URL === undefined ? adminUrl : redacted(env.DATABASE_URL),
  ...(simulators === undefined ? {} : { simulators: { url: simulators.adminUrl, pid: simulators.pid } }),
  pid: process.pid,
})

const redacted = (url: string): string => {
  const parsed = new URL(url)
  if (parsed.password !== '') parsed.password = '***'
  for (const name of parsed.searchParams.keys()) if (/pass|key/i.test(name)) parsed.searchParams.set(name, '***')
  return parsed.href
}

export const readyText = (fleet: Fleet, looks: ReadonlyMap<ServiceName, Look>, arms: boolean, ms: number): string => {
  const rows = fleet.services.map(({ name, control }) => [name, control.url, stateOf(looks.get(name), arms)])
  return `\n${table([['service', 'control', 'state'], ...rows])}\n\nready after ${(ms / 1000).toFixed(1)} s; Ctrl-C drains and stops everything\n`
}

const stateOf = (look: Look | undefined, arms: boolean): string => {
  if (look === undefined) return 'no answer'
  if (!look.ready) return `blocked: ${look.blocked.join(', ')}`
  return look.armed === undefined ? 'ready' : arms ? 'ready, armed' : `ready, ${look.armed ? 'armed' : 'disarmed'}`
}
