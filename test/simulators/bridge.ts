import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { z } from 'zod'
import { depositAddress } from './addresses.ts'
import { numberOf } from './faults.ts'
import type { Faults } from './faults.ts'
import { guarded, parseJson, readBody, sendJson, sendText } from './http.ts'
import type { Ledger } from './ledger.ts'
import { BTC_NBTC, BTC_OMFT, EURE, SOLVER } from './tokens.ts'
import type { Timers } from './timers.ts'

const EURE_CHAIN_ID = 'eth:100:0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430'
const row = (chainId: string, token: string, name: string, decimals: number, minimums: readonly [string, string, string]) => ({
  defuse_asset_identifier: chainId,
  near_token_id: token.slice('nep141:'.length),
  decimals,
  asset_name: name,
  min_deposit_amount: minimums[0],
  min_withdrawal_amount: minimums[1],
  withdrawal_fee: minimums[2],
  standard: 'nep141',
  intents_token_id: token,
})
/** Amounts of the EURe row are invented; the real ones are not published. */
const TOKENS = [
  row('btc:mainnet:native', BTC_NBTC, 'BTC', 8, ['5000', '700', '1500']),
  row('btc:mainnet:native', BTC_OMFT, 'BTC', 8, ['5000', '700', '1500']),
  row(EURE_CHAIN_ID, EURE, 'EURe', 18, ['1000000000000000000', '1000000000000000000', '10000000000000000']),
]
const chainOf = (assetId: string): string => assetId.split(':').slice(0, 2).join(':')

export const DepositOrder = z.strictObject({
  account_id: z.string().default(SOLVER),
  /** nep141 id; says the chain as well. */
  token_id: z.string(),
  /** Base units, beyond 2^53 too. */
  amount: z.string().regex(/^[1-9]\d{0,38}$/),
  /** From PENDING to credited. */
  delay_ms: z.int().nonnegative().default(2_000),
  /** FAILED credits nothing; PENDING stays so. */
  final_status: z.enum(['CREDITED', 'COMPLETED', 'FAILED', 'PENDING']).default('CREDITED'),
  tx_hash: z.string().optional(),
})
export type DepositOrder = z.input<typeof DepositOrder>

export interface Transit {
  readonly tx_hash: string
  other_tx_hash: string
  readonly token: string
  readonly account_id: string
  readonly amount: string
  status: string
  /** What a pending one becomes, and when, if ever. */
  readonly becomes?: { readonly status: string; readonly atMs: number }
  readonly created_at: string
  readonly createdMs: number
  readonly party: string
}
export interface BridgeState {
  readonly deposits: readonly Transit[]
  readonly withdrawals: readonly Transit[]
}

const Call = z.looseObject({ id: z.unknown(), method: z.string(), params: z.array(z.looseObject({})).default([]) })

/** The POA bridge's JSON-RPC. Deposits come from `POST /deposit`; an `ft_withdraw` with `WITHDRAW_TO:` becomes a withdrawal. */
export class Bridge {
  readonly server: Server
  readonly deposits: Transit[]
  readonly withdrawals: Transit[]
  /** A fresh withdrawal is not found for this long, and pays out after the other. */
  indexedAfterMs = 1_000
  paidAfterMs = 5_000
  readonly #changeListeners: (() => void)[] = []
  readonly #ledger: Ledger
  readonly #faults: Faults
  readonly #timers: Timers

  constructor(parts: {
    readonly ledger: Ledger
    readonly faults: Faults
    readonly timers: Timers
    readonly state?: BridgeState | undefined
  }) {
    this.#ledger = parts.ledger
    this.#faults = parts.faults
    this.#timers = parts.timers
    this.deposits = [...structuredClone(parts.state?.deposits ?? [])]
    this.withdrawals = [...structuredClone(parts.state?.withdrawals ?? [])]
    this.server = createServer(guarded((request, response) => this.#handle(request, response)))
    for (const one of this.deposits) this.#creditLater(one)
    for (const one of this.withdrawals) if (one.status === 'PENDING') this.#payOut(one)
    this.#ledger.onBurn(({ account, token, amount, memo }, { hash, at }) => {
      if (!memo.startsWith('WITHDRAW_TO:')) return
      const withdrawal = transit(hash, token, account, amount.toString(), 'PENDING', memo.slice('WITHDRAW_TO:'.length), at)
      this.withdrawals.unshift(withdrawal)
      this.#payOut(withdrawal)
    })
  }

  /** Something arrived on the chain: PENDING now, minted and credited later. */
  deposit(input: DepositOrder): Transit {
    const order = DepositOrder.parse(input)
    const hash = order.tx_hash ?? randomBytes(32).toString('hex')
    const arrived = transit(hash, order.token_id, order.account_id, order.amount, 'PENDING', 'simulated-sender', this.#ledger.now())
    const becomes = { status: order.final_status, atMs: arrived.createdMs + order.delay_ms }
    const one = order.final_status === 'PENDING' ? arrived : { ...arrived, becomes }
    this.deposits.unshift(one)
    this.#creditLater(one)
    for (const listener of this.#changeListeners) listener()
    return one
  }

  onChange(listener: () => void): void {
    this.#changeListeners.push(listener)
  }

  state(): BridgeState {
    return { deposits: this.deposits.slice(0, 1_000), withdrawals: this.withdrawals.slice(0, 1_000) }
  }

  #creditLater(one: Transit): void {
    const { becomes } = one
    if (!becomes || one.status !== 'PENDING') return
    this.#timers.after(becomes.atMs - this.#ledger.now(), () => {
      one.status = becomes.status
      if (becomes.status !== 'FAILED') one.other_tx_hash = this.#ledger.mint(one.account_id, one.token, BigInt(one.amount)).hash
    })
  }

  #payOut(withdrawal: Transit): void {
    this.#timers.after(this.paidAfterMs, () => {
      withdrawal.status = 'COMPLETED'
      withdrawal.other_tx_hash = `0x${randomBytes(32).toString('hex')}`
    })
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = Call.safeParse(parseJson(await readBody(request)))
    const slow = this.#faults.hit('bridge.slow')
    if (slow) await new Promise<void>((resolve) => this.#timers.after(numberOf(slow.value, 30_000), resolve))
    const status = this.#faults.hit('bridge.status')
    if (status) return sendText(response, numberOf(status.value, 502), '<html>bad gateway</html>', 'text/html')
    const fail = (error: unknown): void => sendJson(response, 200, { jsonrpc: '2.0', id: call.data?.id ?? null, error })
    const fault = this.#faults.hit('bridge.error')
    if (fault) return fail(fault.value ?? 'Internal error')
    if (new URL(request.url ?? '/', 'http://bridge').pathname !== '/rpc') return sendJson(response, 404, { error: 'not found' })
    if (!call.success) return fail('Invalid request')
    const result = this.#result(call.data.method, call.data.params[0] ?? {})
    if (typeof result === 'object')
      return sendText(response, 200, `{"jsonrpc":"2.0","id":${JSON.stringify(call.data.id ?? null)},"result":${result.json}}`)
    fail(result)
  }

  /** JSON text, because amounts are integers that no JavaScript number holds; a string is an error. */
  #result(method: string, params: Record<string, unknown>): { readonly json: string } | string {
    const chain = typeof params.chain === 'string' ? params.chain : undefined
    const account = typeof params.account_id === 'string' ? params.account_id : undefined
    switch (method) {
      case 'supported_tokens': {
        const chains = Array.isArray(params.chains) ? params.chains : undefined
        return json({
          tokens: TOKENS.filter(({ defuse_asset_identifier }) => !chains || chains.includes(chainOf(defuse_asset_identifier))),
        })
      }
      case 'deposit_address':
        if (!account || !chain) return 'account_id and chain are required'
        if (!TOKENS.some(({ defuse_asset_identifier }) => chainOf(defuse_asset_identifier) === chain)) return `Unsupported chain ${chain}`
        return json({ address: depositAddress(account, chain), chain })
      case 'recent_deposits':
        return account ? this.#recentDeposits(account, chain, params) : 'account_id is required'
      case 'notify_deposit':
        return json({})
      case 'withdrawal_estimate': {
        const token = TOKENS.find(({ near_token_id }) => near_token_id === params.token)
        if (!token) return `Unsupported token ${String(params.token)}`
        const [, , tokenAddress = 'native'] = token.defuse_asset_identifier.split(':')
        return json({
          tokenAddress,
          userAddress: params.address,
          withdrawalFee: token.withdrawal_fee,
          withdrawalFeeDecimals: token.decimals,
          token,
        })
      }
      case 'withdrawal_status': {
        const old = this.#ledger.now() - this.indexedAfterMs
        const rows = this.withdrawals.filter(({ tx_hash, createdMs }) => tx_hash === params.withdrawal_hash && createdMs <= old)
        return rows.length > 0 ? { json: `{"withdrawals":[${rows.map(withdrawalJson).join(',')}]}` } : 'Withdrawals not found'
      }
      case 'recent_withdrawals': {
        const rows = this.withdrawals.filter(
          (one) => one.account_id === account && (!chain || chainOf(tokenRow(one.token).defuse_asset_identifier) === chain),
        )
        return { json: `{"withdrawals":[${rows.slice(0, 100).map(withdrawalJson).join(',')}]}` }
      }
      default:
        return `Method ${method} not found`
    }
  }

  #recentDeposits(account: string, chain: string | undefined, params: Record<string, unknown>): { readonly json: string } {
    const limit = Math.min(typeof params.limit === 'number' ? params.limit : 20, 100)
    const offset = typeof params.offset === 'number' ? params.offset : 0
    const all = this.deposits.filter(
      (one) =>
        one.account_id === account &&
        (!chain || chainOf(tokenRow(one.token).defuse_asset_identifier) === chain) &&
        (typeof params.status !== 'string' || one.status === params.status),
    )
    return {
      json: `{"deposits":[${all
        .slice(offset, offset + limit)
        .map(depositJson)
        .join(',')}],"total":${all.length},"limit":${limit},"offset":${offset}}`,
    }
  }
}

const json = (value: unknown): { readonly json: string } => ({ json: JSON.stringify(value) })

const transit = (
  tx_hash: string,
  token: string,
  account_id: string,
  amount: string,
  status: string,
  party: string,
  nowMs: number,
): Transit => ({
  tx_hash,
  other_tx_hash: '',
  token,
  account_id,
  amount,
  status,
  created_at: new Date(nowMs).toISOString(),
  createdMs: nowMs,
  party,
})

const tokenRow = (token: string): (typeof TOKENS)[number] =>
  TOKENS.find(({ intents_token_id }) => intents_token_id === token) ?? row('near:mainnet:native', token, token, 0, ['1', '1', '0'])

/** An object's JSON with the amount as the bare integer that the bridge sends. */
const withAmount = (fields: object, amount: string): string => `${JSON.stringify(fields).slice(0, -1)},"amount":${amount}}`

const depositJson = (one: Transit): string => {
  const { defuse_asset_identifier, near_token_id, decimals } = tokenRow(one.token)
  const chain = chainOf(defuse_asset_identifier)
  return withAmount(
    {
      tx_hash: one.tx_hash,
      mint_tx_hash: one.other_tx_hash,
      chain,
      defuse_asset_identifier,
      near_token_id,
      decimals,
      account_id: one.account_id,
      address: depositAddress(one.account_id, chain),
      status: one.status,
      created_at: one.created_at,
      from: one.party,
    },
    one.amount,
  )
}

const withdrawalJson = (one: Transit): string => {
  const { defuse_asset_identifier, near_token_id, decimals, withdrawal_fee } = tokenRow(one.token)
  const [kind, network, address = 'native'] = defuse_asset_identifier.split(':')
  const fields = {
    tx_hash: one.tx_hash,
    transfer_tx_hash: one.other_tx_hash || null,
    chain: `${kind}:${network}`,
    defuse_asset_identifier,
    near_token_id,
    decimals,
    account_id: one.account_id,
    address,
    created: one.created_at,
    withdrawal_fee,
    withdraw_amount: (BigInt(one.amount) - BigInt(withdrawal_fee)).toString(),
  }
  return `{"status":${JSON.stringify(one.status)},"data":${withAmount(fields, one.amount)}}`
}
