import { describe, expect, it } from 'vitest'
import { BadArguments, readArguments } from './arguments.ts'

describe('the arguments of npm run sim', () => {
  it('have defaults: a hundred worlds for what ships, two thousand for each mutant', () => {
    expect(readArguments([])).toMatchObject({ seed: 1, runs: 100, steps: 300, jobs: 1, mode: 'worlds' })
    expect(readArguments(['--mutants'])).toMatchObject({ runs: 2_000, mode: 'mutants' })
    expect(readArguments(['--mutant', 'fence removed'])).toMatchObject({ mode: 'mutants', mutants: ['fence removed'] })
  })

  it.each([
    [['--seed', '-1']],
    [['--seed', '1.5']],
    [['--runs', '0']],
    [['--steps', 'many']],
    [['--jobs', '']],
    [['--runs', '1e9e9']],
    [['--sead', '1']],
    [['7']],
  ])('are refused where they make no sense: %j', (argv) => {
    expect(() => readArguments(argv)).toThrow(BadArguments)
  })
})
