import { afterAll, describe, expect, it } from 'vitest'
import { walk } from './crashes.ts'
import type { Walked } from './crashes.ts'
import { MODELS } from './models.ts'

const lines: string[] = []
afterAll(() => void process.stdout.write(`${lines.join('\n')}\n`))

type Left = Omit<Walked, 'crashes' | 'coverage'>

/** Of each kind of thing the first that is not as it was without a crash. */
const firstDifferences = (without: Left, crashed: Left): { what: string; without: string | undefined; crashed: string | undefined }[] =>
  (Object.keys(without) as (keyof Left)[]).flatMap((what) => {
    const [a, b] = [without[what], crashed[what]]
    const at = Array.from({ length: Math.max(a.length, b.length) }, (_, index) => index).find((index) => a[index] !== b[index])
    return at === undefined ? [] : [{ what: `${what} ${at}`, without: a[at], crashed: b[at] }]
  })

/**
 * The same generated paths on a real host, with a crash after each of their steps (I1): the process dies with every commit
 * before anything of it is released, or after everything of it was. What its successors make of it must not differ in one
 * turn, snapshot, timer, effect or record from the run in which nobody died.
 */
describe.each(MODELS.map((model) => [model.machine.id, model] as const))('every path of %s on a host', (id, model) => {
  it('leaves the same behind, whoever dies after whichever step', { timeout: 60_000 }, async () => {
    const { coverage, ...alive } = await walk(model, 'never')
    const asksFirst = alive.effects.some((effect) => effect.includes(' ask first '))
    const { crashes: none, coverage: ___, ...uncrashed } = asksFirst ? await walk(model, 'never', { asTold: true }) : { ...alive, coverage }
    expect(none).toBe(0)
    const { crashes: inCommit, coverage: _, ...between } = await walk(model, 'between commit and release')
    const { crashes: afterwards, coverage: __, ...after } = await walk(model, 'after the release')
    lines.push(
      `${id.padEnd(16)} ${coverage?.said()}, turns ${uncrashed.turns.length}, crashes ${inCommit} in commit, ${afterwards} after release`,
    )
    expect(uncrashed.parked).toEqual([])
    expect(firstDifferences(uncrashed, between)).toEqual([])
    expect(firstDifferences(uncrashed, after)).toEqual([])
    expect(coverage?.missing()).toEqual({ states: [], transitions: Object.keys(model.untaken ?? {}) })
  })
})
