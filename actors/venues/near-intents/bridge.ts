import { z } from 'zod'
import { postJson } from '../http.ts'
import type { HttpOptions } from '../http.ts'
import { parseExact, plainDecimal } from '../json.ts'

/**
 * The POA bridge: where deposits come in and withdrawals go out, JSON-RPC over HTTP without authentication.
 * Amounts arrive as JSON numbers of base units beyond 2^53 (EURe has 18 decimals): they are strings from the source text on,
 * never floats. One try a call; every method throws BridgeError and nothing else.
 */
export interface Bridge {
  /** Minimums and fees in base units, for these chains (`btc:mainnet`, `eth:100`), all when not given. */
  supportedTokens(chains?: readonly string[], options?: CallOptions): Promise<SupportedToken[]>
  /** Stable for one account and chain. */
  depositAddress(query: { account_id: string; chain: string }, options?: CallOptions): Promise<DepositAddress>
  /** Newest first; `limit` 20 unless told, 100 at most. */
  recentDeposits(query: DepositQuery, options?: CallOptions): Promise<Rows<Deposit> & { total: number }>
  recentWithdrawals(query: { account_id: string; chain?: string }, options?: CallOptions): Promise<Rows<Withdrawal>>
  /** By the NEAR transaction that burned the tokens; `not_indexed` is transient and says nothing about the outcome. */
  withdrawalStatus(
    withdrawal_hash: string,
    options?: CallOptions,
  ): Promise<({ kind: 'found' } & Rows<Withdrawal>) | { kind: 'not_indexed' }>
}

export type CallOptions = { signal?: AbortSignal | undefined }
export type DepositQuery = { account_id: string; chain?: string; status?: string; limit?: number; offset?: number }

/** One odd row must not hide the others, and must not vanish: it is handed on as text. */
export type Rows<T> = { rows: T[]; unreadable: Array<{ row: string; reason: string }> }

export class BridgeError extends Error {
  override readonly name = 'BridgeError'
  /** UNAVAILABLE not reached, or no 200; REFUSED its own error text, in `text`; MALFORMED an answer that cannot be read; ABORTED the caller gave up */
  readonly code: 'UNAVAILABLE' | 'REFUSED' | 'MALFORMED' | 'ABORTED'
  readonly method: string
  readonly text: string
  constructor(code: BridgeError['code'], method: string, text: string, cause?: unknown) {
    super(`bridge ${method}: ${text}`, cause === undefined ? {} : { cause })
    this.code = code
    this.method = method
    this.text = text
  }
}

/** @param options.timeoutMs of one call; 5,000 unless told */
export const bridgeClient = (options: { url: string; timeoutMs?: number; fetch?: HttpOptions['fetch'] }): Bridge => {
  const call = async <T>(method: string, query: object, shape: z.ZodType<T>, { signal }: CallOptions = {}): Promise<T> => {
    const request = { jsonrpc: '2.0', id: 1, method, params: [query] }
    const answer = await postJson(options.url, request, { timeoutMs: options.timeoutMs ?? 5_000, fetch: options.fetch, signal })
    if (answer.kind === 'unreachable')
      throw new BridgeError(answer.reason === 'aborted' ? 'ABORTED' : 'UNAVAILABLE', method, answer.reason, answer.cause)
    if (answer.status === 408 || answer.status === 429 || answer.status >= 500)
      throw new BridgeError('UNAVAILABLE', method, `HTTP ${answer.status}`)
    const body = Answer.safeParse(parseExact(answer.text))
    if (!body.success) throw new BridgeError('MALFORMED', method, `HTTP ${answer.status} without a JSON-RPC answer`)
    if (body.data.error != null) throw new BridgeError('REFUSED', method, errorText(body.data.error))
    const result = shape.safeParse(body.data.result)
    if (!result.success) throw new BridgeError('MALFORMED', method, z.prettifyError(result.error).slice(0, 500))
    return result.data
  }

  return {
    supportedTokens: async (chains, view) =>
      (await call('supported_tokens', chains === undefined ? {} : { chains }, z.object({ tokens: z.array(SupportedToken) }), view)).tokens,
    depositAddress: (query, view) => call('deposit_address', query, DepositAddress, view),
    recentDeposits: async (query, view) => {
      const { deposits, total } = await call(
        'recent_deposits',
        query,
        z.object({ deposits: z.array(z.unknown()), total: Whole.nullish() }),
        view,
      )
      return { ...readRows(deposits, Deposit), total: total ?? deposits.length }
    },
    recentWithdrawals: async (query, view) =>
      readRows((await call('recent_withdrawals', query, Withdrawals, view)).withdrawals, Withdrawal),
    withdrawalStatus: async (withdrawal_hash, view) => {
      try {
        const found = await call(
          'withdrawal_status',
          { withdrawal_hash },
          z.union([Withdrawals, z.object({ status: z.string(), data: z.unknown() })]),
          view,
        )
        return { kind: 'found', ...readRows('withdrawals' in found ? found.withdrawals : [found], Withdrawal) }
      } catch (error) {
        if (error instanceof BridgeError && error.code === 'REFUSED' && /withdrawals? not found/i.test(error.text))
          return { kind: 'not_indexed' }
        throw error
      }
    },
  }
}

/** After `parseExact` a number is text, so both ways of writing an amount look the same. */
const Units = z.string().transform((text, context) => {
  const units = plainDecimal(text)
  if (units !== null && /^\d{1,60}$/.test(units)) return units
  context.addIssue('not base units')
  return z.NEVER
})

const Whole = z
  .string()
  .regex(/^\d{1,9}$/)
  .transform(Number)

const optionalText = z
  .string()
  .nullish()
  .transform((text) => (text === undefined || text === '' ? null : text))

const SupportedToken = z.object({
  defuse_asset_identifier: z.string(),
  near_token_id: z.string(),
  decimals: Whole,
  asset_name: z.string(),
  min_deposit_amount: Units,
  min_withdrawal_amount: Units,
  withdrawal_fee: Units,
  standard: optionalText,
  intents_token_id: optionalText,
})
export type SupportedToken = z.infer<typeof SupportedToken>

const DepositAddress = z.object({ address: z.string().min(1), chain: z.string(), memo: optionalText })
export type DepositAddress = z.infer<typeof DepositAddress>

const DEPOSIT_STATUSES = ['PENDING', 'CREDITED', 'COMPLETED', 'FAILED'] as const
const WITHDRAWAL_STATUSES = ['COMPLETED', 'PENDING', 'FAILED', 'NOT_FOUND', 'AWAITING', 'REJECTED', 'RETURNING', 'RETURNED'] as const

/** A word that we do not know is pending: nothing is credited or ended by it. The venue's own word stays beside it. */
const known = <T extends string>(words: readonly (T | 'PENDING')[], text: string): T | 'PENDING' =>
  words.find((word) => word === text.toUpperCase()) ?? 'PENDING'

/** `near_token_id` tells the two BTC tokens apart, `defuse_asset_identifier` does not. */
const Deposit = z
  .object({
    tx_hash: z.string().min(1),
    mint_tx_hash: optionalText,
    chain: optionalText,
    defuse_asset_identifier: optionalText,
    near_token_id: z.string().min(1),
    decimals: Whole,
    amount: Units,
    account_id: optionalText,
    address: optionalText,
    status: z.string(),
    created_at: optionalText,
    from: optionalText,
  })
  .transform((row) => ({ ...row, venue_status: row.status, status: known(DEPOSIT_STATUSES, row.status) }))
export type Deposit = z.infer<typeof Deposit>

const WithdrawalData = z.object({
  tx_hash: z.string().min(1),
  transfer_tx_hash: optionalText,
  chain: optionalText,
  near_token_id: z.string().min(1),
  decimals: Whole,
  amount: Units,
  account_id: optionalText,
  /** of the token, not of who receives */
  address: optionalText,
  withdrawal_fee: Units.nullish().transform((fee) => fee ?? null),
  withdraw_amount: Units.nullish().transform((amount) => amount ?? null),
  created_at: optionalText,
  created: optionalText,
})

const Withdrawal = z
  .object({ status: z.string(), data: WithdrawalData })
  .transform(({ status, data: { created, created_at, ...data } }) => ({
    ...data,
    created_at: created_at ?? created,
    venue_status: status,
    status: known(WITHDRAWAL_STATUSES, status),
  }))
export type Withdrawal = z.infer<typeof Withdrawal>

const Withdrawals = z.object({ withdrawals: z.array(z.unknown()) })
const Answer = z.object({ result: z.unknown().optional(), error: z.unknown().optional() })

const readRows = <T>(rows: readonly unknown[], shape: z.ZodType<T>): Rows<T> => {
  const read: Rows<T> = { rows: [], unreadable: [] }
  for (const row of rows) {
    const parsed = shape.safeParse(row)
    if (parsed.success) read.rows.push(parsed.data)
    else read.unreadable.push({ row: JSON.stringify(row).slice(0, 2_000), reason: z.prettifyError(parsed.error).slice(0, 500) })
  }
  return read
}

/** A plain string as a rule (the vendor's SDK, 2026-07), an object with a message elsewhere. */
const errorText = (error: unknown): string => {
  if (typeof error === 'string') return error.slice(0, 500)
  const message = z.object({ message: z.string() }).safeParse(error)
  return (message.success ? message.data.message : JSON.stringify(error)).slice(0, 500)
}
