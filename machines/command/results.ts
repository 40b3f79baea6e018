import type { ExecuteTrade, ResultCode, TradeResult } from '../contracts/records/trade.ts'

/** What the relay has said so far: its words decide how an offer that was never used is called. */
export type RelaySaid = { readonly kind: 'nothing' | 'ok' | 'silence' } | { readonly kind: 'error'; readonly text: string }

/** The outcome of an offer whose nonce stays unused for good. */
export const unusedCode = (said: RelaySaid): ResultCode => {
  if (said.kind !== 'error') return 'EXPIRED_UNUSED'
  return REFUSALS.find(([words]) => words.test(said.text))?.[1] ?? 'VENUE_REJECTED'
}

/** The outcome of an offer of which provably nothing left us. */
export const notSentCode = (reason: string): ResultCode => NOT_SENT[reason] ?? 'VENUE_REJECTED'

/** Texts of the relay and of the verifier behind it (github near/intents `core/src/error.rs`, 2026-08). */
const REFUSALS: readonly (readonly [RegExp, ResultCode])[] = [
  [/quote not found or already finished|deadline has expired/i, 'TOO_LATE'],
  [/insufficient balance/i, 'INVENTORY_INSUFFICIENT'],
  [/public key .*exist|invalid signature/i, 'SIGNER_NOT_AUTHORIZED'],
]

/** Reasons of the runtime's gate, and of the effect handler. */
const NOT_SENT: Readonly<Record<string, ResultCode>> = {
  disarmed: 'DISARMED',
  'too late': 'TOO_LATE',
  'signer missing': 'SIGNER_MISSING',
}

const STATUS: Partial<Record<ResultCode, TradeResult['status']>> = {
  SUBMITTED: 'submitted',
  REJECTED: 'submitted',
  UNCERTAIN: 'uncertain',
  RECOVERED: 'recovered',
  SETTLED: 'settled',
  EXPIRED_UNUSED: 'expired',
}

export const NOTE_LENGTH = 300

/** What a result repeats of its command. */
export type Repeated = Pick<
  ExecuteTrade,
  | 'command_id'
  | 'idempotency_key'
  | 'execution_key'
  | 'quote_id'
  | 'pair'
  | 'direction'
  | 'asset_in'
  | 'asset_out'
  | 'amount_in'
  | 'amount_out'
>

export const repeated = (command: ExecuteTrade): Repeated => ({
  command_id: command.command_id,
  idempotency_key: command.idempotency_key,
  execution_key: command.execution_key,
  quote_id: command.quote_id,
  pair: command.pair,
  direction: command.direction,
  asset_in: command.asset_in,
  asset_out: command.asset_out,
  amount_in: command.amount_in,
  amount_out: command.amount_out,
})

export const resultOf = (
  command: Repeated,
  code: ResultCode,
  more: Partial<Pick<TradeResult, 'execution_id' | 'quote_hash' | 'tx_hash' | 'settled_height' | 'note'>> = {},
): TradeResult => ({
  ...command,
  execution_id: more.execution_id ?? null,
  status: STATUS[code] ?? 'failed',
  result_code: code,
  quote_hash: more.quote_hash ?? null,
  tx_hash: more.tx_hash ?? null,
  settled_height: more.settled_height ?? null,
  note: more.note?.slice(0, NOTE_LENGTH) ?? null,
})
