import type { AnyStateMachine } from 'xstate'
import { alertBoardMachine } from '#machines/alert/board.ts'
import { alertMachine } from '#machines/alert/machine.ts'
import { armMachine } from '#machines/arm/machine.ts'
import { commandMachine } from '#machines/command/machine.ts'
import { saltsMachine } from '#machines/command/salts.ts'
import { tallyMachine } from '#machines/command/tally.ts'
import { deskMachine } from '#machines/desk/machine.ts'
import { feedMachine } from '#machines/feed/machine.ts'
import { pairFilterMachine } from '#machines/feed/pair-filter.ts'
import { fundingHandleMachine } from '#machines/funding/handle.ts'
import { freezeMachine, treasuryMachine } from '#machines/funding/treasury.ts'
import { writerMachine } from '#machines/history/writer.ts'
import { inventoryMachine } from '#machines/inventory/machine.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import { priceReferenceMachine } from '#machines/price-reference/machine.ts'
import { quoteMachine } from '#machines/quote/machine.ts'
import { BTC, CONFIG, demandOf, DESK, EURE, inventoryAt, krakenAt, priceOf, resultOf, TestDesk } from './desk/trading.ts'

/** A machine and the events that, between them, take each of its transitions. */
export interface Model {
  readonly machine: AnyStateMachine
  readonly inputs?: readonly unknown[]
  readonly events: readonly Case[]
  /** What tells two states apart beside their value, where a guard looks at it; it keeps the graph finite. */
  readonly apart?: (context: never) => unknown
  /** False where an event cannot come: the machine's precondition. */
  readonly can?: (context: never, event: Case) => boolean
  /** `<source>: <event>[<index>]` to why no path takes it */
  readonly untaken?: Readonly<Record<string, string>>
}
export interface Case {
  readonly type: string
  readonly now: number
}

const NOW = 1_790_000_000_000
const on = (type: string, fields: object = {}, now = NOW): Case => ({ type, ...fields, now, ...{ id: 'inc:1', cause: null } })
const order = { by: 'ada', reason: 'because', order_id: '1' }
const parked = on('actor.parked', { parked: DESK })
const pause = [on('paused'), on('resumed')]
const arms = [on('armed', order), on('disarmed', order)]
const fails = (...effects: string[]) => effects.map((name) => on(`${name}.failed`, { error: 'x' }))
const timers = (...names: string[]) => names.map((name) => on(`xstate.after.${name}`))

const trading = new TestDesk()
const { decision, command } = trading.ask(demandOf('q'))
if (!command) throw new Error('the demand of this test did not trade')
const skipped = new TestDesk({}, { armed: false }).ask(demandOf('q'))
const result = (code: Parameters<typeof resultOf>[1]) => on('result.arrived', { result: resultOf(command, code, 7) })
const follow = <T>(value: T) => ({ value, event_id: 'e', topic: 't', partition: 0, offset: '7' })
const units = { quote_id: 'q', token: command.asset_out, units: command.amount_out }
const asked = (price: ReturnType<typeof priceOf> | null) => {
  const inventory = follow(inventoryAt(trading.lane.now, trading.inventory?.spendable ?? {}))
  const attached = { price: price && follow(price), inventory, audit: { writable: true } }
  return on('quote.asked', { demand: demandOf('q'), observed_at: new Date(NOW).toISOString(), attached }, trading.lane.now)
}

const means = { salt: '252812b3', recent_salts: [], account_id: 'solver.near', contract_id: 'intents.near', nonce_keep_ms: 259_200_000 }
const received = (signer: string) => {
  const attached = { ...means, signer, btc_tokens: [BTC], eure_token: EURE, inventory: null, audited: true }
  return on('command.received', { command, attached }, trading.lane.now)
}
const sent = (what: string, fields: object = {}) => on(`sendOffer.${what}`, { effect: 'i:1:0', ...fields })
const ended = { command_id: 'c', quote_id: 'q', result_code: 'SETTLED', note: null }

const good = (fields: object, now = NOW) =>
  on(
    'condition.good',
    { reason: 'fresh', reason_if_late: 'late', severity: 'critical', as_of_ms: NOW, good_for_ms: 10_000, ...fields },
    now,
  )
const bad = (fields: object) => on('condition.bad', { reason: 'r', severity: 'warning', for_ms: 0, quiet_ms: null, ...fields })

const ticker = (bid: string) => on('kraken.ticker', { bid, ask: '60010', at: NOW, venue_at: null })
const polled = { kind: 'price', eur: '60005', last_updated_at_ms: NOW, received_at_ms: NOW }
const priceConfig = { pair: 'BTC/EURe', poll_ms: 60_000, quiet_max_ms: 60_000, coingecko_max_age_ms: 180_000, conflict_bps: 75 }
const tokens = { account_id: 'solver.near', pair: 'BTC/EURe', token_ids: [BTC] }
const read = (amount: string, block_height: number) => {
  const answer = { spendable: { [BTC]: amount }, block_height, block_timestamp_ms: NOW, read_at_ms: NOW, disagreement: null }
  return on('readBalances.done', { answer })
}
const row = { tx_hash: 't', status: 'PENDING', token_id: BTC, amount: '5', address: 'bc1q', created_at: null }
const pair = { btc_token_ids: [BTC], eure_token_id: EURE }

/** Every machine of the project. */
export const MODELS: readonly Model[] = [
  {
    machine: armMachine,
    inputs: [{ tells: DESK }],
    events: [
      ...[{}, { release: 'r0' }].map((more) => on('order.arm', { ...order, ...more })),
      ...['r1', 'r2'].map((release) => on('released', { release, incarnation: 'i1' })),
      on('order.disarm', order),
      parked,
    ],
    apart: ({ running, armed_for }: { running: unknown; armed_for: unknown }) => [running, armed_for],
  },
  {
    machine: commandMachine,
    inputs: [{ command_id: command.command_id }],
    events: [
      ...['ready', 'missing'].map(received),
      ...['ok', 'error', 'silence'].map((kind) => sent('answered', { answer: { kind, text: 'no', reason: 'late' } })),
      sent('uncertain'),
      sent('happened', { as_of_ms: NOW, answer: { tx_hash: 'tx', settled_height: 7, quote_hash: 'h' } }),
      sent('never', { as_of_ms: NOW }),
      sent('not_sent', { reason: 'disarmed' }),
      parked,
    ],
    apart: ({ published }: { published: string[] }) => published.toSorted(),
  },
  {
    machine: tallyMachine,
    events: [
      on('command.opened', { command_id: 'c', quote_id: 'q', quote_hash: 'h', answer_by: '' }),
      on('command.answered', { command_id: 'c', result_code: 'SUBMITTED', note: null }),
      ...[true, false].map((was_open) => on('command.ended', { ...ended, was_open })),
      ...arms,
      parked,
    ],
    apart: ({ armed }: { armed: boolean }) => armed,
  },
  {
    machine: saltsMachine,
    events: ['a', 'b'].map((salt) => on('salts.seen', { salts: [{ salt, first_seen_ms: NOW }] })),
  },
  {
    machine: deskMachine,
    inputs: [{ config: CONFIG }],
    events: [
      asked(priceOf(krakenAt(trading.lane.now))),
      asked(null),
      on('quote.repeated', { quote_id: 'q' }),
      on('reservation.released', units),
      ...['reservation.settled', 'stranger.settled'].map((type) => on(type, { ...units, settled_height: 105 })),
      on('stranger.opened', units),
      ...arms,
      on('configured', { ...CONFIG, threshold_bps: 300 }),
      on('order.threshold', { ...order, threshold_bps: 250 }),
      on('order.limits', { ...order, max_notional_eure: '2' }),
      parked,
    ],
    apart: ({ armed, ledger }: { armed: boolean; ledger: { open: number } }) => [armed, Math.min(ledger.open, 2)],
    // A quote gives back only what it holds.
    can: ({ ledger }: { ledger: { open: number } }, { type }) => !type.startsWith('reservation.') || ledger.open > 0,
  },
  {
    machine: quoteMachine,
    inputs: [{ quote_id: 'q' }],
    events: [
      on('demand.arrived', { demand: demandOf('q'), observed_at: new Date(NOW).toISOString() }),
      on('desk.decided', { decision, command }),
      on('desk.decided', skipped),
      ...(['SUBMITTED', 'SETTLED', 'TOO_LATE'] as const).map(result),
      parked,
    ],
  },
  {
    machine: feedMachine,
    events: [
      on('connection.starting'),
      on('connection.up'),
      ...['down', 'blocked'].flatMap((what) => ['a', 'b'].map((reason) => on(`connection.${what}`, { reason }))),
    ],
    apart: ({ last_reason }: { last_reason: string }) => last_reason,
  },
  {
    machine: pairFilterMachine,
    events: [on('configured', pair), on('order.pair-filter', { ...order, ...pair }), on('order.pair-filter-reset', order)],
  },
  {
    machine: priceReferenceMachine,
    events: [
      on('configured', priceConfig),
      ...['60000', '60001'].map(ticker),
      on('kraken.confirmed', { at: NOW, updated: true }),
      on('kraken.up'),
      on('kraken.down', { reason: 'no pong' }),
      ...[polled, { kind: 'no_price', reason: 'x' }, { kind: 'rate_limited', retry_after_ms: null }, { kind: 'error', text: 'x' }].map(
        (answer) => on('pollCoinGecko.done', { answer }),
      ),
      ...fails('pollCoinGecko'),
      on('order.refresh', order),
      ...pause,
      ...timers('1000.price-reference.serving.record.repeating', 'untilNextPoll.price-reference.serving.poll.waiting'),
    ],
    apart: ({ kraken, said }: { kraken: { up: boolean; bid: string } | null; said: string }) => [kraken?.up, kraken?.bid, said],
  },
  {
    machine: inventoryMachine,
    events: [
      on('configured', { ...tokens, read_every_ms: 1_000, pending_every_ms: 15_000 }),
      read('9', 100),
      read('5', 200),
      on('readPending.done', { answer: { pending_in: {}, pending_out: {}, withdrawn: { [BTC]: '4' } } }),
      ...fails('readBalances', 'readPending'),
      on('order.refresh', order),
      ...pause,
      ...timers('untilNextRead.inventory.syncing.balances.waiting', 'untilNextPending.inventory.syncing.pending.waiting'),
    ],
    apart: ({ balances, drift }: { balances: { block_height: number } | null; drift: object | null }) => [balances?.block_height, !drift],
  },
  {
    machine: fundingHandleMachine,
    events: [
      on('configured', { ...tokens, asset: 'BTC', chain: 'btc:mainnet', poll_every_ms: 15_000 }),
      on('requestAddress.done', { answer: { address: 'bc1q', memo: null } }),
      on('pollBridge.done', { answer: { deposits: [row], withdrawals: [row], unreadable: 0 } }),
      ...fails('requestAddress', 'pollBridge'),
      on('refresh'),
      ...pause,
      ...timers('beforeNextRequest.funding-handle.retrying', 'untilNextPoll.funding-handle.active.waiting'),
    ],
    apart: ({ failures, address }: { failures: number; address: string | null }) => [failures > 0, address],
  },
  {
    machine: freezeMachine,
    events: [
      on('configured', { pair: 'BTC/EURe', chains: { BTC: 'btc:mainnet', EURe: 'eth:100' } }),
      ...['freeze', 'unfreeze'].map((what) => on(`order.${what}-withdrawals`, order)),
    ],
    apart: ({ config }: { config: object | null }) => config !== null,
  },
  { machine: treasuryMachine, inputs: [{ handles: [{ kind: 'funding-handle', key: 'BTC' }] }], events: [on('order.refresh', order)] },
  {
    machine: alertMachine,
    inputs: [{ key: 'stale-price:BTC/EURe', pair: 'BTC/EURe' }],
    events: [
      ...[{}, { as_of_ms: NOW + 5_000 }, { as_of_ms: NOW - 10_000 }, { good_for_ms: null }, { good_for_ms: null, ends: true }].map((more) =>
        good(more),
      ),
      ...[{}, { reason: 'other' }, { for_ms: 5_000 }, { quiet_ms: 6_000 }].map(bad),
      ...[NOW, NOW + 60_000].map((now) => on('xstate.after.whileGood.alert.fine.until', {}, now)),
      ...timers('whilePending.alert.pending', 'whileLoud.alert.raised.loud'),
    ],
    apart: ({ good_until, quiet_ms, reason }: Record<string, unknown>) => [good_until, quiet_ms, reason],
  },
  {
    machine: alertBoardMachine,
    events: ['alert.raised', 'alert.cleared'].map((type) => on(type, { alert_id: 'a:1', severity: 'warning', reason: 'r' })),
    apart: ({ active }: { active: object[] }) => active.length,
  },
  {
    machine: writerMachine,
    events: [
      on('configured', { pair: 'BTC/EURe' }),
      on('learnLane.done', { answer: { lane: 2 } }),
      ...fails('learnLane'),
      on('row', { topic: 'exec.trade_result' }),
      ...pause,
      ...timers('1000.writer.writing'),
    ],
  },
  {
    machine: lifecycleMachine,
    inputs: [{ of: 'process' }, { of: 'lane', tells: [DESK] }],
    events: [...['started', 'recovered', 'drain', 'drained'].map((type) => on(type)), on('order.pause', order), on('order.resume', order)],
  },
]
