import { z } from 'zod'
import type { Random } from './random.ts'

/** Every fault that `POST /fault` knows; what each does stands in main.ts. */
const FAULTS = [
  'relay.drop',
  'relay.refuse',
  'relay.half_open',
  'relay.no_pong',
  'relay.drop_on_response',
  'relay.drop_before_answer',
  'relay.swallow_executed',
  'relay.swallow_dropped',
  'relay.error_but_settles',
  'relay.ok_never_settles',
  'relay.settle_at_deadline',
  'relay.settle_after_deadline',
  'relay.fail_then_success',
  'relay.duplicate_frames',
  'relay.reorder_frames',
  'relay.delay_frames',
  'relay.invalid_json',
  'relay.unknown_notification',
  'relay.docs_envelope',
  'relay.suppress_status',
  'relay.foreign_status',
  'relay.rpc_status',
  'kraken.drop',
  'kraken.refuse',
  'kraken.silence',
  'kraken.freeze',
  'kraken.status',
  'coingecko.status',
  'coingecko.timeout',
  'coingecko.stale',
  'coingecko.body',
  'rpc.dead',
  'rpc.lag',
  'rpc.slow',
  'rpc.status',
  'rpc.html',
  'rpc.disagree',
  'rpc.structured_panic',
  'bridge.error',
  'bridge.status',
  'bridge.slow',
] as const
export const FaultName = z.enum(FAULTS)
export type FaultName = z.infer<typeof FaultName>

export const FaultOrder = z.strictObject({
  name: FaultName,
  on: z.boolean().default(true),
  /** Ends by itself after so many hits. */
  count: z.int().positive().optional(),
  /** Lets so many go by first. */
  after: z.int().nonnegative().optional(),
  probability: z.number().min(0).max(1).optional(),
  value: z.union([z.string(), z.number()]).optional(),
  /** NEAR node 0 or 1; both when absent. */
  node: z.int().min(0).max(1).optional(),
})
export type FaultOrder = z.infer<typeof FaultOrder>

interface Fault {
  count: number
  after: number
  readonly probability: number
  readonly value: string | number | undefined
  readonly node: number | undefined
  hits: number
}

/** Which faults are on. `hit` is one chance of one to happen, and uses it up. */
export class Faults {
  readonly #on = new Map<FaultName, Fault>()
  readonly #random: Random
  readonly #listeners: ((name: FaultName, value: string | number | undefined) => void)[] = []

  constructor(random: Random) {
    this.#random = random
  }

  /** For faults that act at once, on what is there, rather than at the next occasion. */
  onSet(listener: (name: FaultName, value: string | number | undefined) => void): void {
    this.#listeners.push(listener)
  }

  order({ name, on, count, after, probability, value, node }: FaultOrder): void {
    if (!on) {
      this.#on.delete(name)
      return
    }
    this.#on.set(name, { count: count ?? Number.POSITIVE_INFINITY, after: after ?? 0, probability: probability ?? 1, value, node, hits: 0 })
    for (const listener of this.#listeners) listener(name, value)
  }

  clear(): void {
    this.#on.clear()
  }

  hit(name: FaultName, node?: number): { readonly value: string | number | undefined } | undefined {
    const fault = this.#on.get(name)
    if (!fault || (fault.node !== undefined && node !== undefined && fault.node !== node)) return undefined
    if (fault.after > 0) {
      fault.after -= 1
      return undefined
    }
    if (fault.probability < 1 && !this.#random.chance(fault.probability)) return undefined
    fault.hits += 1
    fault.count -= 1
    if (fault.count <= 0) this.#on.delete(name)
    return { value: fault.value }
  }

  list(): Record<string, unknown> {
    return Object.fromEntries(
      [...this.#on].map(([name, { value, node, hits, count }]) => [
        name,
        { value, node, hits, left: Number.isFinite(count) ? count : null },
      ]),
    )
  }
}

/** A fault's value as a number. */
export const numberOf = (value: string | number | undefined, otherwise: number): number => {
  const number = Number(value ?? otherwise)
  return Number.isFinite(number) ? number : otherwise
}
