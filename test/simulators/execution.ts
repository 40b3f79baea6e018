import { feeOf } from './fees.ts'
import { openIntent, Panic, signatureIsValid } from './intents.ts'
import type { Intent, OpenedIntent, SignedIntent } from './intents.ts'
import { keyBytes } from './crypto.ts'
import { readVersionedNonce } from './nonces.ts'
import { CONTRACT, FEE_COLLECTOR } from './tokens.ts'

/*
 * `execute_intents` of the verifier, in the literal order of near/intents core/src/engine/mod.rs: for each payload signature, parse, recipient,
 * deadline, key, nonce, commit of the nonce, intents; then all deltas must net to zero. It works on a draft: who keeps it commits the
 * whole batch, who drops it reverts the whole batch.
 */

/** What execution reads of the ledger, at its newest state. */
export interface LedgerView {
  now(): number
  readonly feePips: bigint
  readonly paused: boolean
  readonly legacyNoncesForbidden: boolean
  balance(account: string, token: string): bigint
  hasKey(account: string, key: string): boolean
  nonceUsed(account: string, nonce: string): boolean
  isLocked(account: string): boolean
  saltIsValid(salt: string): boolean
}

export interface Burn {
  readonly account: string
  readonly token: string
  readonly amount: bigint
  readonly memo: string
}

export interface Draft {
  readonly balances: Map<string, Map<string, bigint>>
  readonly nonces: { account: string; nonce: string }[]
  readonly keys: { account: string; key: string; present: boolean }[]
  readonly burns: Burn[]
  readonly logs: string[]
  readonly executed: { intent_hash: string; account_id: string; nonce: string }[]
  /** Net of all deltas by token and account, fee collector included. */
  readonly deltas: Map<string, Map<string, bigint>>
  minDeadlineMs: number
}

export const emptyDraft = (): Draft => ({
  balances: new Map(),
  nonces: [],
  keys: [],
  burns: [],
  logs: [],
  executed: [],
  deltas: new Map(),
  minDeadlineMs: Number.POSITIVE_INFINITY,
})

export const eventLog = (standard: string, version: string, event: string, data: readonly unknown[]): string =>
  `EVENT_JSON:${JSON.stringify({ standard, version, event, data })}`

const decimals = (amounts: Iterable<readonly [string, bigint]>): Record<string, string> =>
  Object.fromEntries([...amounts].map(([token, amount]) => [token, amount.toString()]))

/** A 64-hex account owns the key that it is the hex of, without registration. */
export const isImplicitOwner = (account: string, key: string): boolean =>
  /^[0-9a-f]{64}$/.test(account) && keyBytes(key, 32)?.toString('hex') === account

/** @throws {Panic} the contract's text; nothing of the draft may be kept then */
export const runBatch = (view: LedgerView, signed: readonly SignedIntent[]): Draft => {
  if (view.paused) throw new Panic('Pausable: Method is paused')
  const draft = emptyDraft()
  for (const one of signed) {
    if (!signatureIsValid(one)) throw new Panic('invalid signature')
    const opened = openIntent(one)
    authorize(view, draft, opened)
    for (const intent of opened.intents) runIntent(view, draft, opened, intent)
    draft.executed.push({ intent_hash: opened.hash, account_id: opened.signerId, nonce: opened.nonce })
    draft.minDeadlineMs = Math.min(draft.minDeadlineMs, opened.deadlineMs)
  }
  if (draft.executed.length > 0) draft.logs.push(eventLog('dip4', '0.3.1', 'intents_executed', draft.executed))
  const transfers = transfersOf(draft)
  if (transfers.length > 0) draft.logs.push(eventLog('nep245', '1.0.0', 'mt_transfer', transfers))
  return draft
}

/** Tokens whose deltas do not sum to zero, with the sum. */
export const unmatchedDeltas = (draft: Draft): Record<string, string> =>
  decimals(
    [...draft.deltas]
      .map(([token, byAccount]) => [token, [...byAccount.values()].reduce((sum, delta) => sum + delta, 0n)] as const)
      .filter(([, sum]) => sum !== 0n),
  )

/** Recipient, deadline, key and nonce of one payload; commits the nonce to the draft. */
const authorize = (view: LedgerView, draft: Draft, opened: OpenedIntent): void => {
  const { signerId, publicKey, nonce, deadlineMs } = opened
  if (opened.recipient !== CONTRACT) throw new Panic('wrong verifying_contract')
  if (deadlineMs < view.now()) throw new Panic('deadline has expired')
  const drafted = draft.keys.findLast((change) => change.account === signerId && change.key === publicKey)
  if (!(drafted?.present ?? (view.hasKey(signerId, publicKey) || isImplicitOwner(signerId, publicKey))))
    throw new Panic(`public key '${publicKey}' doesn't exist for account '${signerId}'`)
  checkNonce(view, opened)
  if (view.isLocked(signerId)) throw new Panic(`account '${signerId}' is locked`)
  const usedHere = draft.nonces.some((used) => used.account === signerId && used.nonce === nonce)
  if (usedHere || view.nonceUsed(signerId, nonce)) throw new Panic('nonce was already used')
  draft.nonces.push({ account: signerId, nonce })
}

const checkNonce = (view: LedgerView, opened: OpenedIntent): void => {
  const versioned = readVersionedNonce(opened.nonceBytes)
  if (!versioned) {
    if (view.legacyNoncesForbidden) throw new Panic('invalid nonce')
    return
  }
  if (!view.saltIsValid(versioned.salt)) throw new Panic('invalid salt')
  if (opened.deadlineMs > versioned.deadlineMs) throw new Panic('deadline is greater than nonce')
  if (versioned.deadlineMs < view.now()) throw new Panic('nonce was already expired')
}

const move = (view: LedgerView, draft: Draft, account: string, token: string, delta: bigint): void => {
  const byToken = draft.balances.get(account) ?? new Map<string, bigint>()
  draft.balances.set(account, byToken)
  const balance = (byToken.get(token) ?? view.balance(account, token)) + delta
  if (balance < 0n || balance >= 1n << 128n) throw new Panic('insufficient balance or overflow')
  byToken.set(token, balance)
}

const note = (draft: Draft, account: string, token: string, delta: bigint): void => {
  const byAccount = draft.deltas.get(token) ?? new Map<string, bigint>()
  draft.deltas.set(token, byAccount)
  byAccount.set(account, (byAccount.get(account) ?? 0n) + delta)
}

const runIntent = (view: LedgerView, draft: Draft, opened: OpenedIntent, intent: Intent): void => {
  const account = opened.signerId
  switch (intent.intent) {
    case 'token_diff':
      return runTokenDiff(view, draft, opened, intent)
    case 'transfer': {
      for (const [token, amount] of Object.entries(intent.tokens)) {
        if (amount === 0n) throw new Panic('invalid intent')
        move(view, draft, account, token, -amount)
        move(view, draft, intent.receiver_id, token, amount)
      }
      const tokens = decimals(Object.entries(intent.tokens))
      draft.logs.push(eventLog('dip4', '0.3.0', 'transfer', [{ account_id: account, receiver_id: intent.receiver_id, tokens }]))
      return
    }
    case 'ft_withdraw':
      return burn(view, draft, { account, token: `nep141:${intent.token}`, amount: intent.amount, memo: intent.memo ?? 'withdraw' })
    case 'mt_withdraw':
      intent.token_ids.forEach((id, index) =>
        burn(view, draft, { account, token: `nep245:${intent.token}:${id}`, amount: intent.amounts[index] ?? 0n, memo: 'withdraw' }),
      )
      return
    case 'add_public_key':
    case 'remove_public_key':
      draft.keys.push({ account, key: intent.public_key, present: intent.intent === 'add_public_key' })
  }
}

const runTokenDiff = (view: LedgerView, draft: Draft, opened: OpenedIntent, intent: Extract<Intent, { intent: 'token_diff' }>): void => {
  const entries = Object.entries(intent.diff).toSorted(([a], [b]) => (a < b ? -1 : 1))
  if (entries.length === 0 || entries.some(([, delta]) => delta === 0n)) throw new Panic('invalid intent')
  const fees: [string, bigint][] = []
  for (const [token, delta] of entries) {
    move(view, draft, opened.signerId, token, delta)
    note(draft, opened.signerId, token, delta)
    const fee = feeOf(token, delta, view.feePips)
    if (fee === 0n) continue
    fees.push([token, fee])
    move(view, draft, FEE_COLLECTOR, token, fee)
    note(draft, FEE_COLLECTOR, token, fee)
  }
  const data = {
    intent_hash: opened.hash,
    account_id: opened.signerId,
    diff: decimals(entries),
    ...(intent.referral === undefined ? {} : { referral: intent.referral }),
    ...(fees.length === 0 ? {} : { fees_collected: decimals(fees) }),
  }
  draft.logs.push(eventLog('dip4', '0.3.0', 'token_diff', [data]))
}

const burn = (view: LedgerView, draft: Draft, what: Burn): void => {
  if (what.amount === 0n) throw new Panic('invalid intent')
  move(view, draft, what.account, what.token, -what.amount)
  draft.burns.push(what)
  const data = { owner_id: what.account, token_ids: [what.token], amounts: [what.amount.toString()], memo: 'withdraw' }
  draft.logs.push(eventLog('nep245', '1.0.0', 'mt_burn', [data]))
}

/** Who paid whom: per token the givers against the takers, in the order in which they appeared. */
const transfersOf = (draft: Draft): readonly unknown[] => {
  const pairs = new Map<string, { old_owner_id: string; new_owner_id: string; token_ids: string[]; amounts: string[] }>()
  for (const [token, byAccount] of draft.deltas) {
    const givers = [...byAccount].filter(([, delta]) => delta < 0n).map(([account, delta]) => ({ account, left: -delta }))
    for (const [taker, delta] of byAccount) {
      let wanted = delta
      for (const giver of givers) {
        const amount = giver.left < wanted ? giver.left : wanted
        if (amount <= 0n) continue
        giver.left -= amount
        wanted -= amount
        const id = `${giver.account}>${taker}`
        const pair = pairs.get(id) ?? { old_owner_id: giver.account, new_owner_id: taker, token_ids: [], amounts: [] }
        pairs.set(id, pair)
        pair.token_ids.push(token)
        pair.amounts.push(amount.toString())
      }
    }
  }
  return [...pairs.values()]
}
