import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTopicLog, brokenPositions, envelopeOf } from '../e2e/topic-log.ts'
import type { TopicLog } from '../e2e/topic-log.ts'
import { Demands, Fleet } from './fleet.ts'

const LANES = 10
const PAIRS = 60
const EVERY_MS = 20
const AT_ONCE = 15
const IN_TIME = { timeout: 20_000, interval: 50 }

let fleet: Fleet
let demands: Demands
let log: TopicLog
let flow: NodeJS.Timeout | undefined
beforeAll(async () => {
  fleet = await Fleet.open(LANES)
  log = await openTopicLog(fleet.stack.brokers)
  demands = new Demands(fleet, PAIRS)
})
afterAll(async () => {
  clearInterval(flow)
  await demands?.close()
  await log?.close()
  await fleet?.close()
})

/** So many processes hold all lanes, none of them more than its share. */
const evenly = async (processes: number): Promise<void> => {
  const most = Math.ceil(LANES / processes)
  const seen = async () => {
    const shares = await fleet.shares()
    return { processes: shares.length, held: shares.reduce((sum, held) => sum + held, 0), above: shares.filter((held) => held > most) }
  }
  await expect.poll(seen, IN_TIME).toEqual({ processes, held: LANES, above: [] })
}
/** Work goes on: this many more demands are answered from here. */
const answers = (): number => log.records.filter(({ topic }) => topic === 'ops.alert_event').length
const more = (count: number): Promise<true> => {
  const before = answers()
  return log.until(`${count} more answers`, () => answers() >= before + count || undefined, 20_000)
}

test('under load, lanes are shared evenly by two, four and five processes, and by those that are left', { timeout: 120_000 }, async () => {
  fleet.join()
  fleet.join()
  await evenly(2)
  flow = setInterval(() => expect(demands.publish(AT_ONCE)).toBe(true), EVERY_MS)
  await more(500)
  fleet.join()
  fleet.join()
  await evenly(4)
  await more(500)
  const fifth = fleet.join()
  await evenly(5)
  await more(500)
  expect(await fleet.leave(fifth, 'SIGTERM')).toBe(0)
  await evenly(4)
  await more(500)
  await fleet.leave(fleet.members[0]!, 'SIGKILL')
  await evenly(3)
  await more(500)
})

test('after that every demand has one answer: none is double, none is lost, no position is missing', { timeout: 60_000 }, async () => {
  clearInterval(flow)
  await log.until('an answer to every demand', () => answered().size === demands.sent || undefined, 30_000)
  await log.caughtUp()
  expect(brokenPositions(log.records)).toEqual([])
  const distinct = new Map([...unrepeated()].map(([at, { payload }]) => [at, payload['alert_id']]))
  expect(distinct.size).toBe(demands.sent)
  expect(await fleet.turns()).toMatchObject({ parked: 0, halted: 0 })
})

/** By source, incarnation and position: what a successor has published again counts once. */
const unrepeated = (): Map<string, ReturnType<typeof envelopeOf>> =>
  new Map(
    log.records
      .filter(({ topic }) => topic === 'ops.alert_event')
      .map((record) => {
        const { 'unrip-source': source, 'unrip-incarnation': incarnation, 'unrip-position': position } = record.headers
        return [`${record.partition} ${source} ${incarnation} ${position}`, envelopeOf(record)]
      }),
  )

const answered = (): Set<unknown> => new Set([...unrepeated().values()].map(({ payload }) => payload['alert_id']))
