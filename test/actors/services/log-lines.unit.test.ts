import { expect, test } from 'vitest'
import type { Answer, EffectContext, EffectKind } from '#actors/runtime/service.ts'
import { alertLines } from '#actors/services/alert-evaluator/lines.ts'
import { fundingLines } from '#actors/services/liquidity-manager/lines.ts'
import { tellRecords } from '#actors/services/record-lines.ts'
import type { RecordLines } from '#actors/services/record-lines.ts'
import { loggedRead } from '#actors/services/source-lines.ts'
import { decisionLines } from '#actors/services/strategy-engine/lines.ts'
import { resultLines } from '#actors/services/trade-executor/lines.ts'

const logOf = () => {
  const lines: Record<string, unknown>[] = []
  const write = (level: string) => (fields: object, msg: string) => void lines.push({ level, ...fields, msg })
  return { lines, log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') } }
}

const tell = (lines: RecordLines, topic: string, payload: object): unknown[] => {
  const errors: unknown[] = []
  const record = { event_id: 'e', venue: 'near_intents', correlation_id: 'q-1', payload }
  tellRecords(lines, (error) => errors.push(error))([{ topic, partition: 0, key: null, position: 1, text: JSON.stringify(record) }])
  return errors
}

test.each([
  ['SUBMITTED', 'info', 'command.submitted'],
  ['REJECTED', 'warn', 'venue.rejected'],
  ['UNCERTAIN', 'warn', 'venue.timed_out'],
  ['RECOVERED', 'warn', 'command.recovered'],
  ['SETTLED', 'debug', 'command.settled'],
  ['SIGNER_MISSING', 'warn', 'command.failed'],
])('a result %s is a line at %s: %s', (result_code, level, event) => {
  const { lines, log } = logOf()
  tell(resultLines(log), 'exec.trade_result', { command_id: 'cmd-1', quote_id: 'q-1', execution_id: 'x', result_code, pair: 'BTC/EURe' })
  expect(lines).toMatchObject([
    { level, event, component: 'command', correlation_id: 'q-1', command_id: 'cmd-1', execution_id: 'x', venue: 'near_intents' },
  ])
})

test('a demand that is not traded is a line with its reason, edge and freshness', () => {
  const { lines, log } = logOf()
  const payload = {
    quote_id: 'q-1',
    decision_id: 'd',
    decision: 'skip',
    decision_reason: 'PRICE_STALE',
    gross_edge_pct: '2',
    price_freshness_ms: 9,
  }
  tell(decisionLines(log), 'decision.trade_decision', payload)
  expect(lines).toMatchObject([
    {
      level: 'info',
      event: 'strategy.rejected',
      decision_id: 'd',
      decision_reason: 'PRICE_STALE',
      gross_edge_pct: '2',
      price_freshness_ms: 9,
    },
  ])
})

test.each([
  ['address_requested', 'funding.requested'],
  ['deposit_seen', 'funding.seen'],
  ['deposit_credited', 'funding.credited'],
  ['deposit_failed', 'funding.failed'],
  ['withdrawals_frozen', 'funding.frozen'],
])('a treasury action %s is the line %s, and one that is late is funding.delayed', (action, event) => {
  const { lines, log } = logOf()
  tell(fundingLines(log), 'ops.liquidity_action', { action, liquidity_action_id: 'l-1', asset: 'BTC' })
  tell(alertLines(log), 'ops.alert_event', { alert: 'funding-stuck', alert_id: 'a', transition: 'raised', reason: 'late' })
  expect(lines).toMatchObject([
    { event, liquidity_action_id: 'l-1' },
    { event: 'funding.delayed', level: 'warn' },
  ])
})

test('a topic without a line has none, and a record that cannot be told does not reach the lane', () => {
  const { lines, log } = logOf()
  expect(tell(resultLines(log), 'ops.audit_state', {})).toEqual([])
  expect(
    tell(
      {
        'ops.audit_state': () => {
          throw new Error('oops')
        },
      },
      'ops.audit_state',
      {},
    ),
  ).toHaveLength(1)
  expect(lines).toEqual([])
})

test('a source that stops answering is one line, and its return is one', async () => {
  const { lines, log } = logOf()
  const answers: (Answer | Error)[] = [{ kind: 'ok' }, new Error('refused'), { kind: 'error' }, { kind: 'ok' }, { kind: 'ok' }]
  const read: EffectKind = {
    mode: 'idempotent',
    send: async () => {
      const next = answers.shift()
      if (next instanceof Error) throw next
      return next ?? {}
    },
  }
  const logged = loggedRead(read, log, 'verifier', ({ kind }) => (kind === 'ok' ? null : String(kind)))
  if (logged.mode !== 'idempotent') throw new Error('a read stays a read')
  const context = { signal: new AbortController().signal } as EffectContext
  for (let n = 0; n < 5; n++) await logged.send({}, context).catch(() => undefined)
  expect(lines.map(({ event }) => event)).toEqual(['source.lost', 'source.restored'])
})
