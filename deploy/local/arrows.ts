/**
 * The import arrows of the source: who may import whom, and no cycles. Prints one line a fault and exits 1 where there are any.
 *
 *     test, deploy           import anything; nothing else imports them
 *     actors/services        compose; never import another service
 *     bus  storage  control  migrations  actors/runtime  actors/venues  actors/chains  machines/<machine>
 *                            siblings; they import machines/contracts and machines/pricing, not one another
 *     machines/contracts     and machines/pricing import zod, and nothing of ours but contracts
 *
 * A script of our own, because dependency-cruiser 18 reads TypeScript through a compiler API that TypeScript 7 does not have.
 * Formatted source is regular enough that its import lines are found by pattern.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export type Import = { readonly specifier: string; readonly isType: boolean }

const STATIC = /^(?:import|export)\s+(type\s+)?(?:(?:[\w*{][^'";]*?)\s*from\s*)?'([^']+)'/gm
const DYNAMIC = /\bimport\('([^']+)'\)/g

export const importsOf = (source: string): Import[] => [
  ...[...source.matchAll(STATIC)].map(([, type, specifier = '']) => ({ specifier, isType: type !== undefined })),
  ...[...source.matchAll(DYNAMIC)].map(([, specifier = '']) => ({ specifier, isType: false })),
]

/** The part of the tree that a rule is about: `machines/quote`, `actors/services/x`, `bus`. */
export const roomOf = (file: string): string => {
  const [top = '', second = '', third = ''] = file.split('/')
  if (top === 'machines') return `${top}/${second}`
  if (top !== 'actors') return top
  return second === 'services' && third !== '' && !third.endsWith('.ts') ? `${top}/${second}/${third}` : `${top}/${second}`
}

const PURE = ['machines/contracts', 'machines/pricing']
const ANYTHING = ['test', 'deploy']
/** A hash and an assertion are as pure as a machine has to be. */
const PURE_BUILTINS = ['node:crypto', 'node:assert', 'node:assert/strict']

/** @param files path from the root → source text. @returns one sentence a fault */
export const faultsOf = (files: ReadonlyMap<string, string>): string[] => {
  const faults: string[] = []
  const values = new Map<string, string[]>()
  for (const [file, source] of files) {
    const targets: string[] = []
    for (const { specifier, isType } of importsOf(source)) {
      const target = targetOf(file, specifier)
      const fault = target === undefined ? outsideFault(file, specifier) : insideFault(file, target, specifier, files)
      if (fault !== undefined) faults.push(`${file} imports ${specifier}: ${fault}`)
      if (target !== undefined && !isType) targets.push(target)
    }
    values.set(file, targets)
  }
  return [...faults, ...cyclesOf(values).map((cycle) => `cycle: ${[...cycle, cycle[0]].join(' → ')}`)]
}

/** Where a specifier of ours points, from the root; undefined for a package or a builtin. */
const targetOf = (file: string, specifier: string): string | undefined => {
  if (specifier.startsWith('#')) return specifier.slice(1)
  if (specifier.startsWith('.')) return normalize(join(dirname(file), specifier))
  return undefined
}

const outsideFault = (file: string, specifier: string): string | undefined => {
  const room = roomOf(file)
  if (!room.startsWith('machines/') || PURE_BUILTINS.includes(specifier) || specifier === 'zod') return undefined
  if (PURE.includes(room)) return 'contracts and pricing import zod alone'
  return specifier === 'xstate' ? undefined : 'a machine imports xstate and zod alone'
}

const insideFault = (file: string, target: string, specifier: string, files: ReadonlyMap<string, string>): string | undefined => {
  const [from, to] = [roomOf(file), roomOf(target)]
  if (specifier.endsWith('.ts') && !files.has(target)) return 'there is no such file'
  if (specifier.startsWith('.') && from.split('/')[0] !== to.split('/')[0]) return 'across rooms write #room/path.ts'
  if (target.includes('/internal/') && !file.startsWith(target.slice(0, target.indexOf('internal/'))))
    return 'internal/ is for its own room'
  if (from === to || ANYTHING.includes(from)) return undefined
  if (ANYTHING.includes(to)) return `${to} is imported by nothing else`
  if (PURE.includes(to)) return PURE.includes(from) && to !== 'machines/contracts' ? `${from} does not import ${to}` : undefined
  if (PURE.includes(from)) return `${from} imports nothing of ours`
  if (to.startsWith('actors/services/')) return 'a service is imported by nothing'
  if (from.startsWith('actors/services')) return undefined
  return `${from} and ${to} are siblings`
}

/** Every strongly connected set of files with an import back to itself, each once (Tarjan). */
const cyclesOf = (edges: ReadonlyMap<string, readonly string[]>): string[][] => {
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  const cycles: string[][] = []
  const visit = (file: string): void => {
    index.set(file, index.size)
    low.set(file, index.get(file) ?? 0)
    stack.push(file)
    for (const next of edges.get(file) ?? []) {
      if (!edges.has(next)) continue
      if (!index.has(next)) visit(next)
      if (stack.includes(next)) low.set(file, Math.min(low.get(file) ?? 0, low.get(next) ?? 0))
    }
    if (low.get(file) !== index.get(file)) return
    const members = stack.splice(stack.indexOf(file))
    if (members.length > 1 || edges.get(file)?.includes(file)) cycles.push(members)
  }
  for (const file of edges.keys()) if (!index.has(file)) visit(file)
  return cycles
}

const ROOMS = '{machines,bus,storage,control,actors,migrations,deploy,test}/**/*.ts'

const main = (): void => {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
  const files = new Map(globSync(ROOMS, { cwd: root }).map((file) => [file, readFileSync(join(root, file), 'utf8')]))
  const faults = faultsOf(files)
  for (const fault of faults) process.stdout.write(`${fault}\n`)
  if (faults.length > 0) process.exitCode = 1
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) main()
