/** The eight services: their ports, and what each is given of the environment. */
import { join } from 'node:path'
import { SERVICES } from '#machines/contracts/services.ts'
import type { ServiceName } from '#machines/contracts/services.ts'
import { LocalStackFault } from './child.ts'
import type { StartEnv } from './options.ts'
import { freePort, tryPort } from './ports.ts'

/** Those that an operator arms. */
export const ARMED_SERVICES: readonly ServiceName[] = ['trade-executor', 'strategy-engine']

export const mainOf = (root: string, service: ServiceName): string => join(root, 'actors/services', service, 'main.ts')

/** @throws {LocalStackFault} naming the port that is taken and the service it is for */
export const controlPorts = async ({ CONTROL_BASE_PORT, CONTROL_HOST }: StartEnv): Promise<Record<ServiceName, number>> => {
  const ports = new Map<ServiceName, number>()
  for (const [index, service] of SERVICES.entries()) {
    const port = CONTROL_BASE_PORT === 0 ? await freePort() : CONTROL_BASE_PORT + index
    if (CONTROL_BASE_PORT !== 0 && (await tryPort(port, CONTROL_HOST)) === undefined) {
      throw new LocalStackFault(
        `port ${port} on ${CONTROL_HOST} (control API of ${service}) is taken: stop what uses it, or set CONTROL_BASE_PORT (0 picks free ports)`,
      )
    }
    ports.set(service, port)
  }
  return Object.fromEntries(ports) as Record<ServiceName, number>
}

export type Shared = {
  readonly brokers: string
  readonly release: string
  /** URLs and credentials that stand in for what the environment leaves out */
  readonly venues: Readonly<Record<string, string>>
  readonly allSimulated: boolean
  readonly compileCache: string
}

/** The signing key is the executor's alone. */
export const EXECUTOR_ONLY = ['NEAR_INTENTS_SIGNING_KEY', 'NEAR_INTENTS_SIGNING_KEY_FILE']

/** The whole environment of one service's process. */
export const serviceEnv = (service: ServiceName, databaseUrl: string, port: number, env: StartEnv, shared: Shared): NodeJS.ProcessEnv => {
  const passed = { ...shared.venues, ...process.env }
  if (service !== 'trade-executor') for (const name of EXECUTOR_ONLY) delete passed[name]
  return {
    STRICT_AUDIT: String(!shared.allSimulated),
    NODE_COMPILE_CACHE: shared.compileCache,
    ...passed,
    KAFKA_BROKERS: shared.brokers,
    DATABASE_URL: databaseUrl,
    CONTROL_HOST: env.CONTROL_HOST,
    CONTROL_PORT: String(port),
    RELEASE: shared.release,
    LANES: String(env.LANES),
  }
}
