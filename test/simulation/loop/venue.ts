import type { PriceAnswer } from '#actors/venues/coingecko/price.ts'
import type { Bridge } from '#actors/venues/near-intents/bridge.ts'
import type { QuoteRequest, QuoteStatus } from '#actors/venues/near-intents/frames.ts'
import type { QuoteFrame, QuoteResponse, Relay, RelayAnswer } from '#actors/venues/near-intents/relay.ts'
import type { Signer } from '#actors/venues/near-intents/signer.ts'
import type { Verifier } from '#actors/venues/near-intents/verifier.ts'
import { commandId } from '#machines/contracts/ids.ts'
import { quoteHash } from '#machines/contracts/nep413.ts'
import type { SimProcess } from '../process.ts'
import { signing } from '../process.ts'
import type { Random } from '../random.ts'
import type { VirtualTime } from '../virtual-time.ts'

export const ACCOUNT = 'solver.near'
export const BTC = 'nep141:btc.omft.near'
const NBTC = 'nep141:nbtc.bridge.near'
export const EURE = 'nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near'

/** How long a read waits for an answer. */
const PATIENCE_MS = 300
const BLOCK_MS = 500
/** A block is final this much later. */
const FINAL_AFTER_MS = 1_000

/** What was signed and sent: whoever holds it can settle it until its deadline. */
export interface SignedOffer {
  readonly quote_id: string
  readonly command_id: string
  readonly nonce: string
  readonly quote_hash: string
  /** base units that each token changes by if it settles */
  readonly diff: Readonly<Record<string, bigint>>
  /** the token that we give, and how much of it */
  readonly token: string
  readonly units: bigint
  readonly deadlineMs: number
  readonly sentAtMs: number
  /** when it settles; null: not yet, or never */
  settledAtMs: number | null
}

interface Change {
  readonly atMs: number
  readonly token: string
  readonly units: bigint
}

/**
 * Solver bus, verifier, bridge and price sources, with a ledger of truth. An offer that arrives may settle until its deadline, whatever
 * the relay says about it; answers get lost, come late, or say "error" of what was taken; the chain is final a little later than it is.
 */
export class Venue {
  readonly #time: VirtualTime
  readonly #random: Random
  readonly #startMs: number
  readonly #changes: Change[] = []
  readonly #listeners = new Set<(status: QuoteStatus) => void>()
  readonly #watchers = new Set<(frame: QuoteFrame) => void>()
  readonly #saltListeners = new Set<() => void>()
  readonly offers = new Map<string, SignedOffer>()
  #salt = '252812b3'
  #bidTenths = 600_000
  #quotes = 0
  onSend: (offer: SignedOffer, process: SimProcess) => void = () => {}
  /** Somebody wants to settle what cannot be paid any more. */
  onOverdrawn: (offer: SignedOffer) => void = () => {}

  constructor(time: VirtualTime, random: Random) {
    this.#time = time
    this.#random = random
    this.#startMs = time.nowMs
    for (const [token, units] of CREDITED) this.#changes.push({ atMs: this.#startMs, token, units })
  }

  get salt(): string {
    return this.#salt
  }

  /** Decimal strings, EURe per BTC. */
  get prices(): { bid: string; ask: string } {
    return { bid: tenths(this.#bidTenths), ask: tenths(this.#bidTenths + 100) }
  }

  movePrice(): void {
    this.#bidTenths += this.#random.between(-300, 300)
  }

  newSalt(): void {
    this.#salt = this.#random.between(0x10000000, 0x7fffffff).toString(16)
    for (const hear of this.#saltListeners) hear()
  }

  onSalt(process: SimProcess, look: () => void): void {
    this.#whileAlive(process, this.#saltListeners, () => process.enter('salt', look))
  }

  #whileAlive<T>(process: SimProcess, listeners: Set<T>, listener: T): void {
    listeners.add(listener)
    const { onDeath } = process
    process.onDeath = () => {
      onDeath()
      listeners.delete(listener)
    }
  }

  deposit(): void {
    const [token, units] = this.#random.pick(CREDITED)
    this.#changes.push({ atMs: this.#time.nowMs, token, units: units / 4n })
  }

  /** Credited at a moment. */
  balance(token: string, atMs: number): bigint {
    return this.#changes.reduce((sum, change) => (change.token === token && change.atMs <= atMs ? sum + change.units : sum), 0n)
  }

  heightAt(atMs: number): number {
    return FIRST_HEIGHT + Math.floor((atMs - this.#startMs) / BLOCK_MS)
  }

  /** When the last final block was made. */
  #finalMs(): number {
    const sinceStart = this.#time.nowMs - FINAL_AFTER_MS - this.#startMs
    return this.#startMs + Math.floor(Math.max(0, sinceStart) / BLOCK_MS) * BLOCK_MS
  }

  // --- requests for quotes ---

  /** @returns stops listening */
  listen(process: SimProcess, onFrame: (frame: QuoteFrame) => void, onStatus: (status: QuoteStatus) => void): void {
    const frame = (quote: QuoteFrame): void => process.enter('frame', () => onFrame({ ...quote, receivedAtMs: process.clock.wallMs() }))
    const status = (said: QuoteStatus): void => process.enter('status', () => onStatus(said))
    this.#whileAlive(process, this.#watchers, frame)
    this.#whileAlive(process, this.#listeners, status)
  }

  /** A taker asks; everybody who listens hears it. @returns the id */
  ask(): string {
    const random = this.#random
    const quote_id = this.#quotes > 0 && random.chance(0.05) ? `q${random.between(1, this.#quotes)}` : `q${++this.#quotes}`
    const btc = random.pick([BTC, BTC, NBTC])
    const isBuying = random.chance(0.5)
    const fixed = (token: string): string =>
      token === EURE ? `${random.between(10, 55)}00000000000000000` : String(random.between(1_500, 9_000))
    const [give, take] = isBuying ? [btc, EURE] : [EURE, btc]
    const data: QuoteRequest = {
      quote_id,
      defuse_asset_identifier_in: random.chance(0.03) ? 'nep141:usdc.near' : give,
      defuse_asset_identifier_out: take,
      ...(random.chance(0.7) ? { exact_amount_in: fixed(give) } : { exact_amount_out: fixed(take) }),
      min_deadline_ms: random.chance(0.03) ? 60_000 : random.between(200, 1_500),
      max_wait_ms: random.between(300, 6_000),
    } as QuoteRequest
    const raw = JSON.stringify({ method: 'event', params: { subscription: 's', data } })
    for (const watcher of this.#watchers)
      this.#time.after(this.#travel(), 'a quote is asked for', () => watcher({ data, metadata: null, raw, receivedAtMs: 0 }))
    return quote_id
  }

  // --- offers ---

  /** A process's way to the relay. */
  relay(process: SimProcess): Pick<Relay, 'quoteResponse'> {
    return {
      quoteResponse: (body, { timeoutMs = 1_000 } = {}) =>
        new Promise((resolve) => {
          const say = (answer: RelayAnswer): void => process.enter('relay answer', () => resolve(answer))
          if (this.#random.chance(0.05)) {
            const away: RelayAnswer = { kind: 'not_connected', reason: 'reconnecting' }
            return void this.#time.after(1, `${process.name} is not connected`, () => say(away))
          }
          this.#offered(body, process, timeoutMs, say)
        }),
    }
  }

  #offered(body: QuoteResponse, process: SimProcess, timeoutMs: number, say: (answer: RelayAnswer) => void): void {
    const offer = readOffer(body, this.#time.nowMs)
    const isFirst = !this.offers.has(offer.nonce)
    if (isFirst) this.offers.set(offer.nonce, offer)
    this.onSend(offer, process)
    this.#time.after(timeoutMs, `${process.name} relay silent`, () => say({ kind: 'silence', reason: `no answer in ${timeoutMs} ms` }))
    this.#time.after(this.#travel(), `relay gets ${offer.command_id}`, () => {
      if (process.dead && this.#random.chance(0.3)) return
      const taken = isFirst && this.#time.nowMs <= offer.deadlineMs && this.#random.chance(0.85)
      if (taken && this.#random.chance(0.7)) this.#settleLater(offer)
      if (this.#random.chance(0.2)) return
      const answer: RelayAnswer =
        taken && this.#random.chance(0.85) ? { kind: 'ok' } : { kind: 'error', code: -32_000, text: this.#random.pick(REFUSALS) }
      this.#time.after(this.#travel(), `relay answers ${offer.command_id}`, () => say(answer))
    })
  }

  /** Decided now: a machine that stands still does not hold the chain up. */
  #settleLater(offer: SignedOffer): void {
    const atMs = Math.floor(this.#time.nowMs + this.#random.next() * (offer.deadlineMs - this.#time.nowMs))
    const left = this.#changes.reduce((sum, { token, units }) => (token === offer.token ? sum + units : sum), 0n)
    if (left < offer.units) return this.onOverdrawn(offer)
    offer.settledAtMs = atMs
    for (const [token, units] of Object.entries(offer.diff)) this.#changes.push({ atMs, token, units })
    if (this.#random.chance(0.4)) return
    const status = { quote_hash: offer.quote_hash, intent_hash: undefined, tx_hash: `tx-${offer.quote_id}`, event_type: undefined }
    this.#time.after(atMs - this.#time.nowMs + this.#travel(), `status of ${offer.command_id}`, () => {
      for (const listener of this.#listeners) listener(status)
    })
  }

  // --- reads ---

  verifier(process: SimProcess): Pick<Verifier, 'isNonceUsed' | 'seesNonceUsed' | 'balancesAll'> {
    return {
      isNonceUsed: (_, nonce) =>
        this.#read(process, 'is nonce used', () => {
          const atMs = this.#finalMs()
          return { used: this.#isUsed(nonce, atMs), block_height: this.heightAt(atMs), block_timestamp_ms: atMs }
        }),
      seesNonceUsed: (_, nonce) =>
        this.#read(process, 'sees nonce used', () => {
          const atMs = this.#finalMs()
          return { used: this.#isUsed(nonce, atMs), block_height: this.heightAt(atMs) }
        }),
      balancesAll: (_, tokens) =>
        this.#read(process, 'balances', () => {
          const atMs = this.#finalMs()
          const spendable = Object.fromEntries(tokens.map((token) => [token, String(this.balance(token, atMs))]))
          return { spendable, disagreement: null, nodes: 1, block_height: this.heightAt(atMs), block_timestamp_ms: atMs }
        }),
    }
  }

  bridge(process: SimProcess): Pick<Bridge, 'recentDeposits' | 'recentWithdrawals'> {
    return {
      recentDeposits: () => this.#read(process, 'deposits', () => ({ rows: [], unreadable: [], total: 0 })),
      recentWithdrawals: () => this.#read(process, 'withdrawals', () => ({ rows: [], unreadable: [] })),
    }
  }

  coingecko(process: SimProcess): Promise<PriceAnswer> {
    return this.#read(process, 'coingecko', (): PriceAnswer => {
      if (this.#random.chance(0.1)) return { kind: 'rate_limited', retryAfterMs: 10_000 }
      return { kind: 'price', eur: this.prices.bid, last_updated_at_ms: Math.floor(this.#time.nowMs) - this.#random.between(0, 5_000) }
    })
  }

  /** Reads any number of times, fails now and then. */
  #read<T>(process: SimProcess, what: string, look: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const fate = this.#random.next()
      if (fate < 0.06) {
        const silent = (): void => process.enter(what, () => reject(new Error(`no answer to ${what}`)))
        return void this.#time.after(PATIENCE_MS, `${process.name} ${what} silent`, silent)
      }
      this.#time.after(this.#travel(), `${process.name} ${what}`, () => {
        if (fate < 0.1) return process.enter(what, () => reject(new Error(`${what}: the node is busy`)))
        const answer = look()
        process.enter(what, () => resolve(answer))
      })
    })
  }

  #isUsed(nonce: string, atMs: number): boolean {
    const at = this.offers.get(nonce)?.settledAtMs
    return at !== undefined && at !== null && at <= atMs
  }

  #travel(): number {
    return this.#random.chance(0.05) ? this.#random.between(100, 1_500) : 2 + this.#random.next() * 40
  }
}

const FIRST_HEIGHT = 1_000
/** Enough for a few offers at once and not for all that are asked for. */
const CREDITED: readonly (readonly [token: string, units: bigint])[] = [
  [BTC, 24_000n],
  [NBTC, 12_000n],
  [EURE, 16_000_000_000_000_000_000n],
]
const REFUSALS = ['internal error', 'quote not found or already finished', 'insufficient balance', 'invalid signature']

export const signer = (process: SimProcess, random: Random): Signer => ({
  public_key: 'ed25519:sim',
  sign: async (account, payload) => {
    await signing(process, random)
    return { standard: 'nep413', payload, public_key: 'ed25519:sim', signature: `ed25519:${account}` }
  },
})

/** What the chain would read in the signed bytes. */
const readOffer = ({ quote_id, signed_data: { payload } }: QuoteResponse, sentAtMs: number): SignedOffer => {
  const { deadline, intents } = JSON.parse(payload.message) as { deadline: string; intents: [{ diff: Record<string, string> }] }
  const diff = Object.fromEntries(Object.entries(intents[0].diff).map(([token, units]) => [token, BigInt(units)]))
  const [token, units] = Object.entries(diff).find(([, each]) => each < 0n) ?? ['', 0n]
  return {
    quote_id,
    command_id: commandId(quote_id),
    nonce: payload.nonce,
    quote_hash: quoteHash(payload),
    diff,
    token,
    units: -units,
    deadlineMs: Date.parse(deadline),
    sentAtMs,
    settledAtMs: null,
  }
}

const tenths = (value: number): string => `${Math.floor(value / 10)}.${value % 10}`
