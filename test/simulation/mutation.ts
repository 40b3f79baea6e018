import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Mutant } from './mutants.ts'
import { MUTANTS } from './mutants.ts'
import type { run } from './world.ts'

/**
 * A mutant is an edit of the source that ships: the loader puts the other text in before the types are stripped. Each
 * mutant gets module instances of its own, told apart by `?mutant=NAME`, so that one process can run them one after another.
 */
type World = { readonly run: typeof run }

const ROOT = new URL('../../', import.meta.url)
const PARAMETER = 'mutant'
/** What nothing of the runtime's is in, and no mutant edits: shared by all, because it is slow to load. */
const SHARED = ['node_modules/', 'machines/contracts/'].map((path) => new URL(path, ROOT).href)

export class MutantDoesNotFit extends Error {
  readonly code = 'MUTANT_DOES_NOT_FIT'

  constructor({ name, file, from }: Mutant, times: number) {
    super(`mutant ${JSON.stringify(name)}: its text occurs ${times} times in ${file}, not once:\n${from}`)
  }
}

/** @throws {MutantDoesNotFit} its text is not in the source exactly once: what it breaks has been written in another way */
export const mutated = (mutant: Mutant, source: string): string => {
  const parts = source.split(mutant.from)
  if (parts.length !== 2) throw new MutantDoesNotFit(mutant, parts.length - 1)
  return parts.join(mutant.to.replaceAll('$&', () => mutant.from))
}

export const sourceOf = ({ file }: Mutant): string => readFileSync(new URL(file, ROOT), 'utf8')

/** @throws {RangeError} there is none of that name */
export const mutantNamed = (name: string): Mutant => {
  const found = MUTANTS.find((mutant) => mutant.name === name)
  if (!found) throw new RangeError(`no mutant ${JSON.stringify(name)}: there are ${MUTANTS.map((mutant) => mutant.name).join(', ')}`)
  return found
}

/** The world with this edit in it. @throws {MutantDoesNotFit} */
export const mutantWorld = async (mutant: Mutant): Promise<World> => {
  // Asked for here as well: a file that the world no longer loads would leave it unchanged.
  mutated(mutant, sourceOf(mutant))
  hook()
  const world = new URL('world.ts', import.meta.url)
  world.searchParams.set(PARAMETER, mutant.name)
  return (await import(world.href)) as World
}

let hooked = false
const hook = (): void => {
  if (hooked) return
  hooked = true
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context)
      const mutant = context.parentURL === undefined ? null : nameIn(context.parentURL)
      if (mutant === null || !resolved.url.startsWith(ROOT.href) || SHARED.some((path) => resolved.url.startsWith(path))) return resolved
      const url = new URL(resolved.url)
      url.searchParams.set(PARAMETER, mutant)
      return { ...resolved, url: url.href }
    },
    load(url, context, next) {
      const loaded = next(url, context)
      const name = nameIn(url)
      if (name === null) return loaded
      const mutant = mutantNamed(name)
      if (fileURLToPath(url) !== fileURLToPath(new URL(mutant.file, ROOT))) return loaded
      return { ...loaded, source: mutated(mutant, String(loaded.source)) }
    },
  })
}

const nameIn = (url: string): string | null => (url.startsWith('file:') ? new URL(url).searchParams.get(PARAMETER) : null)
