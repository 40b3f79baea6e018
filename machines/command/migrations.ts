import type { Migration, StoredEffect, StoredEvent } from '../contracts/migration.ts'
import type { CommandContext, SendOffer } from './machine.ts'

type Fields = Readonly<Record<string, unknown>>

/** Version 1 asked the chain about the nonce that it signed, and knew one salt; from version 2 on each question names its nonces. */
const fromOneNonce: Migration = {
  from: 1,
  hashes: ['dc950a6544a8a81d'],
  snapshot: { up: (snapshot) => snapshot, down: (snapshot) => snapshot },
  effect: {
    up: (effect) => {
      const { nonce, quote_hash } = effect.params as SendOffer
      return { ...effect, params: { ...(effect.params as SendOffer), asked_for: [{ nonce, quote_hash }] } }
    },
    down: (effect): StoredEffect => {
      const { asked_for, ...params } = effect.params as SendOffer
      // Version 1 would ask about the first, and take its "unused" for the truth about all of them.
      if (asked_for.length > 1)
        throw new Error(`the offer for ${params.quote_id} is asked about under ${asked_for.length} nonces: wait until it has ended`)
      return { ...effect, params }
    },
  },
  event: {
    up: (event, of) => {
      const quote_hash = (of?.context as CommandContext | undefined)?.quote_hash
      if (quote_hash && event.type === 'sendOffer.happened') return changed(event, 'answer', (answer) => ({ quote_hash, ...answer }))
      return ofMeans(event, (means) => ({ recent_salts: [], ...means }))
    },
    down: (event) => {
      if (event.type === 'sendOffer.happened') return changed(event, 'answer', ({ quote_hash: _, ...answer }) => answer)
      return ofMeans(event, ({ recent_salts: _, ...means }) => means)
    },
  },
}

/** In the journal what was attached stands beside the events, and they only refer to it. */
const ofMeans = (event: StoredEvent, change: (means: Fields) => Fields): StoredEvent =>
  event.type === 'command.received' && Object.hasOwn((event['attached'] ?? {}) as Fields, 'salt')
    ? changed(event, 'attached', change)
    : event

const changed = (event: StoredEvent, field: string, change: (value: Fields) => Fields): StoredEvent => ({
  ...event,
  [field]: change(event[field] as Fields),
})

export const commandMigrations: readonly Migration[] = [fromOneNonce]
