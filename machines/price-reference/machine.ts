import { assign, setup } from 'xstate'
import { effect, message } from '../contracts/actions.ts'
import type { Outgoing } from '../contracts/actions.ts'
import type { MarketPrice } from '../contracts/records/market-price.ts'
import type { Stamp } from '../contracts/stamp.ts'
import type { PriceConfig, Sources } from './price.ts'
import { marketPrice } from './price.ts'

/** What the handler of `pollCoinGecko` answers. */
export type PollAnswer =
  | { kind: 'price'; eur: string; last_updated_at_ms: number; received_at_ms: number }
  | { kind: 'no_price'; reason: string }
  | { kind: 'rate_limited'; retry_after_ms: number | null }
  | { kind: 'error'; text: string }

type PriceEvent = Stamp &
  (
    | ({ type: 'configured' } & PriceConfig)
    /** the best prices changed; `at` is ms by our clock, `venue_at` the venue's own time, `raw` its frame as text */
    | { type: 'kraken.ticker'; bid: string; ask: string; at: number; venue_at: string | null; raw?: string }
    /** still there: by a heartbeat, or (`updated`) by a ticker that said the same */
    | { type: 'kraken.confirmed'; at: number; updated: boolean }
    | { type: 'kraken.up' }
    | { type: 'kraken.down'; reason: string }
    | { type: 'pollCoinGecko.done'; answer: PollAnswer }
    | { type: 'pollCoinGecko.failed'; error: string }
    | { type: 'order.refresh'; by: string; reason: string }
    | { type: 'paused' }
    | { type: 'resumed' }
  )

interface Context extends Sources {
  readonly config: PriceConfig
  readonly version: number
  readonly published_at: number
  /** what the last record said of each source, to see when the truth changes */
  readonly said: string
  /** what Kraken's venue time was at the last ticker */
  readonly venue_at: string | null
  readonly kraken_reason: string | null
  readonly polls: { failures: number; next_in_ms: number; last_error: string | null; last_ok_at: number | null }
}

const UNCONFIGURED: PriceConfig = {
  pair: 'BTC/EURe',
  poll_ms: 60_000,
  quiet_max_ms: 60_000,
  coingecko_max_age_ms: 180_000,
  conflict_bps: 75,
}
const FIRST_BACKOFF_MS = 5_000
const LONGEST_BACKOFF_MS = 600_000
/** Followers start 60 s back and want a record a second; a little less, so that a late timer does not skip one. */
const REPEAT_AFTER_MS = 900

/**
 * One pair's reference: Kraken's best prices as the stream tells them, CoinGecko's as a poll finds it.
 * It publishes at each change, once a second while a source is healthy, and the truth once when none is.
 */
export const priceReferenceMachine = setup({
  types: { context: {} as Context, events: {} as PriceEvent },
  guards: {
    isNew: ({ context: { kraken }, event }) =>
      event.type === 'kraken.ticker' && (!kraken?.up || event.bid !== kraken.bid || event.ask !== kraken.ask),
    isDue: ({ context, event }) => {
      const { fair } = recordAt(context, event.now)
      return saidOf(context, event.now) !== context.said || (fair !== null && event.now - context.published_at >= REPEAT_AFTER_MS)
    },
    wasUp: ({ context }) => context.kraken?.up === true,
  },
  actions: {
    configure: assign(({ event, context }) => {
      if (event.type !== 'configured') return {}
      const { pair, poll_ms, quiet_max_ms, coingecko_max_age_ms, conflict_bps } = event
      return {
        config: { pair, poll_ms, quiet_max_ms, coingecko_max_age_ms, conflict_bps },
        polls: { ...context.polls, next_in_ms: poll_ms },
      }
    }),
    takeTicker: assign(({ event }) => {
      if (event.type !== 'kraken.ticker') return {}
      const { bid, ask, at, venue_at } = event
      return { kraken: { up: true, bid, ask, updated_at_ms: at, confirmed_at_ms: at }, venue_at, kraken_reason: null }
    }),
    // After a drop only a ticker brings the price back: a heartbeat of the new connection says nothing about the old price.
    takeConfirmation: assign(({ context: { kraken }, event }) =>
      event.type !== 'kraken.confirmed' || !kraken?.up
        ? {}
        : { kraken: { ...kraken, confirmed_at_ms: event.at, updated_at_ms: event.updated ? event.at : kraken.updated_at_ms } },
    ),
    takeDown: assign(({ context: { kraken }, event }) => ({
      kraken: kraken && { ...kraken, up: false },
      kraken_reason: 'reason' in event ? event.reason : null,
    })),
    takePoll: assign(({ context, event }) => {
      if (event.type === 'pollCoinGecko.failed') return { polls: failed(context, event.error, null) }
      if (event.type !== 'pollCoinGecko.done') return {}
      const { answer } = event
      switch (answer.kind) {
        case 'price': {
          const coingecko = { price: answer.eur, last_updated_at_ms: answer.last_updated_at_ms, received_at_ms: answer.received_at_ms }
          return { coingecko, polls: { failures: 0, next_in_ms: context.config.poll_ms, last_error: null, last_ok_at: event.now } }
        }
        case 'rate_limited':
          return { polls: failed(context, 'rate limited', answer.retry_after_ms ?? context.config.poll_ms) }
        case 'no_price':
          return { polls: failed(context, answer.reason, null) }
        case 'error':
          return { polls: failed(context, answer.text, null) }
      }
    }),
    countRecord: assign(({ context, event }) => ({
      version: nextVersion(context, event.now),
      published_at: event.now,
      said: saidOf(context, event.now),
    })),
    publish: message<MarketPrice>('ref.market_price'),
    pollCoinGecko: effect<{ pair: string }>({ mode: 'idempotent' }),
  },
  delays: { untilNextPoll: ({ context }) => context.polls.next_in_ms },
}).createMachine({
  id: 'price-reference',
  context: {
    config: UNCONFIGURED,
    kraken: null,
    coingecko: null,
    version: 0,
    published_at: 0,
    said: '',
    venue_at: null,
    kraken_reason: null,
    polls: { failures: 0, next_in_ms: UNCONFIGURED.poll_ms, last_error: null, last_ok_at: null },
  },
  initial: 'unconfigured',
  on: {
    configured: { target: '.serving', reenter: true, actions: 'configure' },
    paused: '.paused',
    resumed: {},
    'order.refresh': {},
    // Both are facts about the venue, taken also while paused: nothing is published of them.
    'kraken.ticker': { actions: 'takeTicker' },
    'kraken.confirmed': { actions: 'takeConfirmation' },
    'kraken.up': {},
    'kraken.down': { guard: 'wasUp', actions: 'takeDown' },
    'pollCoinGecko.done': { actions: 'takePoll' },
    'pollCoinGecko.failed': { actions: 'takePoll' },
  },
  states: {
    unconfigured: { on: { paused: {} } },
    serving: {
      type: 'parallel',
      states: {
        record: {
          initial: 'repeating',
          on: {
            'kraken.ticker': [
              { guard: 'isNew', actions: ['takeTicker', { type: 'publish', params: toRecord }, 'countRecord'] },
              { actions: 'takeTicker' },
            ],
            'kraken.down': { guard: 'wasUp', actions: ['takeDown', { type: 'publish', params: toRecord }, 'countRecord'] },
            'order.refresh': { actions: [{ type: 'publish', params: toRecord }, 'countRecord'] },
          },
          states: {
            repeating: {
              after: {
                1_000: [
                  { guard: 'isDue', target: 'repeating', reenter: true, actions: [{ type: 'publish', params: toRecord }, 'countRecord'] },
                  { target: 'repeating', reenter: true },
                ],
              },
            },
          },
        },
        poll: {
          initial: 'polling',
          on: { 'order.refresh': '.polling' },
          states: {
            polling: {
              entry: { type: 'pollCoinGecko', params: ({ context }) => ({ pair: context.config.pair }) },
              on: {
                'order.refresh': {},
                'pollCoinGecko.done': { target: 'waiting', actions: 'takePoll' },
                'pollCoinGecko.failed': { target: 'waiting', actions: 'takePoll' },
              },
            },
            waiting: { after: { untilNextPoll: 'polling' } },
          },
        },
      },
    },
    paused: { on: { resumed: 'serving', configured: { actions: 'configure' } } },
  },
})

function toRecord({ context, event }: { context: Context; event: PriceEvent }): Outgoing<MarketPrice> {
  const record = recordAt(context, event.now)
  const venue = record.fair?.source ?? 'kraken'
  const seenAt = venue === 'coingecko' ? context.coingecko?.last_updated_at_ms : context.kraken?.confirmed_at_ms
  return {
    payload: record,
    venue,
    observed_at:
      event.type === 'kraken.ticker' && event.venue_at ? event.venue_at : seenAt === undefined ? null : new Date(seenAt).toISOString(),
    ...(event.type === 'kraken.ticker' && event.raw ? { raw: { frame: event.raw } } : {}),
  }
}

const recordAt = (context: Context, now: number): MarketPrice => marketPrice(context, context.config, nextVersion(context, now), now)

/** Grows also over a lost database, because time does. */
const nextVersion = ({ version }: Context, now: number): number => Math.max(version + 1, now)

const saidOf = (context: Context, now: number): string => {
  const { kraken, coingecko } = recordAt(context, now)
  return `${kraken?.healthy ?? '-'} ${coingecko?.healthy ?? '-'} ${coingecko?.last_updated_at_ms ?? '-'}`
}

/** Doubling from 5 s, never sooner than the venue asks for. */
const failed = ({ polls }: Context, last_error: string, atLeastMs: number | null): Context['polls'] => {
  const backoffMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(polls.failures, 10))
  return { ...polls, failures: polls.failures + 1, next_in_ms: Math.max(backoffMs, atLeastMs ?? 0), last_error: last_error.slice(0, 200) }
}
