import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { machinesOf } from '#actors/runtime/machine/machines.ts'
import type { Found } from '#actors/runtime/machine/snapshots.ts'
import { definitionOf } from '#deploy/cli/definitions.ts'
import { SERVICES } from '#machines/contracts/services.ts'

/** `service/kind` → every version and structure that may be stored somewhere, the one of the code at hand last. */
const PINS = 'test/fixtures/structures.json'
const pins = JSON.parse(readFileSync(join(import.meta.dirname, '../../..', PINS), 'utf8')) as Readonly<Record<string, readonly Found[]>>

const TO_DO = `see docs/UPGRADE.md: raise the kind's version, add a migration beside its machine, and add the new line to ${PINS}`

const machines = new Map(
  (
    await Promise.all(
      SERVICES.map(async (service) => {
        const found = machinesOf(await definitionOf(service, {}))
        return [...found].map(([kind, machine]) => [`${service}/${kind}`, machine] as const)
      }),
    )
  ).flat(),
)

describe('the structures of production machines', () => {
  it.each([...machines])('%s is pinned, and loads every structure that it ever had', (name, { version, hash, lineage }) => {
    const known = pins[name] ?? []
    const last = known.at(-1)
    expect(last, `${name} is not pinned: add {"version": ${version}, "hash": "${hash}"} to ${PINS}`).toBeDefined()
    const changed =
      last?.version === version
        ? `the structure of ${name} is ${hash} and was ${last.hash}, still under version ${version}: what is stored would not load; ${TO_DO}`
        : `${name} is version ${version} (${hash}) and its last pin is ${last?.version}; ${TO_DO}`
    expect({ version, hash }, changed).toEqual(last)
    for (const found of known) expect(lineage.refusal(found), `${name}: ${TO_DO}`).toBeNull()
  })

  it('are those that are pinned, so that a kind which goes is seen', () => {
    expect(Object.keys(pins).toSorted()).toEqual([...machines.keys()].toSorted())
  })
})
