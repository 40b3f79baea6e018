import { describe as suite, expect, it } from 'vitest'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import { definition } from '#actors/services/trade-executor/actors.ts'
import { Env } from '#actors/services/trade-executor/config.ts'
import { describe } from '#actors/services/trade-executor/describe.ts'
import type { ExecutorView } from '#actors/services/trade-executor/describe.ts'
import { tallyMachine } from '#machines/command/tally.ts'

const ENV = {
  KAFKA_BROKERS: '127.0.0.1:9092',
  DATABASE_URL: 'postgres://x@127.0.0.1/x',
  NEAR_INTENTS_RELAY_WS_URL: 'ws://127.0.0.1:1/ws',
  NEAR_RPC_URLS: 'http://127.0.0.1:2, http://127.0.0.1:3',
  STRICT_AUDIT: 'false',
}
const env = Env.parse(ENV)
const tables = { get: () => null, rows: () => [] }
const stamp = { now: 5_000, id: 'i:1', cause: null }

const viewOf = (change: Partial<ExecutorView> = {}): ExecutorView => ({
  actor: () => [],
  counters: {},
  openEffects: () => 0,
  lanes: [],
  tables,
  nowMs: 10_000,
  authority: { signer: 'missing', salt: null, problem: 'NEAR_INTENTS_SIGNING_KEY is not set', checked_at_ms: null },
  relay: null,
  ...change,
})

suite('trade-executor', () => {
  it('reads a comma list of nodes, and refuses empty or malformed variables', () => {
    expect(env.NEAR_RPC_URLS).toEqual(['http://127.0.0.1:2', 'http://127.0.0.1:3'])
    expect(env.PAIR_BTC_TOKEN_IDS).toHaveLength(2)
    for (const [name, value] of Object.entries({
      NEAR_RPC_URLS: 'nonsense',
      EXECUTOR_ANSWER_TIMEOUT_MS: '',
      STRICT_AUDIT: 'perhaps',
      PAIR_EURE_TOKEN_ID: ' ',
    }))
      expect(Env.safeParse({ ...ENV, [name]: value }).success, name).toBe(false)
  })

  it('every machine that it hosts can be run, and every effect that they ask for has a handler', () => {
    const { kinds, effects } = definition(env, {
      nowMs: () => 0,
      account_id: '',
      authority: () => viewOf().authority,
      salts: () => [],
      actor: () => [],
      sendOffer: { mode: 'idempotent', send: async () => ({}) },
    })
    for (const { machine, version } of Object.values(kinds)) expect(runnable(machine, version).hash).toMatch(/^[0-9a-f]{16}$/)
    expect(Object.keys(effects)).toEqual(['sendOffer'])
  })

  it('without a key it stays observable and says which variable is missing', () => {
    const { blocked, connected } = describe(env, viewOf())
    expect(connected).toBe(false)
    expect(blocked).toMatchObject([
      { code: 'NOT_ARMED' },
      { code: 'SIGNER_MISSING', detail: 'NEAR_INTENTS_SIGNING_KEY is not set' },
      { code: 'RELAY_NOT_CONNECTED', detail: 'not started' },
    ])
  })

  it('adds up the lanes, and takes the latest of each', () => {
    const tally = runnable(tallyMachine, 1)
    const seen = (id: string, now: number, code: string | null) => {
      let { state } = tally.begin({})
      const events = [
        { type: 'command.opened', command_id: id, quote_id: id, quote_hash: 'h', answer_by: '' },
        { type: 'command.answered', command_id: id, result_code: 'REJECTED', note: 'no' },
        ...(code ? [{ type: 'command.ended', command_id: id, quote_id: id, result_code: code, note: null, was_open: true }] : []),
      ]
      for (const event of events) ({ state } = tally.turn(state, Object.assign({}, stamp, event, { now })))
      return { lane: 0, state: state.value, context: state.context }
    }
    const view = viewOf({
      actor: (kind) => (kind === 'tally' ? [seen('cmd-a', 5_000, null), seen('cmd-b', 6_000, 'SETTLED')] : []),
    })
    expect(describe(env, view).section['executor']).toMatchObject({
      armed: false,
      in_flight: 1,
      completed: 1,
      last_command: { command_id: 'cmd-b' },
      last_request: { quote_hash: 'h' },
      last_venue_response: { command_id: 'cmd-b', result_code: 'REJECTED', at: '1970-01-01T00:00:06.000Z' },
      errors: { REJECTED: 2 },
    })
  })
})
