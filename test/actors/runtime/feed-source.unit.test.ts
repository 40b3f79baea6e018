import { describe, expect, it } from 'vitest'
import { FeedSource } from '#actors/runtime/feed-source.ts'
import type { FeedRecord } from '#actors/runtime/feed-source.ts'
import { memoryBus } from '../../twins/bus.ts'
import { promisesSettled, VirtualTime } from '../../simulation/virtual-time.ts'

const INCARNATION = '019b0000-0000-7000-8000-000000000001'
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

const begun = () => {
  const time = new VirtualTime(1_000)
  const bus = memoryBus({ partitions: 2, clock: { wallMs: () => time.nowMs }, schedule: (step, what) => void time.after(1, what, step) })
  const feed = new FeedSource({
    service: 'ingest',
    process: 'p1',
    incarnation: INCARNATION,
    bus: bus.connect(),
    clock: { wallMs: () => time.nowMs, monotonicMs: () => time.nowMs, after: (ms, run) => time.after(ms, 'timer', run) },
    log: quiet,
    partitionOf: (laneKey) => (laneKey.endsWith('b') ? 1 : 0),
  })
  const pass = async (ms: number): Promise<void> => {
    const until = time.nowMs + ms
    await promisesSettled()
    while (await time.step(until));
  }
  return { bus, feed, pass }
}

const quote = (quote_id: string, text = ''): FeedRecord => ({
  topic: 'raw.near_intents.quote',
  venue: 'near_intents',
  payload: { message: { text }, quote_id },
  raw: {},
  observed_at: null,
  correlation_id: quote_id,
})

describe('a feed', () => {
  it('counts from 1 for each partition, whatever is sent again', async () => {
    const { bus, feed, pass } = begun()
    bus.nextFates('acknowledgement lost')
    for (const id of ['1a', '1b', '2a', '3a', '2b']) feed.publish([quote(id)])
    await pass(1_000)
    const positions = (partition: number): string[] =>
      bus.log('raw.near_intents.quote', partition).map(({ headers }) => headers['unrip-position']!)
    expect([...new Set(positions(0))]).toEqual(['1', '2', '3'])
    expect([...new Set(positions(1))]).toEqual(['1', '2'])
    expect(bus.log('raw.near_intents.quote', 0)[0]!.headers).toMatchObject({
      'unrip-source': 'ingest#p1',
      'unrip-incarnation': INCARNATION,
    })
  })

  it('names a cause within the same call', async () => {
    const { bus, feed, pass } = begun()
    feed.publish([quote('1a'), { ...quote('2a'), causedBy: 0 }])
    await pass(10)
    const [first, second] = bus
      .log('raw.near_intents.quote', 0)
      .map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as { event_id: string; causation_id: string | null })
    expect(second!.causation_id).toBe(first!.event_id)
    expect(first!.causation_id).toBeNull()
  })

  it('drops before it numbers while Kafka takes nothing, and what Kafka would never take', async () => {
    const { bus, feed, pass } = begun()
    expect(feed.publish([quote('1a'), quote('2a', 'x'.repeat(300_000))])).toBe(false)
    expect(feed.publish([quote('3a', 'ä'.repeat(140_000))])).toBe(false)
    expect(feed.dropped).toBe(3)
    const taken = Array.from({ length: 60 }, (_, n) => feed.publish([quote(`${n}a`, 'x'.repeat(200_000))]))
    expect(taken.at(-1)).toBe(false)
    await pass(1_000)
    expect(feed.publish([quote('last a')])).toBe(true)
    await pass(100)
    const positions = bus.log('raw.near_intents.quote', 0).map(({ headers }) => Number(headers['unrip-position']))
    expect(positions).toEqual(positions.map((_, index) => index + 1))
    expect(positions).toHaveLength(feed.published)
  })

  it('goes on after an empty call', async () => {
    const { bus, feed, pass } = begun()
    feed.publish([])
    feed.publish([quote('1a')])
    await pass(10)
    expect(bus.log('raw.near_intents.quote', 0)).toHaveLength(1)
  })
})
