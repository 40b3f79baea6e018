/** Whether the environment suits every service, asked before anything is started. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { malformed } from './options.ts'
import { SERVICES } from '#machines/contracts/services.ts'
import type { ServiceName } from '#machines/contracts/services.ts'

/**
 * Variables that the environment leaves out are ours to give or the service's to default, so only those that are set can be wrong.
 * @throws {LocalStackFault} naming each malformed variable once
 */
export const checkServiceConfigs = async (root: string, env: NodeJS.ProcessEnv): Promise<void> => {
  const schemas = await Promise.all(SERVICES.map((service) => schemaOf(root, service)))
  const wrong = new Map<string, z.core.$ZodIssue>()
  for (const schema of schemas) {
    for (const issue of schema.safeParse(env).error?.issues ?? []) {
      const name = String(issue.path[0])
      if (env[name] !== undefined && !wrong.has(name)) wrong.set(name, issue)
    }
  }
  if (wrong.size > 0) throw malformed([...wrong.values()], env)
}

const schemaOf = async (root: string, service: ServiceName): Promise<z.ZodType> => {
  const path = `actors/services/${service}/config.ts`
  const { Env }: { Env?: unknown } = await import(pathToFileURL(join(root, path)).href)
  if (!(Env instanceof z.ZodType)) throw new TypeError(`${path} exports no zod schema named Env`)
  return Env
}
