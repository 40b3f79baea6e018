import { z } from 'zod'
import { VerifierError } from './near-answers.ts'
import { nearRpc } from './near-rpc.ts'
import type { At, NearRpcOptions, NodeState, Question, View, ViewOptions } from './near-rpc.ts'

/** Where a value was read: a final block and its chain time. */
export type AtBlock = { block_height: number; /** ms */ block_timestamp_ms: number }

export type Balances = AtBlock & {
  /** token id to base units; an id that the verifier does not know reads "0" */ balances: Record<string, string>
}

export type NodeBalances = { /** origin of the node */ url: string; balances: Record<string, string>; block_height: number }

export type CheckedBalances = AtBlock & {
  /** per token what may be counted on: the lower where nodes disagree */
  spendable: Record<string, string>
  /** what each node said, where they differ at the same block; null when they agree */
  disagreement: NodeBalances[] | null
  /** how many nodes the answer rests on */
  nodes: number
}

/** Views of the verifier contract, all at finality `final`. Every method throws VerifierError and nothing else. */
export interface Verifier {
  /** Balances inside the verifier, from the first node that answers. */
  balances(account: string, tokenIds: readonly string[], options?: ViewOptions): Promise<Balances>
  /** Balances from all nodes at once, compared. One that is dead is left out. */
  balancesAll(account: string, tokenIds: readonly string[], options?: ViewOptions): Promise<CheckedBalances>
  /**
   * Whether an offer executed. "No" is the end only when `block_timestamp_ms` is past the offer's deadline, and "yes" can turn
   * into "no" once the nonce's own deadline has passed (garbage collection).
   * @param nonce base64 of 32 bytes
   */
  isNonceUsed(account: string, nonce: string, options?: ViewOptions): Promise<AtBlock & { used: boolean }>
  /** The same without the block's time: one request instead of two, where a "no" could not be final yet. */
  seesNonceUsed(account: string, nonce: string, options?: ViewOptions): Promise<{ used: boolean; block_height: number }>
  hasPublicKey(account: string, publicKey: string, options?: ViewOptions): Promise<boolean>
  /** 8 hex digits */
  currentSalt(options?: ViewOptions): Promise<string>
  /** pips, 1 is 0.0001 % */
  fee(options?: ViewOptions): Promise<number>
  isAccountLocked(account: string, options?: ViewOptions): Promise<boolean>
  state(): { block_height: number; nodes: NodeState[] }
}

/** @param options.timeoutMs of one request to one node; 1,500 unless told */
export const verifierClient = (options: Omit<NearRpcOptions, 'timeoutMs'> & { timeoutMs?: number }): Verifier => {
  const rpc = nearRpc({ ...options, timeoutMs: options.timeoutMs ?? 1_500 })

  const timed = async ({ url, block_height }: At, view?: ViewOptions): Promise<AtBlock> => ({
    block_height,
    block_timestamp_ms: await rpc.blockTimeMs({ url, block_height }, view),
  })
  const nonceUse = (account: string, nonce: string, view?: ViewOptions) =>
    rpc.view({ method: 'is_nonce_used', args: { account_id: account, nonce }, shape: z.boolean() }, view)
  const flag = async (method: string, args: object, view?: ViewOptions): Promise<boolean> =>
    (await rpc.view({ method, args, shape: z.boolean() }, view)).value

  /** Answers at different heights differ for good reasons, so those that are ahead are asked again about the lowest block. */
  const levelled = (answers: Array<View<string[]>>, question: Question<string[]>, view?: ViewOptions) => {
    const block_height = Math.min(...answers.map((answer) => answer.block_height))
    const again = (answer: View<string[]>) => rpc.viewAt({ url: answer.url, block_height }, question, view).catch(() => answer)
    return Promise.all(answers.map((answer) => (answer.block_height === block_height ? answer : again(answer))))
  }

  return {
    balances: async (account, tokenIds, view) => {
      const answer = await rpc.view(balanceQuestion(account, tokenIds), view)
      return { balances: byToken(tokenIds, answer.value), ...(await timed(answer, view)) }
    },
    balancesAll: async (account, tokenIds, view) => {
      const question = balanceQuestion(account, tokenIds)
      const all = await rpc.viewAll(question, view)
      const answers = comparable(all.filter((each): each is View<string[]> => !(each instanceof VerifierError)))
      const newest = answers.toSorted((a, b) => b.block_height - a.block_height)[0]
      if (newest === undefined) throw theError(all.filter((each) => each instanceof VerifierError))
      const level = sameAmounts(answers) ? answers : await levelled(answers, question, view)
      if (sameAmounts(level))
        return { spendable: byToken(tokenIds, newest.value), disagreement: null, nodes: level.length, ...(await timed(newest, view)) }
      const oldest = level.toSorted((a, b) => a.block_height - b.block_height)[0] ?? newest
      return {
        spendable: lowest(tokenIds, level),
        disagreement: level.map(({ url, value, block_height }) => ({ url, balances: byToken(tokenIds, value), block_height })),
        nodes: level.length,
        ...(await timed(oldest, view)),
      }
    },
    isNonceUsed: async (account, nonce, view) => {
      const answer = await nonceUse(account, nonce, view)
      return { used: answer.value, ...(await timed(answer, view)) }
    },
    seesNonceUsed: async (account, nonce, view) => {
      const { value, block_height } = await nonceUse(account, nonce, view)
      return { used: value, block_height }
    },
    hasPublicKey: (account, publicKey, view) => flag('has_public_key', { account_id: account, public_key: publicKey }, view),
    currentSalt: async (view) =>
      (await rpc.view({ method: 'current_salt', args: {}, shape: z.string().regex(/^[0-9a-f]{8}$/) }, view)).value,
    fee: async (view) => (await rpc.view({ method: 'fee', args: {}, shape: z.int().nonnegative() }, view)).value,
    isAccountLocked: (account, view) => flag('is_account_locked', { account_id: account }, view),
    state: rpc.state,
  }
}

/** 12 s of blocks: a node further behind than that lags, and its older truth says nothing about the newest. */
const COMPARABLE_BLOCKS = 20

const balanceQuestion = (account: string, tokenIds: readonly string[]): Question<string[]> => ({
  method: 'mt_batch_balance_of',
  args: { account_id: account, token_ids: [...tokenIds] },
  shape: z.array(z.string().regex(/^(0|[1-9]\d{0,38})$/)).length(tokenIds.length),
})

const byToken = (tokenIds: readonly string[], amounts: readonly string[]): Record<string, string> =>
  Object.fromEntries(tokenIds.map((id, index) => [id, amounts[index] ?? '0']))

const comparable = <T>(answers: Array<View<T>>): Array<View<T>> => {
  const highest = Math.max(...answers.map((answer) => answer.block_height))
  return answers.filter((answer) => answer.block_height >= highest - COMPARABLE_BLOCKS)
}

const sameAmounts = (answers: ReadonlyArray<View<string[]>>): boolean => new Set(answers.map((answer) => answer.value.join())).size <= 1

const lowest = (tokenIds: readonly string[], answers: ReadonlyArray<View<string[]>>): Record<string, string> =>
  byToken(
    tokenIds,
    tokenIds.map((_, index) => {
      const amounts = answers.map((answer) => BigInt(answer.value[index] ?? '0'))
      return String(amounts.reduce((least, amount) => (amount < least ? amount : least)))
    }),
  )

/** No node had balances: what the chain itself said counts more than what the nodes did wrong. */
const theError = (errors: readonly VerifierError[]): VerifierError => {
  const said = errors.find((error) => error.code !== 'UNAVAILABLE')
  if (said !== undefined) return said
  const nodes = errors.flatMap((error) => error.nodes)
  return new VerifierError('UNAVAILABLE', 'mt_batch_balance_of', `mt_batch_balance_of: no NEAR node answered`, { nodes })
}
