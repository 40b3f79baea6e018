import { closureDelta, supplyDelta } from './fees.ts'
import type { Auction } from './auctions.ts'
import { keyPairFromSeed, nep413Preimage, sha256 } from './crypto.ts'
import type { KeyPair } from './crypto.ts'
import { intentHash } from './intents.ts'
import type { SignedIntent } from './intents.ts'
import type { Ledger, Transaction } from './ledger.ts'
import { makeVersionedNonce } from './nonces.ts'
import type { Random } from './random.ts'
import type { Answer, Referee } from './referee.ts'
import { CONTRACT, PAUPER, PAUPER_SEED, TAKER, TAKER_SEED } from './tokens.ts'
import type { Timers } from './timers.ts'

/** A frame of quote_status_extended; the basic stream gets the successful ones without `event_type`. */
export interface Status {
  readonly event_type: 'quote_ready_to_settle' | 'quote_settle_successful' | 'quote_settle_failed'
  readonly quote_hash: string
  readonly intent_hash: string
  readonly tx_hash?: string
}

type Special = 'relay.settle_at_deadline' | 'relay.settle_after_deadline' | 'relay.fail_then_success'

/** The taker's side of an accepted offer: signs the closing payload, executes both, tells who listens once the block is there. */
export class Settlement {
  /** Faults by quote id. */
  readonly special = new Map<string, Special>()
  readonly #ledger: Ledger
  readonly #referee: Referee
  readonly #random: Random
  readonly #timers: Timers
  readonly #taker: KeyPair = keyPairFromSeed(TAKER_SEED)
  readonly #pauper: KeyPair = keyPairFromSeed(PAUPER_SEED)
  readonly #onStatus: ((status: Status) => void)[] = []
  #waiting: { readonly height: number; readonly run: () => void }[] = []

  constructor(parts: { readonly ledger: Ledger; readonly referee: Referee; readonly random: Random; readonly timers: Timers }) {
    this.#ledger = parts.ledger
    this.#referee = parts.referee
    this.#random = parts.random
    this.#timers = parts.timers
    this.#ledger.setKey(TAKER, this.#taker.publicKey, true)
    this.#ledger.setKey(PAUPER, this.#pauper.publicKey, true)
    this.#ledger.onBlock(({ height }) => {
      const due = this.#waiting.filter((one) => one.height <= height)
      this.#waiting = this.#waiting.filter((one) => one.height > height)
      for (const { run } of due) run()
    })
  }

  onStatus(listener: (status: Status) => void): void {
    this.#onStatus.push(listener)
  }

  begin(auction: Auction): void {
    const answer = auction.winner
    if (!answer) return
    const special = this.special.get(answer.quote_id)
    this.special.delete(answer.quote_id)
    const leftMs = answer.offer.opened.deadlineMs - this.#ledger.now()
    const delayMs = auction.order.settle_delay_ms ?? this.#random.integer(200, 900)
    const isPoor = auction.order.plan === 'fail' || special === 'relay.fail_then_success'
    const atMs = special === 'relay.settle_at_deadline' ? leftMs - 30 : special === 'relay.settle_after_deadline' ? leftMs + 200 : delayMs
    this.#timers.after(atMs, () => this.#settle(auction, answer, isPoor))
    if (special === 'relay.fail_then_success') this.#timers.after(atMs + 1_500, () => this.#settle(auction, answer, false))
  }

  /** Executes a taker's own signed intent against responses that it chose, as `publish_intent` does. */
  publish(taker: SignedIntent, quoteHashes: readonly string[]): Transaction {
    const answers = quoteHashes.map((hash) => this.#referee.answers.get(hash)).filter((answer) => answer !== undefined)
    const transaction = this.#ledger.execute([...answers.map(({ offer }) => offer.signed), taker])
    for (const answer of answers) this.#end(answer, transaction, intentHash(taker))
    return transaction
  }

  #settle(auction: Auction, answer: Answer, isPoor: boolean): void {
    const taker = this.#closing(answer, isPoor)
    this.#tell({ event_type: 'quote_ready_to_settle', quote_hash: answer.quote_hash, intent_hash: intentHash(taker) })
    const transaction = this.#ledger.execute([answer.offer.signed, taker])
    auction.txHash = transaction.hash
    if (transaction.panic === undefined) {
      auction.outcome = 'settled'
      auction.settledHeight = transaction.height
    } else {
      auction.outcome = 'settle_failed'
      auction.failure = transaction.panic
    }
    this.#end(answer, transaction, intentHash(taker))
  }

  #end(answer: Answer, transaction: Transaction, takerHash: string): void {
    const settled = transaction.panic === undefined
    if (settled) this.#referee.settled(answer, transaction)
    const event_type = settled ? 'quote_settle_successful' : 'quote_settle_failed'
    const status = { event_type, quote_hash: answer.quote_hash, intent_hash: takerHash, tx_hash: transaction.hash } as const
    this.#waiting.push({ height: transaction.height, run: () => this.#tell(status) })
  }

  /** The payload that nets to zero with the solver's. */
  #closing({ offer }: Answer, isPoor: boolean): SignedIntent {
    const pips = this.#ledger.feePips
    const deadlineMs = this.#ledger.now() + 60_000
    const diff = {
      [offer.tokenIn]: closureDelta(offer.amountIn, pips).toString(),
      [offer.tokenOut]: (-supplyDelta(-offer.amountOut, pips)).toString(),
    }
    const signerId = isPoor ? PAUPER : TAKER
    const intents = [{ intent: 'token_diff', diff, referral: '1click-simulated' }]
    const message = JSON.stringify({ deadline: new Date(deadlineMs).toISOString(), intents, signer_id: signerId })
    const nonce = makeVersionedNonce(this.#ledger.currentSalt, deadlineMs + 60_000, crypto.getRandomValues(new Uint8Array(15)))
    const keys = isPoor ? this.#pauper : this.#taker
    const hash = sha256(nep413Preimage(message, Buffer.from(nonce, 'base64'), CONTRACT))
    return {
      standard: 'nep413',
      payload: { message, nonce, recipient: CONTRACT },
      public_key: keys.publicKey,
      signature: keys.sign(hash),
    }
  }

  #tell(status: Status): void {
    for (const listener of this.#onStatus) listener(status)
  }
}
