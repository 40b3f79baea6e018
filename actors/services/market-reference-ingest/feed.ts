import type { Clock } from '#actors/runtime/ports.ts'
import { fetchPrice } from '#actors/venues/coingecko/price.ts'
import { connectKraken } from '#actors/venues/kraken/ticker.ts'
import type { KrakenFeed } from '#actors/venues/kraken/ticker.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import type { Sources } from '#machines/price-reference/price.ts'
import { marketPrice } from '#machines/price-reference/price.ts'
import { connectionEvent, ConnectionReporter } from '../connection-reporter.ts'
import type { Section, SectionView, Service, ServiceContext } from '../run-service.ts'
import { definition, KRAKEN_FEED, priceConfig, REFERENCE } from './actors.ts'
import type { Env } from './config.ts'
import { loggedRead } from '../source-lines.ts'
import { pollCoinGecko, pollFailure } from './effects.ts'
import { priceLines } from './lines.ts'
import { ThinnedTicker } from './thinned.ts'

/** Kraken's stream and CoinGecko's poll, handed to one price reference. */
export const reference = (env: Env, context: ServiceContext, clock: Clock): Service => {
  const log = context.log.child({ component: 'feed', venue: 'kraken', pair: PAIR })
  const coingeckoLog = context.log.child({ component: 'feed', venue: 'coingecko', pair: PAIR })
  let kraken: KrakenFeed | null = null
  const thinned = new ThinnedTicker({ clock, tell: (event) => context.tell(REFERENCE, event) })
  const reporter = new ConnectionReporter({
    clock,
    tell: (state) =>
      context.tell(KRAKEN_FEED, connectionEvent(state)) &&
      context.tell(REFERENCE, state.connected ? { type: 'kraken.up' } : { type: 'kraken.down', reason: state.reason ?? 'not connected' }),
  })
  const ask = (signal: AbortSignal): ReturnType<typeof fetchPrice> =>
    fetchPrice({ url: env.COINGECKO_API_URL, demoKey: env.COINGECKO_DEMO_API_KEY, proKey: env.COINGECKO_PRO_API_KEY, signal })

  const start = (): void => {
    reporter.report({ connected: false, reason: 'starting', since: context.nowMs() })
    // In maintenance the stream goes on and its prices are nobody's: they count again from the first ticker after it.
    let isTrading = true
    kraken = connectKraken({
      url: env.KRAKEN_WS_URL,
      log,
      onTicker: (ticker) => {
        context.count('kraken.tickers')
        if (isTrading) thinned.ticker(ticker)
      },
      onHeartbeat: (at) => {
        if (isTrading) thinned.heartbeat(at)
      },
      onStatus: (system) => {
        if (!isTrading && system === 'online') thinned.forget()
        isTrading = system === 'online'
        if (!isTrading) context.tell(REFERENCE, { type: 'kraken.down', reason: `kraken is in ${system}` })
      },
      onConnection: (state) => {
        if (!state.connected) thinned.forget()
        isTrading = true
        reporter.report(state)
      },
      onUnknown: (text, reason) => {
        context.count('kraken.unreadable')
        log.warn({ event: 'feed.unreadable', reason, text: text.slice(0, 200) }, 'a frame of Kraken cannot be read')
      },
    })
  }

  const describe = (view: SectionView): Section => {
    const actor = view.actor(REFERENCE.kind, REFERENCE.key)[0]
    const known = (actor?.context ?? { kraken: null, coingecko: null }) as Sources & { kraken_reason?: string | null; polls?: object }
    const price = marketPrice(known, priceConfig(env), 0, view.nowMs)
    const feed = kraken?.state()
    const committed = view.actor(KRAKEN_FEED.kind, KRAKEN_FEED.key)[0]?.context as { reconnects: number } | undefined
    const confirmedAtMs = price.kraken?.confirmed_at_ms ?? null
    return {
      section: {
        prices: {
          pair: price.pair,
          basis: price.basis,
          kraken: price.kraken && { ...price.kraken, age_ms: view.nowMs - price.kraken.confirmed_at_ms },
          coingecko: price.coingecko && { ...price.coingecko, age_ms: view.nowMs - price.coingecko.last_updated_at_ms },
          fair: price.fair,
          degraded: price.degraded,
          conflict: price['conflict'],
          divergence_bps: price['divergence_bps'],
          kraken_reason: known.kraken_reason ?? null,
          coingecko_polls: known.polls ?? null,
        },
        feed: {
          venue: 'kraken',
          connected: feed?.connected ?? false,
          reason: feed?.reason ?? null,
          system: feed?.system ?? null,
          reconnects: committed?.reconnects ?? 0,
        },
      },
      // Degraded is healthy: one source is down, and policy decides on the other. Without any price nothing can be decided.
      healthy: price.fair !== null,
      connected: feed?.connected ?? false,
      authoritative: price.fair !== null,
      blocked: price.fair
        ? []
        : [{ code: 'PRICE_STALE', since: iso(confirmedAtMs ?? feed?.since ?? view.nowMs), detail: 'no source has a fresh price' }],
      inputs: {
        kraken: { atMs: confirmedAtMs, stale: price.kraken?.healthy !== true },
        coingecko: { atMs: price.coingecko?.last_updated_at_ms ?? null, stale: price.coingecko?.healthy !== true },
      },
      lastSuccess: confirmedAtMs === null ? null : { at: iso(confirmedAtMs), what: 'kraken price confirmed' },
    }
  }

  return {
    definition: definition(env, {
      pollCoinGecko: loggedRead(pollCoinGecko(ask, context.nowMs), coingeckoLog, 'coingecko', pollFailure),
    }),
    lines: priceLines(context.log),
    start,
    stopFeeds: async () => {
      reporter.close()
      thinned.forget()
      await kraken?.close()
    },
    describe,
  }
}

const iso = (ms: number): string => new Date(ms).toISOString()
