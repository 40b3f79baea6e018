import type { z } from 'zod'
import { originOf, postJson } from '../http.ts'
import type { HttpOptions } from '../http.ts'
import { heightOf, readAnswer, readBlockTime, readView, VerifierError } from './near-answers.ts'
import type { NodeFault, Reading } from './near-answers.ts'

/**
 * NEAR JSON-RPC over several nodes.
 *
 * NR1. Network, timeout, 408, 429, 5xx and whatever cannot be read go to the next node; what the contract says (a panic, an
 *      unknown account) is an answer, and no other node is asked.
 * NR2. Height is monotonic: an answer below the highest block that was accepted before it was asked for is discarded and counted.
 *      (Before it was asked for, not before it came: two questions under way at once may end in either order.)
 * NR3. A node that failed is tried last for a while, so that one that hangs costs its timeout once and not every time.
 * NR4. URLs can carry keys: outside this file a node is its origin.
 */
export type NearRpcOptions = Omit<HttpOptions, 'signal'> & {
  /** tried in this order */
  urls: readonly string[]
  contract_id: string
  /** how long a node that failed is tried last; 10,000 unless told */
  restMs?: number
}

/** A view of the contract: what to call, and what its JSON return value must look like. */
export type Question<T> = { method: string; args: object; shape: z.ZodType<T> }

/** A view's answer, the block that it was read at, and the node's name. */
export type View<T> = { value: T; block_height: number; url: string }

export type NodeState = { url: string; answered: number; failed: number; lagging: number; last_fault: string | null }

export type ViewOptions = { signal?: AbortSignal | undefined }

export interface NearRpc {
  /** One view at `final`. @throws {VerifierError} */
  view<T>(question: Question<T>, options?: ViewOptions): Promise<View<T>>
  /** The same from every node, in their order; a node without a usable answer gives its error. */
  viewAll<T>(question: Question<T>, options?: ViewOptions): Promise<Array<View<T> | VerifierError>>
  /** The same from one node at one block. @throws {VerifierError} */
  viewAt<T>(at: At, question: Question<T>, options?: ViewOptions): Promise<View<T>>
  /** ms, chain time of a block, from the node that knows it if it can; the last ones are remembered. @throws {VerifierError} */
  blockTimeMs(at: At, options?: ViewOptions): Promise<number>
  state(): { block_height: number; nodes: NodeState[] }
}

/** `url` as in an answer. */
export type At = { url: string; block_height: number }

/** @throws {TypeError} when a URL is none */
export const nearRpc = (options: NearRpcOptions): NearRpc => {
  const nodes = options.urls.map((url, index) => newNode(url, options.urls.slice(0, index)))
  const blockTimes = new Map<number, number>()
  let highest = 0

  /** One request to one node, its outcome noted. */
  const ask = async <T>(node: Node, call: Call<T>, { signal }: ViewOptions): Promise<Reading<T>> => {
    const floor = highest
    const body = { jsonrpc: '2.0', id: 'unrip', method: call.rpc, params: call.params }
    const answer = await postJson(node.address, body, { timeoutMs: options.timeoutMs, fetch: options.fetch, signal })
    const reading = readAnswer(answer, (result) => notBelow(call.floor ?? floor, node, result, call.read(result)))
    if (reading.kind !== 'fault') {
      node.state.answered += 1
      node.restUntil = 0
    } else if (!signal?.aborted) {
      node.state.failed += 1
      node.state.last_fault = reading.reason
      node.restUntil = performance.now() + (options.restMs ?? 10_000)
    }
    return reading
  }

  const notBelow = <T>(floor: number, node: Node, result: unknown, reading: Reading<T>): Reading<T> => {
    const height = heightOf(result)
    if (reading.kind !== 'value' || height === null) return reading
    if (height < floor) {
      node.state.lagging += 1
      return { kind: 'fault', reason: `lagging: block ${height} is below ${floor}` }
    }
    highest = Math.max(highest, height)
    return reading
  }

  const orThrow = <T>(node: Node, call: Call<T>, reading: Reading<T>, view: ViewOptions): T => {
    if (reading.kind === 'value') return reading.value
    if (view.signal?.aborted) throw aborted(call.name, view)
    throw reading.kind === 'final' ? reading.error(call.name) : unavailable(call.name, [{ url: node.state.url, reason: reading.reason }])
  }

  /** Asks one node after the other (NR1, NR3), `first` ahead of all. */
  const askInTurn = async <T>(call: Call<T>, view: ViewOptions, first?: string): Promise<{ value: T; url: string }> => {
    const faults: NodeFault[] = []
    for (const node of inOrder(nodes, first)) {
      const reading = await ask(node, call, view)
      if (reading.kind !== 'fault' || view.signal?.aborted) return { value: orThrow(node, call, reading, view), url: node.state.url }
      faults.push({ url: node.state.url, reason: reading.reason })
    }
    throw unavailable(call.name, faults)
  }

  const askOne = async <T>(node: Node, call: Call<T>, view: ViewOptions): Promise<T & { url: string }> => ({
    ...orThrow(node, call, await ask(node, call, view), view),
    url: node.state.url,
  })

  return {
    view: async (question, view = {}) => {
      const { value, url } = await askInTurn(viewCall(options.contract_id, question), view)
      return { ...value, url }
    },
    viewAll: (question, view = {}) => {
      const call = { ...viewCall(options.contract_id, question), floor: highest }
      return Promise.all(nodes.map((node) => askOne(node, call, view).catch(onlyVerifierError)))
    },
    viewAt: async ({ url, block_height }, question, view = {}) => {
      const node = nodes.find((each) => each.state.url === url)
      if (node === undefined) throw unavailable(question.method, [{ url, reason: 'not a node of ours' }])
      return askOne(node, viewCall(options.contract_id, question, block_height), view)
    },
    blockTimeMs: async ({ url, block_height }, view = {}) => {
      const known = blockTimes.get(block_height)
      if (known !== undefined) return known
      const call = { name: 'block', rpc: 'block', params: { block_id: block_height }, read: readBlockTime(block_height) }
      const { value } = await askInTurn(call, view, url)
      if (blockTimes.size >= REMEMBERED_BLOCKS) blockTimes.delete(blockTimes.keys().next().value ?? 0)
      blockTimes.set(block_height, value)
      return value
    },
    state: () => ({ block_height: highest, nodes: nodes.map(({ state }) => ({ ...state })) }),
  }
}

type Node = { address: string; /** monotonic ms */ restUntil: number; state: NodeState }

type Call<T> = {
  name: string
  rpc: string
  params: object
  read: (result: unknown) => Reading<T>
  /** lowest height that will do */ floor?: number
}

const REMEMBERED_BLOCKS = 16

/** Two nodes of one provider differ by their keys only, so the second gets a number. */
const newNode = (url: string, before: readonly string[]): Node => {
  const origin = originOf(url)
  const same = before.filter((each) => originOf(each) === origin).length
  const name = same === 0 ? origin : `${origin} (${same + 1})`
  return { address: url, restUntil: 0, state: { url: name, answered: 0, failed: 0, lagging: 0, last_fault: null } }
}

const inOrder = (nodes: readonly Node[], first: string | undefined): Node[] => {
  const now = performance.now()
  const rank = (node: Node): number => (node.state.url === first ? 0 : node.restUntil > now ? 2 : 1)
  return nodes.toSorted((a, b) => rank(a) - rank(b))
}

const viewCall = <T>(
  contract: string,
  { method, args, shape }: Question<T>,
  block_height?: number,
): Call<{ value: T; block_height: number }> => ({
  name: method,
  rpc: 'query',
  params: {
    request_type: 'call_function',
    ...(block_height === undefined ? { finality: 'final' } : { block_id: block_height }),
    account_id: contract,
    method_name: method,
    args_base64: Buffer.from(JSON.stringify(args), 'utf8').toString('base64'),
  },
  read: readView(shape),
  // A block that was asked for by name may be older than the newest.
  ...(block_height === undefined ? {} : { floor: 0 }),
})

const onlyVerifierError = (error: unknown): VerifierError => {
  if (error instanceof VerifierError) return error
  throw error
}

const unavailable = (method: string, nodes: readonly NodeFault[]): VerifierError =>
  new VerifierError(
    'UNAVAILABLE',
    method,
    `${method}: no NEAR node answered (${nodes.map((each) => `${each.url}: ${each.reason}`).join('; ')})`,
    { nodes },
  )

const aborted = (method: string, { signal }: ViewOptions): VerifierError =>
  new VerifierError('ABORTED', method, `${method}: given up by the caller`, { cause: signal?.reason })
