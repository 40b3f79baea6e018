import { z } from 'zod'
import type { HttpAnswer } from '../http.ts'
import { parseJson } from '../json.ts'

export class VerifierError extends Error {
  override readonly name = 'VerifierError'
  /**
   * UNAVAILABLE no node gave a usable answer; ABORTED the caller gave up; the others are the chain's answer:
   * PANIC (with `panic`), UNKNOWN_ACCOUNT, NO_CONTRACT
   */
  readonly code: 'UNAVAILABLE' | 'ABORTED' | 'PANIC' | 'UNKNOWN_ACCOUNT' | 'NO_CONTRACT'
  readonly method: string
  /** the contract's own words */
  readonly panic: string | null
  /** what each node that was asked did wrong */
  readonly nodes: readonly NodeFault[]
  constructor(
    code: VerifierError['code'],
    method: string,
    text: string,
    facts: { panic?: string; nodes?: readonly NodeFault[]; cause?: unknown } = {},
  ) {
    super(text, facts.cause === undefined ? {} : { cause: facts.cause })
    this.code = code
    this.method = method
    this.panic = facts.panic ?? null
    this.nodes = facts.nodes ?? []
  }
}

export type NodeFault = { url: string; reason: string }

/** What one node's answer means. */
export type Reading<T> =
  | { kind: 'value'; value: T }
  /** this node is of no use now */
  | { kind: 'fault'; reason: string }
  /** the chain's own answer, the same everywhere */
  | { kind: 'final'; error: (method: string) => VerifierError }

/** @param read makes a value of the JSON-RPC result, or says why not */
export const readAnswer = <T>(answer: HttpAnswer, read: (result: unknown) => Reading<T>): Reading<T> => {
  if (answer.kind === 'unreachable') return { kind: 'fault', reason: answer.reason }
  // 500 and 408 are how nodes wrap INTERNAL_ERROR and TIMEOUT_ERROR; 401 and 403 come from a provider's gate.
  if (answer.status !== 200 && answer.status !== 400 && answer.status !== 422) return { kind: 'fault', reason: `HTTP ${answer.status}` }
  const body = Body.safeParse(parseJson(answer.text))
  if (!body.success) return { kind: 'fault', reason: `HTTP ${answer.status} without a JSON-RPC answer` }
  return body.data.error === undefined || body.data.error === null ? read(body.data.result) : readError(body.data.error)
}

const Body = z
  .object({ result: z.unknown().optional(), error: z.unknown().optional() })
  .refine((body) => body.result != null || body.error != null)

const RpcError = z.object({
  cause: z.object({ name: z.string(), info: z.unknown().optional() }).optional(),
  data: z.unknown().optional(),
  message: z.string().optional(),
})

/** @see docs.near.org RPC errors: what is about the account or the contract is final, what is about the node is not. */
const readError = <T>(error: unknown): Reading<T> => {
  const parsed = RpcError.safeParse(error)
  const name = (parsed.success && parsed.data.cause?.name) || 'unknown error'
  if (name === 'CONTRACT_EXECUTION_ERROR') return panicked(JSON.stringify(error))
  if (name === 'UNKNOWN_ACCOUNT' || name === 'INVALID_ACCOUNT') return final('UNKNOWN_ACCOUNT', `NEAR says ${name}`)
  if (name === 'NO_CONTRACT_CODE') return final('NO_CONTRACT', 'the account has no contract')
  return { kind: 'fault', reason: name }
}

const final = <T>(code: VerifierError['code'], text: string, panic?: string): Reading<T> => ({
  kind: 'final',
  error: (method) => new VerifierError(code, method, `${method}: ${text}`, panic === undefined ? {} : { panic }),
})

/** The text around it varies between node versions, `panic_msg` does not: Rust's debug form, else a JSON field, escaped or not. */
const panicked = <T>(text: string): Reading<T> => {
  const debug = /panic_msg: \\*"(.*?)\\*"\s+\}/s.exec(text) ?? /"panic_msg\\*":\s*\\*"(.*?)\\*"\s*\}/s.exec(text)
  const panic = debug?.[1] ?? text.slice(0, 500)
  return final('PANIC', `the contract panicked: ${panic}`, panic)
}

const ViewResult = z.object({ result: z.array(z.int().min(0).max(255)), block_height: z.int().nonnegative() })
const ViewPanic = z.object({ error: z.string() })
const Height = z.object({ block_height: z.int().nonnegative() })

/** The block that a view was read at; null for other results. */
export const heightOf = (result: unknown): number | null => Height.safeParse(result).data?.block_height ?? null

export const readView =
  <T>(shape: z.ZodType<T>) =>
  (result: unknown): Reading<{ value: T; block_height: number }> => {
    const panic = ViewPanic.safeParse(result)
    if (panic.success)
      return /does not exist while viewing/.test(panic.data.error)
        ? final('UNKNOWN_ACCOUNT', 'no such account')
        : panicked(panic.data.error)
    const view = ViewResult.safeParse(result)
    if (!view.success) return { kind: 'fault', reason: 'not a view result' }
    const value = shape.safeParse(parseJson(utf8(view.data.result)))
    if (!value.success) return { kind: 'fault', reason: 'a view result of another shape' }
    return { kind: 'value', value: { value: value.data, block_height: view.data.block_height } }
  }

const Block = z.object({ header: z.object({ height: z.int(), timestamp_nanosec: z.string().regex(/^\d{1,20}$/) }) })

/** From the text field: `timestamp` is the same in nanoseconds as a number, which a float cannot hold. */
export const readBlockTime =
  (height: number) =>
  (result: unknown): Reading<number> => {
    const block = Block.safeParse(result)
    if (!block.success || block.data.header.height !== height) return { kind: 'fault', reason: `not block ${height}` }
    return { kind: 'value', value: Number(BigInt(block.data.header.timestamp_nanosec) / 1_000_000n) }
  }

const utf8 = (bytes: number[]): string => Buffer.from(bytes).toString('utf8')
