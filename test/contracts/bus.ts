import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BusReader, BusRecord, MessageBus, OutRecord } from '#actors/runtime/bus-port.ts'

/** What a suite is run on: an empty log, as many processes as asked for. */
export interface BusUnderTest {
  /** a process of its own */
  connect(): MessageBus
  close(): Promise<void>
}

export interface BusContract {
  readonly name: string
  /** topics of these names with three partitions each, empty */
  open(topics: readonly string[]): Promise<BusUnderTest>
}

const LANES = 3
let counter = 0

/** What one reader was told, and a way to wait for it. */
export class Heard {
  readonly records: BusRecord[] = []
  readonly table: BusRecord[] = []
  readonly gaps: { lane: number; topic: string; expected: number; found: number }[] = []
  readonly failures: Error[] = []
  highWatermark = -1
  readonly #waiting = new Set<() => void>()

  readonly callbacks = {
    onRecords: (lane: number, topic: string, records: readonly BusRecord[], highWatermark: number): void => {
      assert(records.length > 0 && records.every((record) => record.topic === topic && record.partition === lane))
      this.records.push(...records)
      this.highWatermark = highWatermark
      this.#look()
    },
    onTable: (record: BusRecord): void => {
      this.table.push(record)
      this.#look()
    },
    onGap: (lane: number, topic: string, expected: number, found: number): void => {
      this.gaps.push({ lane, topic, expected, found })
      this.#look()
    },
    onFailure: (error: Error): void => {
      this.failures.push(error)
      this.#look()
    },
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  values(topic?: string): string[] {
    return this.records.filter((record) => topic === undefined || record.topic === topic).map(textOf)
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }
}

const textOf = ({ value }: BusRecord): string => Buffer.from(value ?? []).toString()

export const out = (topic: string, partition: number, ...texts: string[]): OutRecord[] =>
  texts.map((text) => ({ topic, partition, key: `key-${text}`, value: Buffer.from(text), headers: { 'Unrip-Source': 'test/0' } }))

/** What every bus owes the runtime; run on the twin and on Kafka. */
export const busContract = ({ name, open }: BusContract): unknown =>
  describe(`the bus contract on ${name}`, () => {
    let bus: BusUnderTest
    let mine: MessageBus
    let [one, two, service] = ['', '', '']
    const readers: BusReader[] = []

    beforeEach(async () => {
      counter += 1
      const run = `${process.pid}-${counter}`
      ;[one, two, service] = [`one-${run}`, `two-${run}`, `service-${run}`]
      bus = await open([one, two])
      mine = bus.connect()
    })
    afterEach(async () => {
      await Promise.all(readers.splice(0).map((reader) => reader.close()))
      await mine.close()
      await bus.close()
    })

    const read = async (heard: Heard, options: { inputs?: string[]; tables?: string[]; tableBackMs?: number } = {}): Promise<BusReader> => {
      const { inputs = [one, two], tables = [], tableBackMs = 60_000 } = options
      const reader = await mine.reader({ service, inputs, tables, tableBackMs, ...heard.callbacks })
      readers.push(reader)
      return reader
    }

    test('records of one partition arrive in order, from offset 0 on, with all that was sent', async () => {
      const heard = new Heard()
      const reader = await read(heard)
      reader.take(1, { [one]: 0, [two]: 0 })
      const before = Date.now()
      await mine.send(out(one, 1, 'a', 'b'))
      await mine.send([...out(one, 1, 'c'), { topic: one, partition: 1, key: null, value: new Uint8Array([0, 255]), headers: {} }])
      await heard.until(() => heard.records.length === 4)
      expect(heard.records.map(({ offset }) => offset)).toEqual([0, 1, 2, 3])
      expect(heard.values(one).slice(0, 3)).toEqual(['a', 'b', 'c'])
      expect(heard.records[0]).toMatchObject({ topic: one, partition: 1, key: 'key-a', headers: { 'unrip-source': 'test/0' } })
      expect(heard.records[3]).toMatchObject({ key: null, headers: {} })
      expect([...(heard.records[3]?.value ?? [])]).toEqual([0, 255])
      expect(heard.records[0]?.timestampMs).toBeGreaterThanOrEqual(before - 1_000)
      expect(heard.highWatermark).toBe(4)
    })

    test('one send reaches several topics and partitions', async () => {
      const heard = new Heard()
      const reader = await read(heard)
      for (const lane of [0, 1, 2]) reader.take(lane, { [one]: 0, [two]: 0 })
      await mine.send([...out(one, 0, 'a'), ...out(two, 2, 'b'), ...out(one, 1, 'c'), ...out(one, 0, 'd')])
      await heard.until(() => heard.records.length === 4)
      expect(heard.values().toSorted()).toEqual(['a', 'b', 'c', 'd'])
      expect(heard.records.filter(({ topic, partition }) => topic === one && partition === 0).map(textOf)).toEqual(['a', 'd'])
    })

    test('what is sent again is there again: who repeats after a doubtful send writes twice', async () => {
      const heard = new Heard()
      const reader = await read(heard)
      reader.take(0, { [one]: 0, [two]: 0 })
      await mine.send(out(one, 0, 'a'))
      await mine.send(out(one, 0, 'a'))
      await heard.until(() => heard.records.length === 2)
      expect(heard.values()).toEqual(['a', 'a'])
    })

    test('sends of several sources at once are all written, each in its own order', async () => {
      const heard = new Heard()
      const reader = await read(heard)
      reader.take(2, { [one]: 0, [two]: 0 })
      const source = async (letter: string): Promise<void> => {
        for (let count = 0; count < 10; count += 1) await mine.send(out(one, 2, `${letter}${count}`, `${letter}${count}+`))
      }
      await Promise.all(['a', 'b', 'c'].map(source))
      await heard.until(() => heard.records.length === 60)
      for (const letter of ['a', 'b', 'c'])
        expect(heard.values().filter((text) => text.startsWith(letter))).toEqual(
          Array.from({ length: 10 }, (_, count) => [`${letter}${count}`, `${letter}${count}+`]).flat(),
        )
    })

    test('a partition that does not exist is refused by name, and the next send goes through', async () => {
      await expect(mine.send([...out(one, 0, 'a'), ...out(one, LANES, 'b')])).rejects.toMatchObject({
        code: 'no_such_partition',
        message: expect.stringContaining(`${one}/${LANES}`) as string,
      })
      await mine.send(out(one, 0, 'c'))
      const heard = new Heard()
      const reader = await read(heard)
      reader.take(0, { [one]: 0, [two]: 0 })
      await heard.until(() => heard.values().includes('c'))
    })

    test('a lane that is not held is silent, one that is taken starts where it is told', async () => {
      const heard = new Heard()
      const reader = await read(heard)
      await mine.send([...out(one, 0, 'a', 'b', 'c'), ...out(one, 1, 'x', 'y')])
      reader.take(1, { [one]: 1, [two]: 0 })
      await heard.until(() => heard.records.length === 1)
      expect(heard.values()).toEqual(['y'])
      reader.take(0, { [one]: 2, [two]: 0 })
      await heard.until(() => heard.records.length === 2)
      expect(heard.values()).toEqual(['y', 'c'])
    })

    test('after leave nothing arrives, and taking again goes on at the offset given, back or ahead', async () => {
      const heard = new Heard()
      const reader = await read(heard)
      reader.take(0, { [one]: 0, [two]: 0 })
      reader.take(1, { [one]: 0, [two]: 0 })
      await mine.send(out(one, 0, 'a', 'b', 'c'))
      await heard.until(() => heard.records.length === 3)
      reader.leave(0)
      await mine.send(out(one, 0, 'd', 'e'))
      await mine.send(out(one, 1, 'other'))
      await heard.until(() => heard.values().includes('other'))
      expect(heard.values()).toEqual(['a', 'b', 'c', 'other'])
      reader.take(0, { [one]: 1, [two]: 0 })
      await heard.until(() => heard.records.length === 8)
      expect(heard.values().slice(4)).toEqual(['b', 'c', 'd', 'e'])
      reader.leave(0)
      reader.take(0, { [one]: 4, [two]: 0 })
      await heard.until(() => heard.records.length === 9)
      expect(heard.values().at(-1)).toBe('e')
      expect(heard.gaps).toEqual([])
    })

    test('leaving and taking a lane again and again under load never skips, repeats or reorders', async () => {
      const heard = new Heard()
      const reader = await read(heard, { inputs: [one] })
      const writing = (async () => {
        for (let count = 0; count < 60; count += 1)
          await mine.send(out(one, 0, ...Array.from({ length: 5 }, (_, index) => `${count * 5 + index}`)))
      })()
      const inOrder = (): boolean => heard.records.every(({ offset }, index) => offset === index)
      reader.take(0, { [one]: 0 })
      for (let round = 1; round <= 20; round += 1) {
        await heard.until(() => heard.records.length >= round * 5)
        reader.leave(0)
        const at = heard.records.length
        await Promise.resolve()
        expect(heard.records.length).toBe(at)
        reader.take(0, { [one]: at })
      }
      await writing
      await heard.until(() => heard.records.length >= 300)
      expect(heard.records.length).toBe(300)
      expect(inOrder()).toBe(true)
      expect(heard.gaps).toEqual([])
    })

    test('an input on hold is silent while the others of its lane go on, and resumes at the next undelivered offset', async () => {
      const heard = new Heard()
      const reader = await read(heard)
      reader.take(0, { [one]: 0, [two]: 0 })
      await mine.send(out(one, 0, 'a'))
      await heard.until(() => heard.records.length === 1)
      reader.hold(0, one)
      await mine.send(out(one, 0, 'b', 'c'))
      await mine.send(out(two, 0, 'x'))
      await heard.until(() => heard.values(two).length === 1)
      expect(heard.values(one)).toEqual(['a'])
      reader.resume(0, one)
      await heard.until(() => heard.values(one).length === 3)
      expect(heard.values(one)).toEqual(['a', 'b', 'c'])
    })

    test('resume with an offset goes on there, back or ahead', async () => {
      const heard = new Heard()
      const reader = await read(heard, { inputs: [one] })
      reader.take(0, { [one]: 0 })
      await mine.send(out(one, 0, 'a', 'b', 'c', 'd'))
      await heard.until(() => heard.records.length === 4)
      reader.hold(0, one)
      reader.resume(0, one, 2)
      await heard.until(() => heard.records.length === 6)
      reader.hold(0, one)
      reader.resume(0, one, 3)
      await heard.until(() => heard.records.length === 7)
      expect(heard.values()).toEqual(['a', 'b', 'c', 'd', 'c', 'd', 'd'])
    })

    test('hold and resume of what is not held are nothing', async () => {
      const heard = new Heard()
      const reader = await read(heard, { inputs: [one] })
      reader.hold(0, one)
      reader.resume(0, one)
      reader.leave(2)
      await mine.send([...out(one, 0, 'a'), ...out(one, 1, 'b')])
      reader.take(1, { [one]: 0 })
      await heard.until(() => heard.records.length === 1)
      expect(heard.values()).toEqual(['b'])
    })

    test('an offset past the end is a gap, told once, and the lane goes on where it is told to', async () => {
      const heard = new Heard()
      const reader = await read(heard, { inputs: [one] })
      await mine.send(out(one, 0, 'a', 'b'))
      reader.take(0, { [one]: 7 })
      await heard.until(() => heard.gaps.length > 0)
      expect(heard.gaps).toEqual([{ lane: 0, topic: one, expected: 7, found: 2 }])
      await mine.send(out(one, 0, 'c'))
      reader.resume(0, one, 1)
      await heard.until(() => heard.records.length === 2)
      expect(heard.values()).toEqual(['b', 'c'])
      expect(heard.gaps.length).toBe(1)
    })

    test('a table is read in every partition from so long ago, and followed', async () => {
      const [all, late] = [new Heard(), new Heard()]
      await mine.send([...out(two, 0, 'old'), ...out(two, 2, 'old')])
      await new Promise((resolve) => setTimeout(resolve, 300)) // a table looks back in time, so time has to pass
      await read(all, { inputs: [one], tables: [two], tableBackMs: 60_000 })
      await read(late, { inputs: [one], tables: [two], tableBackMs: 100 })
      await mine.send(out(two, 2, 'new'))
      await mine.send(out(two, 1, 'newer'))
      await Promise.all([all.until(() => all.table.length === 4), late.until(() => late.table.length === 2)])
      expect(all.table.map(textOf).toSorted()).toEqual(['new', 'newer', 'old', 'old'])
      expect(late.table.map(textOf).toSorted()).toEqual(['new', 'newer'])
      expect([...all.records, ...late.records]).toEqual([])
    })

    test('ends tell where each input begins and ends and what was committed', async () => {
      const heard = new Heard()
      const reader = await read(heard)
      await mine.send([...out(one, 1, 'a', 'b'), ...out(two, 0, 'x')])
      const sorted = async (): Promise<unknown[]> => (await reader.ends(1)).toSorted((a, b) => a.topic.localeCompare(b.topic))
      expect(await sorted()).toEqual([
        { topic: one, low: 0, high: 2, committed: null },
        { topic: two, low: 0, high: 0, committed: null },
      ])
      reader.take(1, { [one]: 0, [two]: 0 })
      reader.commit(1, { [one]: 2 })
      await expect.poll(sorted, { timeout: 5_000, interval: 100 }).toEqual([
        { topic: one, low: 0, high: 2, committed: 2 },
        { topic: two, low: 0, high: 0, committed: null },
      ])
    })

    test('two services read the same log without taking anything from each other', async () => {
      const [heard, other] = [new Heard(), new Heard()]
      const reader = await read(heard, { inputs: [one] })
      const elsewhere = bus.connect()
      const others = await elsewhere.reader({ service: `${service}-b`, inputs: [one], tables: [], tableBackMs: 0, ...other.callbacks })
      reader.take(0, { [one]: 0 })
      others.take(0, { [one]: 0 })
      await elsewhere.send(out(one, 0, 'a', 'b'))
      await Promise.all([heard.until(() => heard.records.length === 2), other.until(() => other.records.length === 2)])
      await elsewhere.close()
      await mine.send(out(one, 0, 'c'))
      await heard.until(() => heard.records.length === 3)
      expect(other.values()).toEqual(['a', 'b'])
    })

    test('a closed bus refuses to send', async () => {
      const gone = bus.connect()
      await gone.send(out(one, 0, 'a'))
      await gone.close()
      await expect(gone.send(out(one, 0, 'b'))).rejects.toMatchObject({ code: 'closed' })
    })
  })
