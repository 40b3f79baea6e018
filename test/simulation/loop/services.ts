import type { EffectKind, ServiceDefinition } from '#actors/runtime/service.ts'
import { connectionEvent, ConnectionReporter } from '#actors/services/connection-reporter.ts'
import { definition as alertEvaluator } from '#actors/services/alert-evaluator/actors.ts'
import { Env as AlertEnv } from '#actors/services/alert-evaluator/config.ts'
import { definition as historyWriter } from '#actors/services/history-writer/actors.ts'
import { learnLane } from '#actors/services/history-writer/effects.ts'
import { definition as inventorySync } from '#actors/services/inventory-sync/actors.ts'
import { Env as InventoryEnv } from '#actors/services/inventory-sync/config.ts'
import { readBalances, readPending } from '#actors/services/inventory-sync/effects.ts'
import { definition as marketReference, KRAKEN_FEED, REFERENCE } from '#actors/services/market-reference-ingest/actors.ts'
import { Env as ReferenceEnv } from '#actors/services/market-reference-ingest/config.ts'
import { pollCoinGecko } from '#actors/services/market-reference-ingest/effects.ts'
import { ThinnedTicker } from '#actors/services/market-reference-ingest/thinned.ts'
import { definition as nearIntentsIngest, FEED, LIFECYCLE, PAIR_FILTER } from '#actors/services/near-intents-ingest/actors.ts'
import { Env as IngestEnv } from '#actors/services/near-intents-ingest/config.ts'
import { readQuote } from '#actors/services/near-intents-ingest/effects.ts'
import { definition as strategyEngine } from '#actors/services/strategy-engine/actors.ts'
import { Env as StrategyEnv } from '#actors/services/strategy-engine/config.ts'
import { definition as tradeExecutor } from '#actors/services/trade-executor/actors.ts'
import type { AuthorityState } from '#actors/services/trade-executor/authority.ts'
import { Env as ExecutorEnv } from '#actors/services/trade-executor/config.ts'
import { sendOfferEffect } from '#actors/services/trade-executor/effects.ts'
import type { SendOfferEffect } from '#actors/services/trade-executor/effects.ts'
import { withSalts } from '#machines/command/salts.ts'
import type { SeenSalt } from '#machines/command/salts.ts'
import type { PairFilter } from '#machines/feed/pair-filter.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'
import type { SimProcess } from '../process.ts'
import type { Random } from '../random.ts'
import type { Venue } from './venue.ts'
import { ACCOUNT, signer } from './venue.ts'

/**
 * The production services, as `main.ts` and `service.ts` of each put them together, with the venue's end of every connection in the
 * world's hands. What a definition is made of comes from the services' own rooms; only sockets, HTTP and keys are replaced.
 */
const COMMON = { KAFKA_BROKERS: '127.0.0.1:9092', DATABASE_URL: 'postgres://sim@127.0.0.1/sim' }
const NEAR = { NEAR_RPC_URLS: 'http://127.0.0.1:1', NEAR_INTENTS_ACCOUNT_ID: ACCOUNT }

/** Offers that are over within seconds, so that a world can come to rest. */
const strategyEnv = StrategyEnv.parse({ ...COMMON, STRATEGY_OFFER_MARGIN_MS: '800', STRATEGY_MAX_DEADLINE_MS: '5000' })
const executorEnv = ExecutorEnv.parse({ ...COMMON, ...NEAR, NEAR_INTENTS_RELAY_WS_URL: 'ws://127.0.0.1:1/ws' })
const inventoryEnv = InventoryEnv.parse({ ...COMMON, ...NEAR, NEAR_INTENTS_BRIDGE_URL: 'http://127.0.0.1:1' })
const ingestEnv = IngestEnv.parse({ ...COMMON, NEAR_INTENTS_RELAY_WS_URL: 'ws://127.0.0.1:1/ws' })
const alertEnv = AlertEnv.parse({ ...COMMON, ALERT_PRICE_MAX_AGE_MS: '3000', ALERT_EXECUTION_QUIET_MS: '5000' })
const referenceEnv = ReferenceEnv.parse({
  ...COMMON,
  KRAKEN_WS_URL: 'ws://127.0.0.1:1/ws',
  COINGECKO_API_URL: 'http://127.0.0.1:1',
  COINGECKO_POLL_MS: '10000',
})
const fromEnv: PairFilter = { btc_token_ids: ingestEnv.PAIR_BTC_TOKEN_IDS, eure_token_id: ingestEnv.PAIR_EURE_TOKEN_ID }
const ANSWER_TIMEOUT_MS = 400

export const PARTS = {
  'near-intents-ingest': { lanes: 'single', processes: [1, 2] },
  'market-reference-ingest': { lanes: 'single', processes: [1, 1] },
  'inventory-sync': { lanes: 'single', processes: [1, 1] },
  'strategy-engine': { lanes: 'keyed', processes: [1, 2] },
  'trade-executor': { lanes: 'keyed', processes: [1, 2] },
  'history-writer': { lanes: 'keyed', processes: [1, 1] },
  'alert-evaluator': { lanes: 'keyed', processes: [1, 1] },
} as const
export type ServiceName = keyof typeof PARTS

/** What a process of a service is: its definition, and what opens once its host runs. */
export interface Playing {
  readonly definition: ServiceDefinition
  began(): void
}

export const playing = (service: ServiceName, process: SimProcess, venue: Venue, random: Random): Playing => {
  const { definition, began = () => {} } = parts[service](process, venue, random)
  const kinds = { lifecycle: { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) }, ...definition.kinds }
  return { definition: { ...definition, kinds }, began }
}

type Plays = (process: SimProcess, venue: Venue, random: Random) => { definition: ServiceDefinition; began?: () => void }

const strategy: Plays = ({ clock }) => ({ definition: strategyEngine(strategyEnv, { nowMs: clock.wallMs }) })

const executor: Plays = (process, venue, random) => {
  const { clock } = process
  const sendOffer: SendOfferEffect = sendOfferEffect({
    relay: () => venue.relay(process),
    whenOpen: (ms) => new Promise((resolve) => clock.after(Math.min(Math.max(ms, 0), RECONNECT_MS), resolve)),
    signer: signer(process, random),
    verifier: venue.verifier(process),
    nowMs: clock.wallMs,
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
    hurry: (effect) => void process.host?.hurry(effect),
    onAnswer: () => {},
  })
  const rights = authority(process, venue)
  return {
    definition: tradeExecutor(executorEnv, {
      nowMs: clock.wallMs,
      account_id: ACCOUNT,
      ...rights,
      actor: (kind, key) => process.host?.actor(kind, key) ?? [],
      sendOffer: sendOffer.kind,
    }),
    began: () => {
      venue.listen(process, () => {}, sendOffer.onStatus)
      venue.onSalt(process, rights.look)
    },
  }
}

/** As `authority` in the service's authority.ts, whose clock is the machine's own: it hears of a new salt at once. */
const authority = (process: SimProcess, venue: Venue) => {
  let salts: readonly SeenSalt[] = []
  const look = (): void => {
    const now = withSalts(salts, [{ salt: venue.salt, first_seen_ms: process.clock.wallMs() }])
    if (now === salts) return
    salts = now
    process.host?.tellLearnt()
  }
  look()
  const state = (): AuthorityState => {
    look()
    return { signer: 'ready', salt: venue.salt, problem: null, checked_at_ms: 0 }
  }
  return { look, authority: state, salts: () => salts }
}

/** As `ingest` in the service's feed.ts does it with the relay's frames. */
const ingest: Plays = (process, venue) => ({
  definition: nearIntentsIngest(ingestEnv),
  began: () => {
    const host = process.host!
    const reporter = new ConnectionReporter({ clock: process.clock, tell: (state) => host.tell(FEED, connectionEvent(state)) })
    reporter.report({ connected: true, reason: null, since: process.clock.wallMs() } as Parameters<typeof reporter.report>[0])
    venue.listen(
      process,
      (frame) => {
        if (host.actor(LIFECYCLE.kind, LIFECYCLE.key).some(({ state }) => state === 'paused')) return
        const filter = (host.actor(PAIR_FILTER.kind, PAIR_FILTER.key)[0]?.context as { filter: PairFilter | null } | undefined)?.filter
        host.source.publish(readQuote(frame, filter ?? fromEnv).records)
      },
      () => {},
    )
  },
})

/** As `reference` in the service's feed.ts does it with Kraken's stream. */
const reference: Plays = (process, venue, random) => ({
  definition: marketReference(referenceEnv, { pollCoinGecko: pollCoinGecko(() => venue.coingecko(process), process.clock.wallMs) }),
  began: () => {
    const host = process.host!
    const { clock } = process
    const thinned = new ThinnedTicker({ clock, tell: (event) => host.tell(REFERENCE, event) })
    let isUp = false
    const changed = (connected: boolean): void => {
      isUp = connected
      thinned.forget()
      host.tell(KRAKEN_FEED, connected ? { type: 'connection.up' } : { type: 'connection.down', reason: 'closed' })
      host.tell(REFERENCE, connected ? { type: 'kraken.up' } : { type: 'kraken.down', reason: 'closed' })
    }
    const goOn = (): void => {
      if (!isUp || random.chance(0.02)) changed(!isUp)
      else if (random.chance(0.4)) thinned.heartbeat(clock.wallMs())
      else {
        venue.movePrice()
        thinned.ticker({ ...venue.prices, receivedAtMs: clock.wallMs(), at: null, raw: '{}' } as Parameters<typeof thinned.ticker>[0])
      }
      clock.after(random.between(300, 1_500), goOn)
    }
    goOn()
  },
})

const parts: Readonly<Record<ServiceName, Plays>> = {
  'near-intents-ingest': ingest,
  'market-reference-ingest': reference,
  'inventory-sync': (process, venue) => ({
    definition: inventorySync(inventoryEnv, {
      readBalances: readBalances(venue.verifier(process)),
      readPending: readPending(venue.bridge(process)),
    }),
  }),
  'strategy-engine': strategy,
  'trade-executor': executor,
  'history-writer': () => ({ definition: historyWriter({ learnLane: learnLane satisfies EffectKind }) }),
  'alert-evaluator': () => ({ definition: alertEvaluator(alertEnv) }),
}

const RECONNECT_MS = 60
