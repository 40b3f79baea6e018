import { z } from 'zod'
import type { EffectContext, EffectKind, OracleAnswer } from '#actors/runtime/service.ts'
import type { QuoteStatus } from '#actors/venues/near-intents/frames.ts'
import type { Relay, RelayAnswer } from '#actors/venues/near-intents/relay.ts'
import type { Signer } from '#actors/venues/near-intents/signer.ts'
import type { Verifier } from '#actors/venues/near-intents/verifier.ts'
import type { Trace } from '#machines/command/assess.ts'
import type { SendOffer } from '#machines/command/machine.ts'

const Params: z.ZodType<SendOffer> = z.object({
  message: z.string(),
  nonce: z.string(),
  recipient: z.string(),
  quote_hash: z.string(),
  account_id: z.string(),
  quote_id: z.string(),
  quote_output: z.union([z.strictObject({ amount_out: z.string() }), z.strictObject({ amount_in: z.string() })]),
  asked_for: z.array(z.object({ nonce: z.string(), quote_hash: z.string() })).min(1),
  answer_by_ms: z.int(),
  not_after_ms: z.int(),
})

export interface SendOfferDeps {
  /** null until the service has started */
  readonly relay: () => Pick<Relay, 'quoteResponse'> | null
  /** Resolves when the relay's connection is open, or after `ms`. */
  readonly whenOpen: (ms: number, signal: AbortSignal) => Promise<void>
  readonly signer: Signer | null
  readonly verifier: Pick<Verifier, 'isNonceUsed' | 'seesNonceUsed'>
  readonly nowMs: () => number
  readonly answerTimeoutMs: number
  /** the oracle may know by now */
  readonly hurry: (effect: string) => void
  readonly onAnswer: (answer: Exclude<RelayAnswer, { kind: 'not_connected' }>, offer: SendOffer, tookMs: number) => void
}

export interface SendOfferEffect {
  readonly kind: EffectKind
  /** A status frame: a hint, never the truth. Other solvers' hashes are not ours and say nothing. */
  onStatus(status: QuoteStatus): void
  /** Frames may have been missed: whatever is open is asked about at once. */
  onReconnected(): void
  readonly open: () => number
}

/** How long after the offer's deadline a final block later than it can be expected; NEAR finalises within about 2 s (2026). */
const ASK_AFTER_MS = 2_500
const ASK_EVERY_MS = 1_500

/**
 * Signs the bytes that the turn has fixed, sends them once, and asks the chain what became of them.
 *
 * SO1. The gate is asked after the signature and right before the socket's write, with nothing awaited between.
 * SO2. "Not connected" is retried until the auction closes, since nothing has left; every other answer is said as it came.
 * SO3. The oracle is the nonces at a final block: one, unless it is not known under which salt it was signed. `settled_height` is the height at which its use was seen, so at or above the
 *      settlement's own: a booking lasts too long rather than too short.
 * SO4. The signature goes to the relay and nowhere else.
 */
export const sendOfferEffect = (deps: SendOfferDeps): SendOfferEffect => {
  /** quote_hash to its effect, and the transaction that a status frame named */
  const open = new Map<string, { effect: string; tx_hash: string | null }>()
  const track = ({ asked_for }: SendOffer, { effect }: Pick<EffectContext, 'effect'>): void => {
    for (const { quote_hash } of asked_for) if (!open.has(quote_hash)) open.set(quote_hash, { effect, tx_hash: null })
  }
  const forget = ({ asked_for }: SendOffer): void => {
    for (const { quote_hash } of asked_for) open.delete(quote_hash)
  }

  const send = async (
    params: unknown,
    context: EffectContext,
  ): Promise<{ answered: Exclude<RelayAnswer, { kind: 'not_connected' }> } | { not_sent: string }> => {
    const offer = Params.parse(params)
    if (deps.signer === null) return { not_sent: 'signer missing' }
    const { message, nonce, recipient, quote_id, quote_output } = offer
    const signed_data = await deps.signer.sign(offer.account_id, { message, nonce, recipient })
    track(offer, context)
    while (deps.nowMs() < offer.answer_by_ms) {
      if (!context.mayStillSend()) {
        forget(offer)
        return { not_sent: deps.nowMs() > offer.not_after_ms ? 'too late' : 'disarmed' }
      }
      const startedMs = deps.nowMs()
      const answer = await deps
        .relay()
        ?.quoteResponse({ quote_id, quote_output, signed_data }, { signal: context.signal, timeoutMs: deps.answerTimeoutMs })
      if (answer && answer.kind !== 'not_connected') {
        deps.onAnswer(answer, offer, deps.nowMs() - startedMs)
        return { answered: answer }
      }
      if (context.signal.aborted) break
      await deps.whenOpen(offer.answer_by_ms - deps.nowMs(), context.signal)
    }
    forget(offer)
    return { not_sent: 'too late' }
  }

  /** Before the deadline only a "yes" counts, and a block's time costs a request of its own. What it says was true when it was asked. */
  const look = async ({ account_id, not_after_ms }: SendOffer, { nonce, quote_hash }: Trace, signal: AbortSignal) => {
    const askedAtMs = deps.nowMs()
    if (askedAtMs <= not_after_ms)
      return { quote_hash, ...(await deps.verifier.seesNonceUsed(account_id, nonce, { signal })), as_of_ms: askedAtMs }
    const { used, block_height, block_timestamp_ms } = await deps.verifier.isNonceUsed(account_id, nonce, { signal })
    return { quote_hash, used, block_height, as_of_ms: block_timestamp_ms }
  }

  const ask = async (params: unknown, context: Pick<EffectContext, 'effect' | 'signal'>): Promise<OracleAnswer> => {
    const offer = Params.parse(params)
    track(offer, context)
    const looks = await Promise.all(offer.asked_for.map((trace) => look(offer, trace, context.signal)))
    // All are unused as of the oldest look.
    const [first] = looks.toSorted((a, b) => Number(b.used) - Number(a.used) || a.as_of_ms - b.as_of_ms)
    const { used, block_height, as_of_ms, quote_hash } = first!
    if (!used && as_of_ms <= offer.not_after_ms) return { answer: 'unknown', as_of_ms, detail: { block_height } }
    const tx_hash = open.get(quote_hash)?.tx_hash ?? null
    forget(offer)
    if (!used) return { answer: 'never', as_of_ms, detail: { block_height } }
    return { answer: 'happened', as_of_ms, detail: { tx_hash, settled_height: block_height, quote_hash } }
  }

  return {
    kind: { mode: 'ask first', send, ask, askAfterMs: ASK_AFTER_MS, askEveryMs: ASK_EVERY_MS },
    onStatus: ({ quote_hash, tx_hash }) => {
      const entry = open.get(quote_hash)
      if (!entry) return
      entry.tx_hash = tx_hash ?? entry.tx_hash
      deps.hurry(entry.effect)
    },
    onReconnected: () => {
      for (const effect of new Set([...open.values()].map((entry) => entry.effect))) deps.hurry(effect)
    },
    open: () => open.size,
  }
}
