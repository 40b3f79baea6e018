import { assign, setup } from 'xstate'
import type { Address, Stamp } from '../contracts/stamp.ts'

/** One a lane: the verifier's salts that whoever owned it has worked with. */
export const SALTS: Address = { kind: 'salts', key: 'lane' }

export interface SeenSalt {
  /** 8 hex digits */
  readonly salt: string
  /** ms since 1970, by the clock of the process that saw it */
  readonly first_seen_ms: number
}

/** So many are kept; the verifier's admins replace one in months (2026-08). */
const KEPT = 8

/** Both lists as one, each salt since it was first seen, the newest last. The same object where `seen` adds nothing. */
export const withSalts = (known: readonly SeenSalt[], seen: readonly SeenSalt[]): readonly SeenSalt[] => {
  const all = new Map(known.map((each) => [each.salt, each]))
  for (const each of seen) if (each.first_seen_ms < (all.get(each.salt)?.first_seen_ms ?? Infinity)) all.set(each.salt, each)
  const merged = [...all.values()].toSorted((a, b) => a.first_seen_ms - b.first_seen_ms).slice(-KEPT)
  return merged.length === known.length && merged.every((each, at) => each === known[at]) ? known : merged
}

export type SaltsEvent = Stamp & { readonly type: 'salts.seen'; readonly salts: readonly SeenSalt[] }

export interface SaltsContext {
  readonly recent: readonly SeenSalt[]
}

/**
 * The salts that offers of this lane may have been signed with. A command that storage has forgotten is asked about under each of them, so they
 * are stored as soon as they are seen and not when they are used: what is lost with a failover is only one that was first seen in the lost time.
 */
export const saltsMachine = setup({
  types: { context: {} as SaltsContext, events: {} as SaltsEvent },
  guards: { isNews: ({ context: { recent }, event: { salts } }) => withSalts(recent, salts) !== recent },
  actions: { note: assign(({ context: { recent }, event: { salts } }) => ({ recent: withSalts(recent, salts) })) },
}).createMachine({
  id: 'salts',
  context: { recent: [] },
  initial: 'keeping',
  states: { keeping: { on: { 'salts.seen': { guard: 'isNews', actions: 'note' } } } },
})
