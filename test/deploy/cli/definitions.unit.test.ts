import { describe, expect, test } from 'vitest'
import { machinesOf } from '#actors/runtime/machine/machines.ts'
import { definitionOf } from '#deploy/cli/definitions.ts'
import { SERVICES } from '#machines/contracts/services.ts'

describe('a service as the code defines it', () => {
  test.each(SERVICES)('%s is had without an environment, and its machines run', async (service) => {
    const definition = await definitionOf(service, {})
    expect(definition.name).toBe(service)
    expect([...machinesOf(definition).keys()]).toContain('lifecycle')
  })

  test('takes what the environment says', async () => {
    const { kinds } = await definitionOf('strategy-engine', { STRATEGY_THRESHOLD_BPS: '321' })
    expect(kinds['desk']?.input('desk')).toMatchObject({ config: { threshold_bps: 321 } })
  })

  test('that nobody knows is named, with those that there are', async () => {
    await expect(definitionOf('strategy', {})).rejects.toThrow('no service strategy; there are: near-intents-ingest')
  })
})
