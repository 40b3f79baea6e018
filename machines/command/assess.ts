import { commandId, executionKey, idempotencyKey, NEAR_INTENTS, PAIR } from '../contracts/ids.ts'
import { buildOffer, OfferError } from '../contracts/nep413.ts'
import type { Offer } from '../contracts/nep413.ts'
import type { ExecuteTrade, ResultCode } from '../contracts/records/trade.ts'
import type { Stamp } from '../contracts/stamp.ts'

/** What the executor knows of itself and of the venue when a command is gathered. */
export interface Means {
  /** 8 hex digits, the verifier's current salt; null: not known */
  readonly salt: string | null
  /** others, and maybe this one, that offers of this lane may have been signed with */
  readonly recent_salts: readonly string[]
  readonly account_id: string
  readonly contract_id: string
  readonly signer: 'ready' | 'missing' | 'not_authorized'
  /** how long after the offer's deadline its nonce stays readable on chain, ms */
  readonly nonce_keep_ms: number
  readonly btc_tokens: readonly string[]
  readonly eure_token: string
  /** what is credited, by token; null: not known here, and then not looked at */
  readonly inventory: { readonly spendable: Readonly<Record<string, string>> } | null
  /** false: strict, and the history cannot be written */
  readonly audited: boolean
}

export interface Refusal {
  readonly code: ResultCode
  readonly note: string
}

/** An offer as the chain knows it. */
export type Trace = Pick<Offer, 'nonce' | 'quote_hash'>

/** An offer to make, its bytes fixed, and what the chain is asked for then; or why none is made. */
export type Assessment =
  | { readonly offer: Offer; readonly asked_for: readonly Trace[]; readonly refusal: null }
  | { readonly offer: null; readonly refusal: Refusal }

/**
 * Looks at a command before anything is sent, and builds the exact bytes to sign.
 * One that may have been taken before, in a time that storage has forgotten, may have been sent then: only the chain can say that it was
 * not. Its offer is built to ask for, whatever else would speak against making it, under every salt that it may have been signed with.
 * What nobody can know is a salt that was first seen in the lost time by a process that died with it, and that this one has not seen.
 * @param key the actor's own key, which the command has to name
 * @throws {OfferError} it may have been taken before, and what to ask for cannot be told: the current salt is not known
 */
export const assess = (key: string, command: ExecuteTrade, means: Means, stamp: Pick<Stamp, 'now' | 'maybe_taken_before'>): Assessment => {
  const refusal = refusalOf(key, command, means, stamp)
  if (refusal) return { offer: null, refusal }
  try {
    const { salt, recent_salts } = means
    const offer = build(command, means, salt ?? '')
    const others = stamp.maybe_taken_before ? [...new Set(recent_salts)].filter((each) => each !== salt) : []
    const asked_for = [offer, ...others.map((each) => build(command, means, each))].map(({ nonce, quote_hash }) => ({ nonce, quote_hash }))
    return { offer, asked_for, refusal: null }
  } catch (error) {
    if (error instanceof OfferError && !stamp.maybe_taken_before)
      return { offer: null, refusal: { code: 'BAD_COMMAND', note: error.message } }
    throw error
  }
}

const refusalOf = (
  key: string,
  command: ExecuteTrade,
  means: Means,
  { now, maybe_taken_before }: Pick<Stamp, 'now' | 'maybe_taken_before'>,
): Refusal | null => {
  const field = badField(key, command, means)
  if (field) return { code: 'BAD_COMMAND', note: `${field} is not what it has to be` }
  if (maybe_taken_before) return null
  if (now >= Date.parse(command.answer_by)) return { code: 'TOO_LATE', note: `answers were taken until ${command.answer_by}` }
  if (now >= Date.parse(command.offer_deadline)) return { code: 'TOO_LATE', note: `the offer was good until ${command.offer_deadline}` }
  if (!means.audited) return { code: 'DISARMED', note: 'strict audit: the history cannot be written' }
  if (means.signer === 'missing') return { code: 'SIGNER_MISSING', note: 'no usable signing key' }
  if (means.signer === 'not_authorized' || means.salt === null)
    return { code: 'SIGNER_NOT_AUTHORIZED', note: `the verifier has not confirmed the key for ${means.account_id}` }
  const credited = means.inventory?.spendable[command.asset_out] ?? (means.inventory ? '0' : null)
  if (credited !== null && BigInt(credited) < BigInt(command.amount_out))
    return { code: 'INVENTORY_INSUFFICIENT', note: `${credited} credited, ${command.amount_out} to give` }
  return null
}

/** The first field of a command that contradicts the others or this venue. */
const badField = (key: string, command: ExecuteTrade, { btc_tokens, eure_token }: Means): keyof ExecuteTrade | null => {
  const { quote_id, asset_in, asset_out, direction } = command
  const [btc, eure] = direction === 'btc_to_eure' ? [asset_in, asset_out] : [asset_out, asset_in]
  if (command.command_id !== key || key !== commandId(quote_id)) return 'command_id'
  if (command.idempotency_key !== idempotencyKey(NEAR_INTENTS, quote_id)) return 'idempotency_key'
  if (command.execution_key !== executionKey(NEAR_INTENTS, asset_in, asset_out)) return 'execution_key'
  if (command.pair !== PAIR) return 'pair'
  if (!btc_tokens.includes(btc)) return direction === 'btc_to_eure' ? 'asset_in' : 'asset_out'
  if (eure !== eure_token) return direction === 'btc_to_eure' ? 'asset_out' : 'asset_in'
  if (command.amount_in === '0') return 'amount_in'
  return command.amount_out === '0' ? 'amount_out' : null
}

const build = (command: ExecuteTrade, means: Means, salt_hex: string): Offer => {
  const offer_deadline_ms = Date.parse(command.offer_deadline)
  return buildOffer({
    account_id: means.account_id,
    contract_id: means.contract_id,
    idempotency_key: command.idempotency_key,
    salt_hex,
    offer_deadline_ms,
    nonce_deadline_ms: offer_deadline_ms + means.nonce_keep_ms,
    diff: { [command.asset_in]: command.amount_in, [command.asset_out]: `-${command.amount_out}` },
  })
}
