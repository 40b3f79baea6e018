import { describe, expect, it } from 'vitest'
import { definition } from '#actors/services/near-intents-ingest/actors.ts'
import { Env } from '#actors/services/near-intents-ingest/config.ts'
import { readQuote, readUnknown } from '#actors/services/near-intents-ingest/effects.ts'
import { connectionEvent, ConnectionReporter } from '#actors/services/connection-reporter.ts'
import { readFrame } from '#actors/venues/near-intents/frames.ts'
import type { ConnectionState } from '#actors/venues/socket.ts'
import { topics } from '#machines/contracts/topics.ts'

const env = { KAFKA_BROKERS: 'localhost:1', DATABASE_URL: 'postgres://u@localhost/db', NEAR_INTENTS_RELAY_WS_URL: 'ws://localhost:1/ws' }
const filter = { btc_token_ids: ['nep141:btc.omft.near'], eure_token_id: 'eure' }
const quote = (give: string, take: string, fields: object = { exact_amount_in: '1000' }) => {
  const raw = JSON.stringify({
    jsonrpc: '2.0',
    method: 'event',
    params: {
      subscription: 's',
      data: {
        quote_id: 'q1',
        defuse_asset_identifier_in: give,
        defuse_asset_identifier_out: take,
        min_deadline_ms: 60_000,
        extra: [1],
        ...fields,
      },
    },
  })
  const frame = readFrame(raw)
  if (frame.kind !== 'quote') throw new Error(JSON.stringify(frame))
  return { data: frame.data, metadata: null, raw, receivedAtMs: 1_800_000_000_000 }
}

describe('what a quote frame becomes', () => {
  it('on the pair: the frame as it came and a demand caused by it, under one correlation id', () => {
    const { is, records } = readQuote(quote('nep141:btc.omft.near', 'eure'), filter)
    expect(is).toBe('on pair')
    expect(records.map(({ topic, correlation_id, causedBy }) => [topic, correlation_id, causedBy])).toEqual([
      ['raw.near_intents.quote', 'q1', undefined],
      ['norm.swap_demand', 'q1', 0],
    ])
    expect(topics['norm.swap_demand'].schema.parse(records[1]?.payload)).toMatchObject({
      quote_id: 'q1',
      pair: 'BTC/EURe',
      direction: 'btc_to_eure',
      amount_in: '1000',
      amount_out: null,
      fixed_side: 'in',
      ttl_ms: 3_000,
      min_deadline_ms: 60_000,
    })
    expect(topics['raw.near_intents.quote'].schema.parse(records[0]?.payload).message).toMatchObject({ params: { data: { extra: [1] } } })
  })

  it('off the pair: only the frame', () => {
    const { is, records } = readQuote(quote('usdc', 'eure'), filter)
    expect([is, records.map(({ topic }) => topic)]).toEqual(['off pair', ['raw.near_intents.quote']])
  })

  it('that cannot be read: kept with the reason', () => {
    const record = readUnknown('{"jsonrpc', 'not a JSON object', 1_800_000_000_000)
    expect(topics['raw.near_intents.quote'].schema.parse(record.payload)).toEqual({
      message: { unreadable: '{"jsonrpc', reason: 'not a JSON object' },
      quote_id: null,
    })
  })
})

describe('the environment', () => {
  it('has defaults for the pair, and refuses an empty place in the list', () => {
    expect(Env.parse(env).PAIR_BTC_TOKEN_IDS).toEqual(['nep141:btc.omft.near', 'nep141:nbtc.bridge.near'])
    expect(Env.safeParse({ ...env, PAIR_BTC_TOKEN_IDS: 'a,,b' }).success).toBe(false)
    expect(Env.safeParse({ ...env, NEAR_INTENTS_RELAY_WS_URL: 'http://x' }).success).toBe(false)
  })

  it('configures the pair filter', () => {
    expect(definition(Env.parse({ ...env, PAIR_EURE_TOKEN_ID: 'eure', PAIR_BTC_TOKEN_IDS: 'a, b' })).configure[0]?.values).toEqual({
      btc_token_ids: ['a', 'b'],
      eure_token_id: 'eure',
    })
  })
})

describe('what became of a connection', () => {
  const up: ConnectionState = { connected: true, reason: null, since: 1 }

  it('is told until somebody hears it, the newest only', () => {
    const heard: ConnectionState[] = []
    let listening = false
    const timers: (() => void)[] = []
    const clock = { after: (_: number, callback: () => void) => (timers.push(callback), () => {}) }
    const reporter = new ConnectionReporter({ clock, tell: (state) => listening && heard.push(state) > 0 })
    reporter.report({ connected: false, reason: 'starting', since: 0 })
    reporter.report(up)
    listening = true
    for (const timer of timers) timer()
    expect(heard).toEqual([up])
  })

  it('a refused credential blocks, anything else is away', () => {
    expect(connectionEvent(up)).toEqual({ type: 'connection.up' })
    expect(connectionEvent({ connected: false, reason: 'unauthorized', since: 0 }).type).toBe('connection.blocked')
    expect(connectionEvent({ connected: false, reason: 'no pong', since: 0 })).toEqual({ type: 'connection.down', reason: 'no pong' })
  })
})
