import { describe, expect, it } from 'vitest'
import type { CachedActor } from '#actors/runtime/lane/snapshot-cache.ts'
import { SnapshotCache } from '#actors/runtime/lane/snapshot-cache.ts'

const actor = (sequence: number, bytes = 200): CachedActor => ({
  state: { value: 's', context: {}, status: 'active', snapshot: null },
  sequence,
  bytes,
  baseDay: null,
  fresh: false,
  atMs: 0,
})

describe('the snapshot cache', () => {
  it('drops the least recently used beyond its bytes', () => {
    const cache = new SnapshotCache(2_100, new Set())
    for (const name of ['a', 'b']) cache.loaded(name, actor(1))
    cache.get('a')
    cache.loaded('c', actor(1))
    expect(['a', 'b', 'c'].map((name) => cache.has(name))).toEqual([true, false, true])
    expect(cache.bytes).toBeLessThanOrEqual(2_100)
  })

  it('keeps what a batch in flight has touched, whatever the bound, until it is committed', () => {
    const cache = new SnapshotCache(1_000, new Set())
    const changed = ['a', 'b', 'c'].map((name): [string, CachedActor] => [name, actor(2)])
    for (const [name, one] of changed) cache.changed(name, one)
    expect(changed.every(([name]) => cache.has(name))).toBe(true)
    cache.settle(new Map(changed))
    expect(changed.filter(([name]) => cache.has(name))).toHaveLength(1)
  })

  it('keeps what a later batch changed again, as that batch left it', () => {
    const cache = new SnapshotCache(1_000, new Set())
    const [first, second] = [actor(2), actor(3)]
    cache.changed('a', first)
    cache.changed('a', second)
    cache.settle(new Map([['a', first]]))
    cache.loaded('b', actor(1))
    expect(cache.get('a')).toBe(second)
  })

  it('never drops a fixed actor', () => {
    const cache = new SnapshotCache(1_000, new Set(['desk']))
    cache.loaded('desk', actor(1))
    for (const name of ['a', 'b', 'c']) cache.loaded(name, actor(1))
    expect(cache.has('desk')).toBe(true)
    const changed = actor(2)
    cache.changed('desk', changed)
    cache.settle(new Map([['desk', changed]]))
    expect(cache.get('desk')).toBe(changed)
  })

  it('keeps one that is larger than the whole', () => {
    const cache = new SnapshotCache(100, new Set())
    cache.loaded('large', actor(1, 10_000))
    expect(cache.has('large')).toBe(true)
  })

  it('counts a turn whose actor had to be read as a miss, and the next one as a hit', () => {
    const cache = new SnapshotCache(10_000, new Set())
    cache.get('new')
    cache.loaded('stored', { ...actor(1), fresh: true })
    cache.peek('stored')
    cache.get('stored')
    cache.get('stored')
    expect({ hits: cache.hits, misses: cache.misses }).toEqual({ hits: 1, misses: 2 })
  })
})
