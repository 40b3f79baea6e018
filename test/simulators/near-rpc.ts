import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { z } from 'zod'
import { numberOf } from './faults.ts'
import type { Faults } from './faults.ts'
import { guarded, parseJson, readBody, sendJson, sendText } from './http.ts'
import { Panic, SignedIntent } from './intents.ts'
import type { Block, Ledger, Transaction } from './ledger.ts'
import type { Timers } from './timers.ts'
import { CONTRACT } from './tokens.ts'

const BlockRef = {
  finality: z.enum(['optimistic', 'near-final', 'final']).optional(),
  block_id: z.union([z.number(), z.string()]).optional(),
}
const Query = z.looseObject({
  request_type: z.string(),
  account_id: z.string(),
  method_name: z.string().optional(),
  args_base64: z.string().optional(),
  ...BlockRef,
})
const Call = z.looseObject({ id: z.unknown(), method: z.string(), params: z.unknown() })

const OPTIMISTIC_TO_FINAL = 2
/** Behind node 0; node 1 lags by one more block even without a fault. */
const OWN_LAG = [0, 1]

/** One NEAR node over the shared ledger: query, block, status, tx. `final` is two blocks behind `optimistic`, and each node has its own lag. */
export class NearRpc {
  readonly server: Server
  readonly calls = new Map<string, number>()
  readonly #node: number
  readonly #ledger: Ledger
  readonly #faults: Faults
  readonly #timers: Timers

  constructor(node: number, parts: { readonly ledger: Ledger; readonly faults: Faults; readonly timers: Timers }) {
    this.#node = node
    this.#ledger = parts.ledger
    this.#faults = parts.faults
    this.#timers = parts.timers
    this.server = createServer(guarded((request, response) => this.#handle(request, response)))
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await readBody(request)
    if (this.#hit('rpc.dead')) return void request.socket.destroy()
    const slow = this.#hit('rpc.slow')
    if (slow) await new Promise<void>((resolve) => this.#timers.after(numberOf(slow.value, 30_000), resolve))
    const status = this.#hit('rpc.status')
    if (status) return sendText(response, numberOf(status.value, 429), 'limited', 'text/plain')
    if (this.#hit('rpc.html')) return sendText(response, 200, '<html><body>Bad gateway</body></html>', 'text/html')
    const call = Call.safeParse(parseJson(text))
    const answer = (body: object): void => sendJson(response, 200, { jsonrpc: '2.0', id: call.data?.id ?? null, ...body })
    if (!call.success) return answer(validation('PARSE_ERROR', 'Failed parsing args'))
    this.calls.set(call.data.method, (this.calls.get(call.data.method) ?? 0) + 1)
    answer(this.#answer(call.data.method, call.data.params))
  }

  #hit(name: 'rpc.dead' | 'rpc.slow' | 'rpc.status' | 'rpc.html' | 'rpc.lag' | 'rpc.disagree' | 'rpc.structured_panic') {
    return this.#faults.hit(name, this.#node)
  }

  #answer(method: string, params: unknown): object {
    switch (method) {
      case 'query': {
        const query = Query.safeParse(params)
        return query.success ? this.#query(query.data) : validation('PARSE_ERROR', 'Failed parsing args: query')
      }
      case 'block': {
        const ref = z.looseObject(BlockRef).safeParse(params)
        const block = ref.success ? this.#block(ref.data) : undefined
        return block
          ? { result: { author: 'simulated.near', header: header(block), chunks: [] } }
          : handlerError('UNKNOWN_BLOCK', {}, 'block not found')
      }
      case 'status': {
        const head = this.#head()
        return {
          result: {
            chain_id: 'mainnet',
            version: { version: 'simulated', build: '0' },
            sync_info: {
              latest_block_height: head.height,
              latest_block_hash: head.hash,
              latest_block_time: new Date(head.timestampMs).toISOString(),
              syncing: false,
            },
          },
        }
      }
      case 'tx':
      case 'EXPERIMENTAL_tx_status':
        return this.#transaction(params)
      default:
        return validation('METHOD_NOT_FOUND', method)
    }
  }

  #head(): Block {
    const lag = OWN_LAG[this.#node] ?? 0
    const extra = this.#hit('rpc.lag')
    return this.#at(this.#ledger.head.height - lag - (extra ? numberOf(extra.value, 10) : 0))
  }

  #at(height: number): Block {
    return this.#ledger.blockAt(height) ?? this.#oldest()
  }
  #oldest(): Block {
    let height = this.#ledger.head.height
    while (this.#ledger.blockAt(height - 1)) height -= 1
    return this.#ledger.blockAt(height) as Block
  }

  #block({ finality, block_id }: { finality?: string | undefined; block_id?: number | string | undefined }): Block | undefined {
    const head = this.#head()
    if (block_id !== undefined) {
      const block = this.#ledger.blockAt(block_id)
      return block && block.height <= head.height ? block : undefined
    }
    return this.#at(head.height - (finality === 'final' ? OPTIMISTIC_TO_FINAL : finality === 'near-final' ? 1 : 0))
  }

  #query(query: z.infer<typeof Query>): object {
    const block = this.#block(query)
    if (!block) return handlerError('UNKNOWN_BLOCK', {}, 'block not found')
    const place = { block_height: block.height, block_hash: block.hash }
    if (query.account_id !== CONTRACT)
      return handlerError(
        'UNKNOWN_ACCOUNT',
        { requested_account_id: query.account_id, ...place },
        `account ${query.account_id} does not exist while viewing`,
      )
    if (query.request_type === 'view_account')
      return { result: { amount: '0', locked: '0', code_hash: block.hash, storage_usage: 0, storage_paid_at: 0, ...place } }
    if (query.request_type !== 'call_function') return validation('PARSE_ERROR', `request_type ${query.request_type}`)
    try {
      const args = parseJson(Buffer.from(query.args_base64 ?? '', 'base64').toString() || '{}')
      const value = JSON.stringify(this.#view(query.method_name ?? '', args, block.height))
      return { result: { result: [...Buffer.from(value)], logs: [], ...place } }
    } catch (error) {
      if (!(error instanceof Panic)) throw error
      const text = `wasm execution failed with error: FunctionCallError(HostError(GuestPanic { panic_msg: ${JSON.stringify(error.message)} }))`
      if (this.#hit('rpc.structured_panic')) return handlerError('CONTRACT_EXECUTION_ERROR', { vm_error: text, ...place }, text)
      return { result: { error: text, logs: [], ...place } }
    }
  }

  /** Every view of the verifier that a solver may ask for. @throws {Panic} wrong arguments, unknown method, or the view's own panic */
  #view(method: string, args: unknown, height: number): unknown {
    const ledger = this.#ledger
    const off = BigInt(numberOf(this.#hit('rpc.disagree')?.value, 0))
    const balance = (account: string, token: string): string => (ledger.balance(account, token, height) + off).toString()
    switch (method) {
      case 'mt_balance_of': {
        const { account_id, token_id } = take(args, { account_id: z.string(), token_id: z.string() })
        return balance(account_id, token_id)
      }
      case 'mt_batch_balance_of': {
        const { account_id, token_ids } = take(args, { account_id: z.string(), token_ids: z.array(z.string()) })
        return token_ids.map((token) => balance(account_id, token))
      }
      case 'mt_supply':
        return supply(ledger, take(args, { token_id: z.string() }).token_id)
      case 'mt_batch_supply':
        return take(args, { token_ids: z.array(z.string()) }).token_ids.map((token) => supply(ledger, token))
      case 'mt_tokens_for_owner': {
        const { account_id, from_index, limit } = take(args, {
          account_id: z.string(),
          from_index: z.string().nullish(),
          limit: z.number().nullish(),
        })
        const from = Number(from_index ?? 0)
        const tokens = ledger.tokensOf(account_id, height).slice(from, from + (limit ?? 1_000))
        return tokens.map((token_id) => ({ token_id, owner_id: account_id }))
      }
      case 'is_nonce_used': {
        const { account_id, nonce } = take(args, { account_id: z.string(), nonce: z.string() })
        return ledger.nonceUsed(account_id, nonce, height)
      }
      case 'has_public_key': {
        const { account_id, public_key } = take(args, { account_id: z.string(), public_key: z.string() })
        return ledger.hasKey(account_id, public_key, height)
      }
      case 'public_keys_of':
        return ledger.keysOf(take(args, { account_id: z.string() }).account_id, height)
      case 'current_salt':
        return ledger.currentSalt
      case 'is_valid_salt':
        return ledger.saltIsValid(take(args, { salt: z.string() }).salt)
      case 'fee':
        return Number(ledger.feePips)
      case 'fee_collector':
        return ledger.feeCollector
      case 'simulate_intents':
        return ledger.simulate(take(args, { signed: z.array(SignedIntent) }).signed)
      case 'is_account_locked':
        return ledger.isLocked(take(args, { account_id: z.string() }).account_id)
      case 'is_auth_by_predecessor_id_enabled':
        return true
      case 'pa_is_paused':
        return ledger.paused
      case 'contract_source_metadata':
        return { version: '0.4.1', link: 'https://github.com/near/intents', standards: [{ standard: 'nep330', version: '1.3.0' }] }
      default:
        throw new Panic('MethodResolveError(MethodNotFound)')
    }
  }

  #transaction(params: unknown): object {
    const named = z.looseObject({ tx_hash: z.string() }).safeParse(params)
    const hash = named.success ? named.data.tx_hash : Array.isArray(params) ? String(params[0]) : ''
    const transaction = this.#ledger.transaction(hash)
    const head = this.#head()
    if (!transaction || transaction.height > head.height)
      return handlerError('UNKNOWN_TRANSACTION', { requested_transaction_hash: hash }, `Transaction ${hash} doesn't exist`)
    return { result: outcomeOf(transaction, this.#at(transaction.height), head.height - OPTIMISTIC_TO_FINAL >= transaction.height) }
  }
}

/** Supply of a known token; null for an id that is none. */
const supply = (ledger: Ledger, token: string): string | null =>
  /^(nep141|nep171|nep245|imt):.+/.test(token) ? ledger.supply(token).toString() : null

const take = <S extends z.ZodRawShape>(args: unknown, shape: S): z.infer<z.ZodObject<S>> => {
  const parsed = z.object(shape).safeParse(args)
  if (!parsed.success) throw new Panic(`JSON: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`)
  return parsed.data
}

const outcomeOf = ({ hash, logs, panic, intentHashes }: Transaction, block: Block, isFinal: boolean): object => {
  const failure = { ActionError: { index: 0, kind: { FunctionCallError: { ExecutionError: `Smart contract panicked: ${panic ?? ''}` } } } }
  const status = panic === undefined ? { SuccessValue: '' } : { Failure: failure }
  const outcome = { executor_id: CONTRACT, gas_burnt: 0, tokens_burnt: '0', receipt_ids: [], logs, status }
  return {
    final_execution_status: isFinal ? 'FINAL' : 'EXECUTED_OPTIMISTIC',
    status,
    transaction: {
      hash,
      signer_id: CONTRACT,
      receiver_id: CONTRACT,
      actions: [{ FunctionCall: { method_name: 'execute_intents', gas: 300_000_000_000_000, deposit: '0', args: '' } }],
    },
    transaction_outcome: {
      id: hash,
      block_hash: block.hash,
      proof: [],
      outcome: { ...outcome, logs: [], status: { SuccessReceiptId: hash } },
    },
    receipts_outcome: [{ id: intentHashes[0] ?? hash, block_hash: block.hash, proof: [], outcome }],
  }
}

const header = ({ height, hash, timestampMs }: Block): object => {
  const nanoseconds = (BigInt(timestampMs) * 1_000_000n).toString()
  return { height, hash, prev_hash: hash, timestamp: timestampMs * 1_000_000, timestamp_nanosec: nanoseconds }
}

const validation = (name: string, info: string): object => ({
  error: {
    name: 'REQUEST_VALIDATION_ERROR',
    cause: { name, info: { error_message: info } },
    code: -32_700,
    message: 'Parse error',
    data: info,
  },
})
const handlerError = (name: string, info: object, data: string): object => ({
  error: { name: 'HANDLER_ERROR', cause: { name, info }, code: -32_000, message: 'Server error', data },
})
