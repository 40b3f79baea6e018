import { describe, expect, it } from 'vitest'
import { feedMachine } from '#machines/feed/machine.ts'
import { directionOf, pairFilterMachine } from '#machines/feed/pair-filter.ts'
import { given } from '../given.ts'

describe('the connection of a feed', () => {
  const up = given(feedMachine).when('connection.up', {}, 1_000)

  it('counts connections after the first as reconnects and keeps the last reason', () => {
    const again = up.when('connection.down', { reason: 'no pong' }, 2_000).when('connection.up', {}, 3_000)
    expect(again.value).toBe('connected')
    expect(again.context).toEqual({ since: 3_000, reconnects: 1, connections: 2, last_reason: 'no pong', last_up_at: 3_000 })
  })

  it('a venue that stays away for the same reason changes nothing', () => {
    const down = up.when('connection.down', { reason: 'closed' }, 2_000)
    expect(down.when('connection.down', { reason: 'closed' }, 9_000).changed).toBe(false)
    const other = down.when('connection.down', { reason: 'refused' }, 9_000)
    expect([other.context['last_reason'], other.context['since']]).toEqual(['refused', 2_000])
  })

  it('a refused credential blocks it until the venue takes us', () => {
    const blocked = up.when('connection.blocked', { reason: 'unauthorized' })
    expect(blocked.value).toBe('blocked')
    expect(blocked.when('connection.up').value).toBe('connected')
  })
})

describe('the pair filter', () => {
  const env = { btc_token_ids: ['btc1', 'btc2'], eure_token_id: 'eure' }
  const order = { by: 'ada', reason: 'narrow', order_id: '1' }
  const configured = given(pairFilterMachine).when('configured', env)

  it('is what the environment says until an order overrides it', () => {
    expect(configured.context['filter']).toEqual(env)
    const narrowed = configured.when('order.pair-filter', { ...order, btc_token_ids: ['btc1'], eure_token_id: 'eure' })
    expect(narrowed.value).toBe('overridden')
    expect(narrowed.context).toEqual({ default: env, filter: { btc_token_ids: ['btc1'], eure_token_id: 'eure' }, set_by: 'ada' })
  })

  it('falls back to the environment by a reset, and when the environment itself changes', () => {
    const narrowed = configured.when('order.pair-filter', { ...order, btc_token_ids: ['btc1'], eure_token_id: 'eure' })
    expect(narrowed.when('order.pair-filter-reset', order).context['filter']).toEqual(env)
    const other = { btc_token_ids: ['btc3'], eure_token_id: 'eure' }
    expect(narrowed.when('configured', other).context['filter']).toEqual(other)
  })

  it('tells the direction as the taker gives, and nothing for any other pair', () => {
    expect(directionOf(env, 'btc2', 'eure')).toBe('btc_to_eure')
    expect(directionOf(env, 'eure', 'btc1')).toBe('eure_to_btc')
    for (const [give, take] of [
      ['btc1', 'btc2'],
      ['eure', 'eure'],
      ['usdc', 'eure'],
      ['btc1', 'usdc'],
    ] as const)
      expect(directionOf(env, give, take)).toBeNull()
  })
})
