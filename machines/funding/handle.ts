import { assign, enqueueActions, setup } from 'xstate'
import { effect, message } from '../contracts/actions.ts'
import type { Outgoing } from '../contracts/actions.ts'
import type { LiquidityAction } from '../contracts/records/operations.ts'
import type { Stamp } from '../contracts/stamp.ts'
import type { BridgeAnswer, Change, Told } from './bridge-rows.ts'
import { news } from './bridge-rows.ts'

/** What configures a funding handle: one treasury asset on the chain that it comes in by. */
export interface HandleConfig {
  readonly asset: 'BTC' | 'EURe'
  readonly pair: string
  readonly account_id: string
  /** the bridge's name: `btc:mainnet`, `eth:100` */
  readonly chain: string
  readonly token_ids: readonly string[]
  readonly poll_every_ms: number
}

/** What the handler of `requestAddress` answers. */
export interface AddressAnswer {
  readonly address: string
  readonly memo: string | null
}

type HandleEvent = Stamp &
  (
    | ({ type: 'configured' } & HandleConfig)
    | { type: 'requestAddress.done'; answer: AddressAnswer }
    | { type: 'requestAddress.failed'; error: string }
    | { type: 'pollBridge.done'; answer: BridgeAnswer }
    | { type: 'pollBridge.failed'; error: string }
    | { type: 'refresh' }
    | { type: 'paused' }
    | { type: 'resumed' }
  )

interface Recent {
  readonly tx_hash: string
  readonly token_id: string
  readonly amount: string
  readonly status: string
  readonly created_at: string | null
}

interface Context {
  readonly config: HandleConfig | null
  readonly address: string | null
  readonly memo: string | null
  readonly failures: number
  readonly last_error: string | null
  readonly polls: { failures: number; last_error: string | null; last_ok_at: number | null; unreadable: number }
  readonly told: Told
  /** base units by token id that the bridge has seen and not credited; shown, never spendable */
  readonly pending: Readonly<Record<string, string>>
  readonly recent: readonly Recent[]
  readonly recent_withdrawals: readonly Recent[]
}

const LONGEST_BACKOFF_MS = 60_000
const RECENT = 3

/** One funding handle: its deposit address, and what the bridge tells of the money that came by it (R229 to R233, R244 to R251). */
export const fundingHandleMachine = setup({
  types: { context: {} as Context, events: {} as HandleEvent },
  guards: {
    isFirstFailure: ({ context }) => context.failures === 0,
    hasAddress: ({ context }) => context.address !== null,
  },
  actions: {
    configure: assign(({ event }) => {
      if (event.type !== 'configured') return {}
      const { asset, pair, account_id, chain, token_ids, poll_every_ms } = event
      return {
        config: { asset, pair, account_id, chain, token_ids, poll_every_ms },
        address: null,
        memo: null,
        failures: 0,
        last_error: null,
      }
    }),
    takeAddress: assign(({ event }) =>
      event.type === 'requestAddress.done' ? { address: event.answer.address, memo: event.answer.memo, failures: 0, last_error: null } : {},
    ),
    countFailure: assign(({ context, event }) =>
      event.type === 'requestAddress.failed' ? { failures: context.failures + 1, last_error: event.error.slice(0, 200) } : {},
    ),
    countPollFailure: assign(({ context, event }) =>
      event.type === 'pollBridge.failed'
        ? { polls: { ...context.polls, failures: context.polls.failures + 1, last_error: event.error.slice(0, 200) } }
        : {},
    ),
    takePoll: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'pollBridge.done' || !context.config) return
      const { changes, told } = news(context.told, event.answer)
      for (const change of changes) enqueue({ type: 'publish', params: toRecord(context, change) })
      enqueue.assign({
        told,
        pending: pendingOf(event.answer),
        recent: event.answer.deposits.slice(0, RECENT).map(recentOf),
        recent_withdrawals: event.answer.withdrawals.slice(0, RECENT).map(recentOf),
        polls: { failures: 0, last_error: null, last_ok_at: event.now, unreadable: event.answer.unreadable },
      })
    }),
    publish: message<LiquidityAction>('ops.liquidity_action'),
    requestAddress: effect<{ account_id: string; chain: string }>({ mode: 'idempotent' }),
    pollBridge: effect<{ account_id: string; chain: string; token_ids: readonly string[] }>({ mode: 'idempotent' }),
  },
  delays: {
    beforeNextRequest: ({ context }) => Math.min(LONGEST_BACKOFF_MS, 1_000 * 2 ** Math.min(context.failures, 10)),
    untilNextPoll: ({ context }) => {
      const every = context.config?.poll_every_ms ?? 15_000
      return Math.min(Math.max(every, LONGEST_BACKOFF_MS), every * 2 ** Math.min(context.polls.failures, 10))
    },
  },
}).createMachine({
  id: 'funding-handle',
  context: {
    config: null,
    address: null,
    memo: null,
    failures: 0,
    last_error: null,
    polls: { failures: 0, last_error: null, last_ok_at: null, unreadable: 0 },
    told: { rows: {}, upTo: 0 },
    pending: {},
    recent: [],
    recent_withdrawals: [],
  },
  initial: 'unconfigured',
  on: {
    configured: { target: '.requesting', actions: 'configure' },
    paused: '.paused',
    resumed: {},
    refresh: {},
    // A late answer of an earlier state changes nothing; what it would have told is told by the next poll.
    'requestAddress.done': {},
    'requestAddress.failed': {},
    'pollBridge.done': {},
    'pollBridge.failed': {},
  },
  states: {
    unconfigured: { on: { paused: {} } },
    requesting: {
      entry: [
        { type: 'requestAddress', params: ({ context }) => ({ account_id: accountOf(context), chain: context.config?.chain ?? '' }) },
      ],
      on: {
        'requestAddress.done': {
          target: 'active',
          actions: ['takeAddress', { type: 'publish', params: ({ context, event }) => step(context, event, 'address_active') }],
        },
        'requestAddress.failed': [
          // One record a row of failures; the count is in the state.
          {
            guard: 'isFirstFailure',
            target: 'retrying',
            actions: ['countFailure', { type: 'publish', params: ({ context, event }) => step(context, event, 'address_failed') }],
          },
          { target: 'retrying', actions: 'countFailure' },
        ],
      },
    },
    retrying: { on: { refresh: 'requesting' }, after: { beforeNextRequest: 'requesting' } },
    active: {
      initial: 'polling',
      states: {
        polling: {
          entry: {
            type: 'pollBridge',
            params: ({ context }) => ({
              account_id: accountOf(context),
              chain: context.config?.chain ?? '',
              token_ids: context.config?.token_ids ?? [],
            }),
          },
          on: {
            'pollBridge.done': { target: 'waiting', actions: 'takePoll' },
            'pollBridge.failed': { target: 'waiting', actions: 'countPollFailure' },
          },
        },
        waiting: { on: { refresh: 'polling' }, after: { untilNextPoll: 'polling' } },
      },
    },
    paused: {
      on: {
        resumed: [{ guard: 'hasAddress', target: 'active' }, { target: 'requesting' }],
        configured: { actions: 'configure' },
      },
    },
  },
})

const accountOf = ({ config }: Context): string => config?.account_id ?? ''

/** Names the handle in records and alerts: the same account and chain always have the same address. */
export const handleId = ({ asset, chain, account_id }: Pick<HandleConfig, 'asset' | 'chain' | 'account_id'>): string =>
  `${asset}@${chain}:${account_id}`

const step = (context: Context, event: HandleEvent, action: 'address_active' | 'address_failed'): Outgoing<LiquidityAction> => {
  const { config } = context
  if (!config) throw new Error('a step of a handle without configuration')
  const handle = handleId(config)
  return {
    payload: {
      // The event's own id: unique, and the same when the turn is repeated.
      liquidity_action_id: `liq-${handle}-${action}-${event.id}`,
      handle_id: handle,
      pair: config.pair,
      action,
      asset: config.asset,
      token_id: null,
      chain: config.chain,
      address: context.address,
      amount: null,
      tx_hash: null,
      status: action === 'address_active' ? 'ACTIVE' : 'FAILED',
      note: event.type === 'requestAddress.failed' ? event.error.slice(0, 500) : context.memo && `memo ${context.memo}`,
    },
  }
}

const toRecord = ({ config, address }: Context, { action, row }: Change): Outgoing<LiquidityAction> => {
  if (!config) throw new Error('a bridge row of a handle without configuration')
  const handle = handleId(config)
  return {
    payload: {
      liquidity_action_id: `liq-${handle}-${row.tx_hash}-${row.status}`,
      handle_id: handle,
      pair: config.pair,
      action,
      asset: config.asset,
      token_id: row.token_id,
      chain: config.chain,
      address: row.address ?? address,
      amount: row.amount,
      tx_hash: row.tx_hash,
      status: row.status,
      note: null,
    },
    observed_at: row.created_at !== null && !Number.isNaN(Date.parse(row.created_at)) ? new Date(row.created_at).toISOString() : null,
  }
}

const pendingOf = ({ deposits }: BridgeAnswer): Record<string, string> => {
  const sums: Record<string, bigint> = {}
  for (const { status, token_id, amount } of deposits) if (status === 'PENDING') sums[token_id] = (sums[token_id] ?? 0n) + BigInt(amount)
  return Object.fromEntries(Object.entries(sums).map(([token, units]) => [token, String(units)]))
}

const recentOf = ({ tx_hash, token_id, amount, status, created_at }: Recent): Recent => ({ tx_hash, token_id, amount, status, created_at })
