import { randomBytes } from 'node:crypto'
import { sha256, toBase58 } from './crypto.ts'
import { emptyDraft, eventLog, isImplicitOwner, runBatch, unmatchedDeltas } from './execution.ts'
import type { Burn, Draft, LedgerView } from './execution.ts'
import { Panic } from './intents.ts'
import type { SignedIntent } from './intents.ts'
import { Stamped } from './stamped.ts'
import { FEE_COLLECTOR, FIRST_SALT } from './tokens.ts'

/*
 * The verifier's internal ledger, and the chain that it lives on.
 *
 * G1. A transaction belongs to the block that comes next: no read sees it before that block is there.
 * G2. A batch changes everything or nothing; a failed one leaves its nonces unused.
 * G3. Per token the balances sum to what was minted less what was burned, and none is negative.
 */

export interface Block {
  readonly height: number
  readonly hash: string
  readonly timestampMs: number
}

export interface Transaction {
  readonly hash: string
  /** Of the block that holds it. */
  readonly height: number
  readonly at: number
  readonly panic?: string
  readonly logs: readonly string[]
  readonly intentHashes: readonly string[]
}

/** What `--state-file` keeps; amounts are decimal strings. */
export interface LedgerState {
  readonly height: number
  readonly salts: readonly { salt: string; valid: boolean }[]
  readonly fee_pips: string
  readonly accounts: Record<string, { balances: Record<string, string>; keys: string[]; nonces: Record<string, number>; locked: boolean }>
}

class Account {
  readonly balances = new Map<string, Stamped<bigint>>()
  readonly keys = new Map<string, Stamped<boolean>>()
  /** Nonce to the height of its use. */
  readonly nonces = new Map<string, number>()
  locked = false
}

const BLOCKS_KEPT = 6_000
const TRANSACTIONS_KEPT = 20_000

export class Ledger implements LedgerView {
  readonly now: () => number
  feePips = 1n
  paused = false
  legacyNoncesForbidden = false
  readonly feeCollector = FEE_COLLECTOR
  salts: { salt: string; valid: boolean }[] = [{ salt: FIRST_SALT, valid: true }]
  readonly #accounts = new Map<string, Account>()
  readonly #minted = new Map<string, bigint>()
  readonly #transactions = new Map<string, Transaction>()
  readonly #blocks: Block[] = []
  readonly #blockListeners: ((block: Block) => void)[] = []
  readonly #burnListeners: ((burn: Burn, transaction: Transaction) => void)[] = []
  readonly #changeListeners: (() => void)[] = []

  /** Heights follow the wall clock from 190 000 000, so a start without a state file never goes back either. */
  constructor(options: { readonly now: () => number; readonly state?: LedgerState | undefined }) {
    this.now = options.now
    const byClock = 190_000_000 + Math.max(0, Math.floor((options.now() - 1_790_000_000_000) / 600))
    const first = Math.max(byClock, (options.state?.height ?? 0) + 1)
    this.#blocks.push(this.#newBlock(first))
    if (options.state) this.#restore(options.state)
  }

  get head(): Block {
    return this.#blocks.at(-1) as Block
  }

  /** Makes the next block; the host calls it every 600 ms, tests by hand. */
  produceBlock(): Block {
    const block = this.#newBlock(this.head.height + 1)
    this.#blocks.push(block)
    if (this.#blocks.length > BLOCKS_KEPT) this.#blocks.splice(0, BLOCKS_KEPT / 6)
    for (const listener of this.#blockListeners) listener(block)
    return block
  }

  blockAt(heightOrHash: number | string): Block | undefined {
    if (typeof heightOrHash === 'number') return this.#blocks[heightOrHash - (this.#blocks[0]?.height ?? 0)]
    return this.#blocks.find((block) => block.hash === heightOrHash)
  }

  onBlock(listener: (block: Block) => void): void {
    this.#blockListeners.push(listener)
  }
  onBurn(listener: (burn: Burn, transaction: Transaction) => void): void {
    this.#burnListeners.push(listener)
  }
  onChange(listener: () => void): void {
    this.#changeListeners.push(listener)
  }

  /** Runs a signed batch; a panic is a failed transaction, not a throw. */
  execute(signed: readonly SignedIntent[]): Transaction {
    try {
      const draft = runBatch(this, signed)
      const unmatched = unmatchedDeltas(draft)
      if (Object.keys(unmatched).length > 0)
        throw new Panic(`invariant violated: ${JSON.stringify({ error: 'unmatched_deltas', unmatched_deltas: unmatched })}`)
      return this.#commit(draft)
    } catch (error) {
      if (!(error instanceof Panic)) throw error
      return this.#record({ logs: [], intentHashes: [], panic: error.message })
    }
  }

  /** The view: everything of `execute` but the commit; unmatched deltas are told, not thrown. @throws {Panic} every other defect */
  simulate(signed: readonly SignedIntent[]): Record<string, unknown> {
    const draft = runBatch(this, signed)
    const unmatched = unmatchedDeltas(draft)
    return {
      intents_executed: draft.executed,
      logs: draft.logs,
      min_deadline: new Date(Math.min(draft.minDeadlineMs, 8.64e15)).toISOString(),
      ...(Object.keys(unmatched).length > 0 && { invariant_violated: { error: 'unmatched_deltas', unmatched_deltas: unmatched } }),
      state: { fee: Number(this.feePips), current_salt: this.currentSalt },
    }
  }

  mint(account: string, token: string, amount: bigint, memo = 'deposit'): Transaction {
    const draft = emptyDraft()
    draft.balances.set(account, new Map([[token, this.balance(account, token) + amount]]))
    this.#minted.set(token, (this.#minted.get(token) ?? 0n) + amount)
    draft.logs.push(eventLog('nep245', '1.0.0', 'mt_mint', [{ owner_id: account, token_ids: [token], amounts: [amount.toString()], memo }]))
    return this.#commit(draft)
  }

  /** A withdrawal or a theft, by admin. */
  burn(account: string, token: string, amount: bigint): Transaction {
    const taken = amount < this.balance(account, token) ? amount : this.balance(account, token)
    const draft = emptyDraft()
    draft.balances.set(account, new Map([[token, this.balance(account, token) - taken]]))
    draft.burns.push({ account, token, amount: taken, memo: '' })
    draft.logs.push(
      eventLog('nep245', '1.0.0', 'mt_burn', [{ owner_id: account, token_ids: [token], amounts: [taken.toString()], memo: 'withdraw' }]),
    )
    return this.#commit(draft)
  }

  setKey(account: string, key: string, present: boolean): void {
    this.#commit({ ...emptyDraft(), keys: [{ account, key, present }] })
  }
  burnNonce(account: string, nonce: string): void {
    this.#commit({ ...emptyDraft(), nonces: [{ account, nonce }] })
  }
  /** The garbage collector: the bit goes; what the nonce itself says still keeps it unusable. */
  forgetNonce(account: string, nonce: string): boolean {
    return this.#account(account).nonces.delete(nonce)
  }
  setLocked(account: string, locked: boolean): void {
    this.#account(account).locked = locked
  }

  get currentSalt(): string {
    return this.salts.at(-1)?.salt ?? FIRST_SALT
  }
  /** A new current salt; the old one stays valid unless it is killed. */
  rotateSalt(killOld: boolean): string {
    if (killOld) this.salts = this.salts.map(({ salt }) => ({ salt, valid: false }))
    this.salts.push({ salt: randomBytes(4).toString('hex'), valid: true })
    this.#record({ logs: [eventLog('dip4', '0.3.0', 'salt_rotation', [{ current: this.currentSalt, invalidated: [] }])], intentHashes: [] })
    return this.currentSalt
  }
  saltIsValid(salt: string): boolean {
    return this.salts.some((known) => known.salt === salt && known.valid)
  }

  /** Without a height: with everything that the next block will hold. */
  balance(account: string, token: string, height?: number): bigint {
    const stamped = this.#accounts.get(account)?.balances.get(token)
    return (height === undefined ? stamped?.latest : stamped?.at(height)) ?? 0n
  }
  tokensOf(account: string, height: number): readonly string[] {
    return [...(this.#accounts.get(account)?.balances.keys() ?? [])].filter((token) => this.balance(account, token, height) > 0n)
  }
  supply(token: string): bigint {
    return this.#minted.get(token) ?? 0n
  }
  hasKey(account: string, key: string, height?: number): boolean {
    const stamped = this.#accounts.get(account)?.keys.get(key)
    return (height === undefined ? stamped?.latest : stamped?.at(height)) ?? isImplicitOwner(account, key)
  }
  keysOf(account: string, height: number): readonly string[] {
    return [...(this.#accounts.get(account)?.keys.keys() ?? [])].filter((key) => this.hasKey(account, key, height))
  }
  nonceUsed(account: string, nonce: string, height?: number): boolean {
    const used = this.#accounts.get(account)?.nonces.get(nonce)
    return used !== undefined && (height === undefined || used <= height)
  }
  isLocked(account: string): boolean {
    return this.#accounts.get(account)?.locked ?? false
  }
  transaction(hash: string): Transaction | undefined {
    return this.#transactions.get(hash)
  }

  /** Tokens that break G3; none, ever. */
  brokenInvariants(): readonly string[] {
    const sums = new Map<string, bigint>()
    const negative: string[] = []
    for (const [id, account] of this.#accounts)
      for (const [token, { latest }] of account.balances) {
        sums.set(token, (sums.get(token) ?? 0n) + latest)
        if (latest < 0n) negative.push(`${id} holds ${latest} of ${token}`)
      }
    const lost = [...sums].filter(([token, sum]) => sum !== this.supply(token))
    return [...negative, ...lost.map(([token, sum]) => `${token} sums to ${sum}, minted ${this.supply(token)}`)]
  }

  state(): LedgerState {
    const accounts: LedgerState['accounts'] = {}
    for (const [id, account] of this.#accounts)
      accounts[id] = {
        balances: Object.fromEntries([...account.balances].map(([token, { latest }]) => [token, latest.toString()])),
        keys: [...account.keys].filter(([, { latest }]) => latest).map(([key]) => key),
        nonces: Object.fromEntries(account.nonces),
        locked: account.locked,
      }
    return { height: this.head.height + 1, salts: this.salts, fee_pips: this.feePips.toString(), accounts }
  }

  #restore(state: LedgerState): void {
    this.salts = state.salts.map((salt) => ({ ...salt }))
    this.feePips = BigInt(state.fee_pips)
    const height = this.head.height
    for (const [id, stored] of Object.entries(state.accounts)) {
      const account = this.#account(id)
      account.locked = stored.locked
      for (const [nonce, used] of Object.entries(stored.nonces)) account.nonces.set(nonce, used)
      for (const key of stored.keys) this.#stamp(account.keys, key, height, true, false)
      for (const [token, text] of Object.entries(stored.balances)) {
        this.#stamp(account.balances, token, height, BigInt(text), 0n)
        this.#minted.set(token, this.supply(token) + BigInt(text))
      }
    }
  }

  #commit(draft: Draft): Transaction {
    const height = this.head.height + 1
    for (const [id, byToken] of draft.balances)
      for (const [token, amount] of byToken) this.#stamp(this.#account(id).balances, token, height, amount, 0n)
    for (const { account, nonce } of draft.nonces) this.#account(account).nonces.set(nonce, height)
    for (const { account, key, present } of draft.keys) this.#stamp(this.#account(account).keys, key, height, present, false)
    for (const { token, amount } of draft.burns) this.#minted.set(token, this.supply(token) - amount)
    const transaction = this.#record({ logs: draft.logs, intentHashes: draft.executed.map(({ intent_hash }) => intent_hash) })
    for (const burn of draft.burns) for (const listener of this.#burnListeners) listener(burn, transaction)
    return transaction
  }

  #record(what: Pick<Transaction, 'logs' | 'intentHashes' | 'panic'>): Transaction {
    const transaction = { ...what, hash: toBase58(randomBytes(32)), height: this.head.height + 1, at: this.now() }
    this.#transactions.set(transaction.hash, transaction)
    if (this.#transactions.size > TRANSACTIONS_KEPT) this.#transactions.delete(this.#transactions.keys().next().value ?? '')
    for (const listener of this.#changeListeners) listener()
    return transaction
  }

  #account(id: string): Account {
    const account = this.#accounts.get(id) ?? new Account()
    this.#accounts.set(id, account)
    return account
  }

  #stamp<T>(values: Map<string, Stamped<T>>, key: string, height: number, value: T, before: T): void {
    const stamped = values.get(key) ?? new Stamped(before)
    values.set(key, stamped)
    stamped.set(height, value)
  }

  #newBlock(height: number): Block {
    const timestampMs = this.now()
    return { height, timestampMs, hash: toBase58(sha256(Buffer.from(`block ${height} ${timestampMs}`))) }
  }
}
