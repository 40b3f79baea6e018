import type { ConnectionState } from '#actors/venues/socket.ts'
import { connectRelay } from '#actors/venues/near-intents/relay.ts'
import type { Relay } from '#actors/venues/near-intents/relay.ts'
import { verifierClient } from '#actors/venues/near-intents/verifier.ts'
import { NEAR_INTENTS, PAIR } from '#machines/contracts/ids.ts'
import type { Service, ServiceContext } from '../run-service.ts'
import { definition } from './actors.ts'
import { authority, loadSigning } from './authority.ts'
import type { Env } from './config.ts'
import { describe } from './describe.ts'
import { sendOfferEffect } from './effects.ts'
import { storeFence } from './fence.ts'
import { resultLines } from './lines.ts'

/** The executor on its own relay connection: it answers quotes there, and hears there of settlements. */
export const build = async (env: Env, context: ServiceContext): Promise<Service> => {
  const { nowMs } = context
  const log = context.log.child({ component: 'venue', venue: NEAR_INTENTS, pair: PAIR })
  const signing = loadSigning(env)
  const verifier = verifierClient({ urls: env.NEAR_RPC_URLS, contract_id: env.NEAR_INTENTS_CONTRACT_ID })
  const rights = authority({
    signing,
    verifier,
    nowMs,
    onFailure: (text) => log.warn({ event: 'authority.unknown' }, text),
    onSalt: () => context.tellLearnt(),
  })
  let relay: Relay | null = null
  const connection = openings()

  const sendOffer = sendOfferEffect({
    relay: () => relay,
    whenOpen: connection.whenOpen,
    signer: signing.signer,
    verifier,
    nowMs,
    answerTimeoutMs: env.EXECUTOR_ANSWER_TIMEOUT_MS,
    hurry: (effect) => context.hurry(effect),
    onAnswer: (answer, { quote_id, quote_hash }, tookMs) => {
      context.count(`relay.${answer.kind}`)
      if (answer.kind === 'ok') return
      // The result that follows is the line; this is what it does not carry.
      log.debug({ event: 'venue.not_accepted', quote_id, quote_hash, took_ms: tookMs, ...answer }, `the relay said ${answer.kind}`)
      // A killed salt makes every further offer worthless until the new one is known.
      if (answer.kind === 'error' && /salt|public key|signature/i.test(answer.text)) void rights.refresh()
    },
  })

  // What is known before the first command needs no grace; what is not is asked for again.
  await rights.refresh()

  return {
    fence: storeFence(env.EXECUTOR_STATE_DIR),
    lines: resultLines(context.log),
    definition: definition(env, {
      nowMs,
      authority: rights.state,
      salts: rights.salts,
      actor: context.actor,
      account_id: signing.account_id,
      sendOffer: sendOffer.kind,
    }),
    start: () => {
      rights.start()
      relay = connectRelay({
        url: env.NEAR_INTENTS_RELAY_WS_URL,
        jwt: env.NEAR_INTENTS_PARTNER_JWT,
        subscriptions: [{ stream: 'quote_status' }],
        onStatus: sendOffer.onStatus,
        onConnection: (state) => {
          connection.changed(state)
          if (state.connected) sendOffer.onReconnected()
        },
        onUnknown: (text, reason) => {
          context.count('relay.unknown_frame')
          log.warn({ event: 'venue.unknown_frame', text: text.slice(0, 500) }, reason)
        },
        log,
      })
    },
    close: async () => {
      rights.stop()
      await relay?.close()
    },
    describe: (view) => describe(env, { ...view, authority: rights.state(), relay: relay?.state() ?? null }),
  }
}

/** Who waits for the connection to open. */
const openings = () => {
  let isOpen = false
  const waiting = new Set<() => void>()
  return {
    changed: ({ connected }: ConnectionState): void => {
      isOpen = connected
      if (connected) for (const wake of waiting) wake()
    },
    whenOpen: (ms: number, signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        if (isOpen || ms <= 0 || signal.aborted) return void setImmediate(resolve)
        const done = (): void => {
          clearTimeout(timer)
          waiting.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        const timer = setTimeout(done, ms)
        signal.addEventListener('abort', done, { once: true })
        waiting.add(done)
      }),
  }
}
