import type { Answer, EffectKind } from '#actors/runtime/service.ts'
import type { PriceAnswer } from '#actors/venues/coingecko/price.ts'
import type { PollAnswer } from '#machines/price-reference/machine.ts'

/** One question to CoinGecko; what the venue did wrong is an answer too, and the machine decides when to ask again. */
export const pollCoinGecko = (ask: (signal: AbortSignal) => Promise<PriceAnswer>, nowMs: () => number): EffectKind => ({
  mode: 'idempotent',
  send: async (_, { signal }) => toAnswer(await ask(signal), nowMs()),
})

const toAnswer = (said: PriceAnswer, receivedAtMs: number): PollAnswer => {
  switch (said.kind) {
    case 'price':
      return { kind: 'price', eur: said.eur, last_updated_at_ms: said.last_updated_at_ms, received_at_ms: receivedAtMs }
    case 'rate_limited':
      return { kind: 'rate_limited', retry_after_ms: said.retryAfterMs }
    default:
      return said
  }
}

/** Why a poll's answer is no price; null: it is one. */
export const pollFailure = (answer: Answer): string | null => {
  switch (answer['kind']) {
    case 'price':
      return null
    case 'rate_limited':
      return 'rate limited'
    default:
      return String(answer['reason'] ?? answer['text'] ?? answer['kind'])
  }
}
