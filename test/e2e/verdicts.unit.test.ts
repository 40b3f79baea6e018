import { expect, test } from 'vitest'
import { brokenPositions } from './topic-log.ts'
import type { LoggedRecord } from './topic-log.ts'
import { secondEnds, untruths, withoutEnd } from './verdicts.ts'
import type { Final } from './verdicts.ts'
import type { VenueAnswer } from './venues.ts'

const record = (topic: string, position: number, payload: object, partition = 0): LoggedRecord => ({
  topic,
  partition,
  offset: position - 1,
  key: null,
  text: JSON.stringify({ event_id: `${topic} ${position}`, correlation_id: null, payload }),
  headers: { 'unrip-source': 'a/0', 'unrip-incarnation': 'i', 'unrip-position': String(position) },
  timestampMs: 0,
})
const demand = record('norm.swap_demand', 1, { quote_id: 'q' })
const decision = record('decision.trade_decision', 1, { quote_id: 'q' })
const command = record('cmd.execute_trade', 1, { quote_id: 'q', command_id: 'c' })
const result = (result_code: string) => record('exec.trade_result', 1, { quote_id: 'q', result_code })

test('a demand without a decision and a command without a final result have no end, and name the actor whose work they are', () => {
  expect(withoutEnd([demand]).map(({ text, actor }) => [text, actor])).toEqual([['demand of q has no end', 'q']])
  expect(withoutEnd([demand, decision])).toEqual([])
  expect(withoutEnd([command, result('SUBMITTED')]).map(({ text, actor }) => [text, actor])).toEqual([['command of q has no end', 'c']])
  expect(withoutEnd([command, result('SETTLED')])).toEqual([])
})

test('a gap in positions is broken, a repeat of the same bytes is not, one of other bytes is', () => {
  const sent = (position: number, what = position) => record('t', position, { what })
  expect(brokenPositions([sent(1), sent(2), sent(2), sent(3)])).toEqual([])
  expect(brokenPositions([sent(1), sent(3)])).toEqual([expect.stringContaining('position 3 after 1')])
  expect(brokenPositions([sent(1), sent(1, 7)])).toEqual([expect.stringContaining('again with other bytes')])
})

const final = (result_code: string, quote_id = 'q'): Final => ({ quote_id, result_code, tx_hash: null, quote_hash: 'h', settled_height: 5 })
const answer = (state: VenueAnswer['state']): VenueAnswer => ({
  quote_id: 'q',
  quote_hash: 'h',
  token_out: 't',
  amount_in: '1',
  amount_out: '1',
  relay_said: 'OK',
  state,
  settled_height: 5,
})

test('a second final result, one that the venue contradicts, none at all, and a settlement nobody answered are each told', () => {
  expect(untruths([answer('settled')], [final('SETTLED')])).toEqual([])
  expect(secondEnds([final('SETTLED'), final('SETTLED')])).toEqual(['q: 2 final results'])
  expect(untruths([answer('settled')], [final('EXPIRED_UNUSED')])).toHaveLength(1)
  expect(untruths([answer('settled')], [])).toHaveLength(1)
  expect(untruths([], [final('SETTLED')])).toEqual(['q: settled unanswered'])
})
