import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'

/** The environment of one program, as its schema says it. */
export interface Config {
  readonly program: string
  readonly variables: readonly Variable[]
}

export interface Variable {
  readonly name: string
  readonly type: string
  /** as it would be typed; undefined: none, and `required` says whether that is allowed */
  readonly fallback: string | undefined
  readonly required: boolean
  readonly meaning: string
}

/**
 * The `Env` of `npm start` and of each service that has a config.ts.
 * @throws {Error} a config.ts that cannot be loaded or exports no zod `Env`; the message is its path and why
 */
export const readConfigs = async (root: string, services: readonly string[]): Promise<Config[]> => {
  const sources = [
    { program: 'npm start', path: 'deploy/local/options.ts', name: 'StartEnv' },
    ...services.map((program) => ({ program, path: `actors/services/${program}/config.ts`, name: 'Env' })),
  ].filter(({ path }) => existsSync(join(root, path)))
  return Promise.all(
    sources.map(async ({ program, path, name }) => {
      const loaded = (await import(pathToFileURL(join(root, path)).href).catch((error: unknown) => {
        throw new Error(`${path} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      })) as Readonly<Record<string, unknown>>
      const schema = loaded[name]
      if (!(schema instanceof z.ZodType)) throw new Error(`${path} exports no zod schema named ${name}`)
      return { program, variables: variables(schema) }
    }),
  )
}

/** What a schema says of each variable. The input side has the defaults, the output side the types behind a coercion. */
export const variables = (schema: z.ZodType): Variable[] => {
  const typed = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  const coerced = z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' })
  const required = new Set(typed.required)
  return Object.entries(typed.properties ?? {}).map(([name, given]) => {
    const input = asSchema(given)
    const output = asSchema(coerced.properties?.[name])
    // A default that stands behind a transform is a value of its output.
    const fallback: unknown = input.default ?? output.default
    return {
      name,
      type: typeName(typeName(output) === 'text' ? input : output),
      fallback: fallback === undefined ? undefined : shown(fallback),
      required: required.has(name) && fallback === undefined,
      meaning: input.description ?? output.description ?? '',
    }
  })
}

const asSchema = (value: z.core.JSONSchema._JSONSchema | undefined): z.core.JSONSchema.JSONSchema =>
  typeof value === 'object' ? value : {}

const shown = (value: unknown): string =>
  Array.isArray(value) ? value.map(String).join(',') : typeof value === 'string' ? value : JSON.stringify(value)

const typeName = ({ type, enum: words, format, minimum, exclusiveMinimum, maximum }: z.core.JSONSchema.JSONSchema): string => {
  if (words !== undefined) return words.map((word) => `\`${String(word)}\``).join(', ')
  if (type === 'boolean') return '`true`, `false`'
  if (format === 'uri') return 'URL'
  if (type === 'array') return 'comma list'
  if (type !== 'integer' && type !== 'number') return 'text'
  const least =
    minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER
      ? ` from ${minimum}`
      : exclusiveMinimum !== undefined
        ? ` above ${exclusiveMinimum}`
        : ''
  const most = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? ` to ${maximum}` : ''
  return `${type === 'integer' ? 'whole number' : 'number'}${least}${most}`
}
