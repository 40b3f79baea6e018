import { describe, expect, it } from 'vitest'
import type { Mutant } from './mutants.ts'
import { MUTANTS } from './mutants.ts'
import { MutantDoesNotFit, mutated, sourceOf } from './mutation.ts'
import { MUTANT_SEEDS } from './seeds.ts'

describe('the page of mutants', () => {
  it.each(MUTANTS)('has a text for "$name" that occurs exactly once in $file, and changes it', (mutant) => {
    const source = sourceOf(mutant)
    expect(mutated(mutant, source)).not.toBe(source)
  })

  it('has a known seed for each mutant, and for nothing else', () => {
    expect(Object.keys(MUTANT_SEEDS).sort()).toEqual(MUTANTS.map(({ name }) => name).sort())
  })

  it.each([
    ['is not there', 'const a = 2'],
    ['is there twice', 'const a = 1\nconst a = 1'],
  ])('is refused where a text %s', (_, source) => {
    const mutant: Mutant = { name: 'm', breaks: 'a is 1', file: 'a.ts', from: 'const a = 1', to: 'const a = 3' }
    expect(() => mutated(mutant, source)).toThrow(MutantDoesNotFit)
  })

  it('puts the text itself in where an edit says so, and takes nothing else in it for a pattern', () => {
    const mutant: Mutant = { name: 'm', breaks: '', file: 'a.ts', from: '$1', to: '($&, $`)' }
    expect(mutated(mutant, 'say $1.')).toBe('say ($1, $`).')
  })
})
