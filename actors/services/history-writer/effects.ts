import type { EffectKind } from '#actors/runtime/service.ts'

/** A turn does not know in which lane it runs; whoever sends its effects does. */
export const learnLane: EffectKind = { mode: 'idempotent', send: async (_, { lane }) => ({ lane }) }
