/** Drawings and comparisons of a machine's definition. Works on the definition alone, nothing of XState's inside. */

/**
 * A machine's config as JSON: functions become their names, XState's action creators `{type, ...what they carry}`.
 * Guards and actions that are written inline lose their bodies.
 */
export const plain = (value: unknown): unknown => {
  if (typeof value === 'function') {
    const { type, ...carried } = { ...value } as Record<string, unknown> & { type?: string }
    if (typeof type !== 'string') return { type: value.name || '(inline)' }
    const kept = Object.entries(carried).filter(
      ([key, held]) => key !== 'resolve' && key !== 'execute' && key !== 'retryResolve' && held !== undefined,
    )
    return { type, ...Object.fromEntries(kept.map(([key, held]) => [key, typeof held === 'function' ? '(inline)' : plain(held)])) }
  }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, held]) => held !== undefined && !(key === 'context' && typeof held === 'function'))
      .map(([key, held]) => [key, plain(held)]),
  )
}

/** JSON with sorted keys: the same structure gives the same text. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, held: unknown) =>
    typeof held === 'object' && held !== null && !Array.isArray(held)
      ? Object.fromEntries(Object.entries(held).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : held,
  )

interface Node {
  readonly initial?: string
  readonly type?: string
  readonly states?: Readonly<Record<string, Node>>
  readonly on?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly always?: unknown
  readonly onDone?: unknown
  readonly invoke?: unknown
}

/** Mermaid `stateDiagram-v2` text of a definition made by `plain`. Transitions without a target are not drawn. */
export const mermaid = (config: unknown): string => ['stateDiagram-v2', ...draw(config as Node, [])].join('\n')

const draw = (node: Node, path: readonly string[]): string[] => {
  const pad = '  '.repeat(path.length + 1)
  const states = Object.entries(node.states ?? {})
  const lines = states.flatMap(([key, child], at) => {
    const here = [...path, key]
    const inner = child.states
      ? [`${pad}state "${key}" as ${name(here)} {`, ...draw(child, here), `${pad}}`]
      : [`${pad}state "${key}" as ${name(here)}`]
    const ended = child.type === 'final' ? [`${pad}${name(here)} --> [*]`] : []
    return [...(node.type === 'parallel' && at > 0 ? [`${pad}--`] : []), ...inner, ...ended]
  })
  const start = node.initial ? [`${pad}[*] --> ${name([...path, node.initial])}`] : []
  return [
    ...start,
    ...lines,
    ...states.flatMap(([key, child]) => arrows(child, [...path, key], pad)),
    ...(path.length === 0 ? rootArrows(node, pad) : []),
  ]
}

const arrows = (node: Node, path: readonly string[], pad: string): string[] =>
  leaving(node).flatMap(([label, target]) => {
    const to = target.startsWith('.')
      ? [...path, target.slice(1)]
      : target.startsWith('#')
        ? target.split('.').slice(1)
        : [...path.slice(0, -1), ...target.split('.')]
    return [`${pad}${name(path)} --> ${name(to)}: ${label}`]
  })

/** From anywhere: drawn from a state of that name, because Mermaid has no arrow out of the whole diagram. */
const rootArrows = (node: Node, pad: string): string[] => {
  const drawn = leaving(node).map(([label, target]) => `${pad}anywhere --> ${name(target.replace(/^[.#]/, '').split('.'))}: ${label}`)
  return drawn.length > 0 ? [`${pad}state "in any state" as anywhere`, ...drawn] : []
}

const leaving = (node: Node): [string, string][] => {
  const invokes = ([node.invoke ?? []].flat() as { src?: string; onDone?: unknown; onError?: unknown }[]).flatMap(
    ({ src, onDone, onError }) => [...targets(`${src} done`, onDone), ...targets(`${src} failed`, onError)],
  )
  return [
    ...Object.entries(node.on ?? {}).flatMap(([event, transition]) => targets(event, transition)),
    ...Object.entries(node.after ?? {}).flatMap(([delay, transition]) => targets(`after ${delay}`, transition)),
    ...targets('', node.always),
    ...targets('done', node.onDone),
    ...invokes,
  ]
}

const targets = (label: string, transition: unknown): [string, string][] =>
  [transition ?? []].flat().flatMap((one: unknown): [string, string][] => {
    if (typeof one === 'string') return [[label, one]]
    const { target, guard } = one as { target?: string; guard?: string | { type?: string } }
    if (!target) return []
    const guarded = guard ? `[${typeof guard === 'string' ? guard : guard.type}]` : ''
    return [[[label, guarded].filter(Boolean).join(' ') || 'always', target]]
  })

/** Mermaid takes no dots or dashes in a state's name. */
const name = (path: readonly string[]): string => path.join('_').replace(/\W/g, '_')
