/** Feeds W1's events to a lane through Kafka, from a process of its own: one record each, the event's number in its quote_id. */
import { randomUUID } from 'node:crypto'
import { setTimeout as after } from 'node:timers/promises'
import { FeedSource } from '#actors/runtime/feed-source.ts'
import { systemClock } from '#actors/runtime/system-clock.ts'
import { kafkaBus } from '#bus/kafka.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import { demandOf } from '../scale/demand.ts'
import { quiet } from './bench-host.ts'
import { nowMs } from './clock.ts'

/** Actors `first` to `first + actors`, five events each; at once, or so many events a second. */
export interface FeedCommand {
  readonly brokers: string
  readonly name: string
  readonly actors: number
  readonly events: number
  readonly perSecond: number | null
}

/** Wall clock of each event in order, ms with fractions; Kafka has them all. */
export type FeedAnswer = readonly number[]

/** Actors whose events are interleaved. */
const WINDOW = 200
const CHUNK = 1_000

/** The n-th event in the order of W1: a window of actors, step after step. */
const idOf = (n: number, { name, actors, events }: FeedCommand): string => {
  const first = Math.floor(n / (WINDOW * events)) * WINDOW
  const [width, within] = [Math.min(WINDOW, actors - first), n - first * events]
  return `${name}-${first + (within % width)}.${Math.floor(within / width)}`
}

const feed = async (command: FeedCommand): Promise<FeedAnswer> => {
  const { brokers, actors, events, perSecond } = command
  const bus = kafkaBus({ brokers, clientId: 'bench-feed', log: quiet })
  const source = new FeedSource({
    service: 'near-intents-ingest',
    process: randomUUID(),
    bus,
    clock: systemClock,
    log: quiet,
    partitionOf: () => 0,
  })
  const sentMs: number[] = []
  const total = actors * events
  /** False: that was the last. */
  const give = (count: number): boolean => {
    const records = Array.from({ length: Math.min(count, total - sentMs.length) }, (_, n) =>
      demandOf('bench', idOf(sentMs.length + n, command), PAIR),
    )
    const now = nowMs()
    if (records.length > 0 && !source.publish(records)) throw new Error('the feed had to drop')
    for (let n = 0; n < records.length; n++) sentMs.push(now)
    return sentMs.length < total
  }
  if (perSecond === null) while (give(CHUNK)) await source.drained()
  else {
    const began = performance.now()
    // What a late timer missed is sent at once: the rate holds over the whole span.
    while (sentMs.length < total) {
      give(Math.floor(((performance.now() - began) / 1_000) * perSecond) - sentMs.length)
      await after(1)
    }
    await source.drained()
  }
  source.close()
  await bus.close()
  return sentMs
}

process.on('message', (command: FeedCommand) => void feed(command).then((answer) => process.send?.(answer)))
