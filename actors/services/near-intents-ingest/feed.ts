import type { Clock } from '#actors/runtime/ports.ts'
import { connectRelay } from '#actors/venues/near-intents/relay.ts'
import type { Relay } from '#actors/venues/near-intents/relay.ts'
import type { ConnectionState } from '#actors/venues/socket.ts'
import { NEAR_INTENTS, PAIR } from '#machines/contracts/ids.ts'
import type { PairFilter } from '#machines/feed/pair-filter.ts'
import { connectionEvent, ConnectionReporter } from '../connection-reporter.ts'
import type { Section, SectionView, Service, ServiceContext } from '../run-service.ts'
import { definition, FEED, LIFECYCLE, PAIR_FILTER } from './actors.ts'
import type { Env } from './config.ts'
import { readQuote, readUnknown } from './effects.ts'

/** The relay's connection, from which frames become records; what the pair is, the pair filter's committed state says. */
export const ingest = (env: Env, context: ServiceContext, clock: Pick<Clock, 'after'>): Service => {
  const log = context.log.child({ component: 'feed', venue: NEAR_INTENTS, pair: PAIR })
  const fromEnv: PairFilter = { btc_token_ids: env.PAIR_BTC_TOKEN_IDS, eure_token_id: env.PAIR_EURE_TOKEN_ID }
  const seen = { frame: null as number | null, demand: null as { quote_id: string; at_ms: number } | null }
  let relay: Relay | null = null
  const reporter = new ConnectionReporter({ clock, tell: (state) => context.tell(FEED, connectionEvent(state)) })

  const filter = (): PairFilter =>
    (context.actor(PAIR_FILTER.kind, PAIR_FILTER.key)[0]?.context as { filter: PairFilter | null } | undefined)?.filter ?? fromEnv
  const isPaused = (): boolean => context.actor(LIFECYCLE.kind, LIFECYCLE.key).some(({ state }) => state === 'paused')

  const start = (): void => {
    reporter.report({ connected: false, reason: 'starting', since: context.nowMs() })
    relay = connectRelay({
      url: env.NEAR_INTENTS_RELAY_WS_URL,
      jwt: env.NEAR_INTENTS_PARTNER_JWT,
      subscriptions: [{ stream: 'quote' }],
      log,
      onConnection: (state) => reporter.report(state),
      onFrame: (_, frame) => {
        seen.frame = frame.receivedAtMs
        if (isPaused()) return context.count('feed.paused')
        const { is, records } = readQuote(frame, filter())
        context.count(is === 'on pair' ? 'feed.on_pair' : 'feed.off_pair')
        if (context.publish(records) && is === 'on pair') seen.demand = { quote_id: frame.data.quote_id, at_ms: frame.receivedAtMs }
      },
      onUnknown: (text, reason) => {
        context.count('feed.unreadable')
        log.warn({ event: 'feed.unreadable', reason }, 'a frame of the relay cannot be read')
        context.publish([readUnknown(text, reason, context.nowMs())])
      },
    })
  }

  const describe = (view: SectionView): Section => {
    const state = relay?.state() ?? null
    const committed = view.actor(FEED.kind, FEED.key)[0]?.context as { reconnects: number } | undefined
    return {
      section: {
        feed: {
          venue: 'near_intents',
          connected: state?.connected ?? false,
          reason: state ? state.reason : 'starting',
          since: state ? iso(state.since) : null,
          reconnects: committed?.reconnects ?? 0,
          attempts: state?.attempts ?? 0,
          subscriptions: state?.subscriptions ?? {},
          last_frame_at: iso(seen.frame),
          last_demand: seen.demand && { quote_id: seen.demand.quote_id, at: iso(seen.demand.at_ms) },
          on_pair: view.counters['feed.on_pair'] ?? 0,
          off_pair: view.counters['feed.off_pair'] ?? 0,
          unreadable: view.counters['feed.unreadable'] ?? 0,
          published: view.counters['feed.published'] ?? 0,
          dropped: view.counters['feed.dropped'] ?? 0,
          pair_filter: filter(),
        },
      },
      connected: state?.connected ?? false,
      blocked: state && !state.connected ? [blockedBy(state, env)] : [],
      // A pair that nobody asks for is silent on a healthy connection: only the connection can be stale.
      inputs: { near_intents: { atMs: seen.frame, stale: state?.connected !== true } },
      lastSuccess: seen.demand && { at: new Date(seen.demand.at_ms).toISOString(), what: `demand ${seen.demand.quote_id}` },
    }
  }

  return {
    definition: definition(env),
    start,
    stopFeeds: async () => {
      reporter.close()
      await relay?.close()
    },
    describe,
  }
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

const blockedBy = ({ reason, since }: ConnectionState, env: Env): { code: string; since: string; detail: string } => {
  const at = new Date(since).toISOString()
  if (reason !== 'unauthorized') return { code: 'FEED_DOWN', since: at, detail: `relay: ${reason ?? 'not connected'}` }
  const detail = env.NEAR_INTENTS_PARTNER_JWT
    ? 'the relay refuses NEAR_INTENTS_PARTNER_JWT'
    : 'NEAR_INTENTS_PARTNER_JWT is not set and the relay wants one'
  return { code: 'FEED_UNAUTHORIZED', since: at, detail }
}
