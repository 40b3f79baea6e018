import { readFileSync, writeFileSync } from 'node:fs'
import type { Found } from './hunt.ts'

const FILE = new URL('seeds.ts', import.meta.url)
const TABLE = /(?<=export const MUTANT_SEEDS[^{]*\{)[^}]*(?=\})/

/** Writes the seeds at which mutants were caught over those that are there; a mutant that was not looked for keeps its own. */
export const writeSeeds = (found: readonly Found[], known: Readonly<Record<string, number>>): void => {
  const seeds = { ...known, ...Object.fromEntries(found.flatMap(({ mutant, caught }) => (caught ? [[mutant.name, caught.seed]] : []))) }
  const lines = Object.entries(seeds).map(([name, seed]) => `  ${/^\w+$/.test(name) ? name : `'${name}'`}: ${seed},\n`)
  writeFileSync(
    FILE,
    readFileSync(FILE, 'utf8').replace(TABLE, () => `\n${lines.join('')}`),
  )
}
