import { expect, test } from 'vitest'
import { faultsOf, importsOf, roomOf } from '#deploy/local/arrows.ts'

const faults = (files: Record<string, string>): string[] => faultsOf(new Map(Object.entries(files)))

test('imports of every form are found, types told from values', () => {
  const source = [
    "import { a } from './a.ts'",
    "import type { B } from '#bus/b.ts'",
    "import {\n  c,\n  d,\n} from '../c.ts'",
    "import 'node:fs'",
    "export { e } from './e.ts'",
    "export * from './f.ts'",
    "const text = 'import x from y'",
    `const g = await import(${"'./g.ts'"})`,
  ].join('\n')
  expect(importsOf(source)).toEqual([
    { specifier: './a.ts', isType: false },
    { specifier: '#bus/b.ts', isType: true },
    { specifier: '../c.ts', isType: false },
    { specifier: 'node:fs', isType: false },
    { specifier: './e.ts', isType: false },
    { specifier: './f.ts', isType: false },
    { specifier: './g.ts', isType: false },
  ])
})

test('a file belongs to its machine, its service or its room', () => {
  expect(roomOf('machines/quote/machine.ts')).toBe('machines/quote')
  expect(roomOf('actors/services/trade-executor/main.ts')).toBe('actors/services/trade-executor')
  expect(roomOf('actors/venues/kraken/ingest.ts')).toBe('actors/venues')
  expect(roomOf('bus/reader.ts')).toBe('bus')
})

test.each([
  ['siblings', 'bus/a.ts', '#storage/b.ts', 'bus and storage are siblings'],
  ['two machines', 'machines/quote/a.ts', '../desk/b.ts', 'machines/quote and machines/desk are siblings'],
  ['a room that imports deploy', 'bus/a.ts', '#deploy/b.ts', 'deploy is imported by nothing else'],
  ['contracts that import a machine', 'machines/contracts/a.ts', '../desk/b.ts', 'machines/contracts imports nothing of ours'],
  ['contracts that import pricing', 'machines/contracts/a.ts', '../pricing/b.ts', 'machines/contracts does not import machines/pricing'],
  ['another service', 'actors/services/x/a.ts', '#actors/services/y/b.ts', 'a service is imported by nothing'],
  ['a room crossed by a relative path', 'bus/a.ts', '../storage/b.ts', 'across rooms write #room/path.ts'],
  ['another room’s internals', 'actors/services/x/a.ts', '#bus/internal/b.ts', 'internal/ is for its own room'],
])('%s is a fault', (_, from, specifier, why) => {
  const target = specifier.startsWith('#')
    ? specifier.slice(1)
    : specifier.replace('../', `${from.split('/').slice(0, -2).join('/')}/`).replace(/^\//, '')
  expect(faults({ [from]: `import { b } from '${specifier}'`, [target]: '' })).toEqual([`${from} imports ${specifier}: ${why}`])
})

test('a file that is not there, and a package that a machine may not have, are faults', () => {
  expect(faults({ 'bus/a.ts': "import { b } from './b.ts'" })).toEqual(['bus/a.ts imports ./b.ts: there is no such file'])
  expect(faults({ 'machines/desk/a.ts': "import pg from 'pg'" })).toEqual([
    'machines/desk/a.ts imports pg: a machine imports xstate and zod alone',
  ])
  expect(faults({ 'machines/contracts/a.ts': "import { setup } from 'xstate'" })).toEqual([
    'machines/contracts/a.ts imports xstate: contracts and pricing import zod alone',
  ])
})

test('arrows that point down are none', () => {
  expect(
    faults({
      'machines/contracts/c.ts': "import { z } from 'zod'",
      'machines/desk/d.ts': "import { c } from '../contracts/c.ts'\nimport { setup } from 'xstate'",
      'bus/b.ts': "import { c } from '#machines/contracts/c.ts'",
      'actors/services/x/main.ts': "import { b } from '#bus/b.ts'\nimport { d } from '#machines/desk/d.ts'",
      'test/t.unit.test.ts': "import { x } from '#actors/services/x/main.ts'",
    }),
  ).toEqual([])
})

test('a cycle of values is a fault, one that exists for types alone is not', () => {
  const b = "import { c } from './c.ts'"
  expect(faults({ 'bus/a.ts': "import { b } from './b.ts'", 'bus/b.ts': b, 'bus/c.ts': "import { a } from './a.ts'" })).toEqual([
    'cycle: bus/a.ts → bus/b.ts → bus/c.ts → bus/a.ts',
  ])
  expect(faults({ 'bus/a.ts': "import { b } from './b.ts'", 'bus/b.ts': "import type { A } from './a.ts'" })).toEqual([])
})
