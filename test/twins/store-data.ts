import type { Batch } from '#actors/runtime/rows.ts'
import { StoreError } from '#storage/errors.ts'

/**
 * Refuses what PostgreSQL would refuse for its data: a NUL in a text, `\u0000` or broken JSON in a `jsonb`, a key too long
 * for its index.
 * @throws {StoreError} bad_data
 */
export const assertStorable = (batch: Batch): void => {
  const words = [
    ...batch.actors.flatMap(({ kind, key }) => [kind, key]),
    ...batch.journal.flatMap(({ kind, key }) => [kind, key]),
    ...batch.timersSet.flatMap(({ kind, key, timer }) => [kind, key, timer]),
    ...batch.effects.flatMap(({ effect, kind, key, name }) => [effect, kind, key, name]),
    ...batch.inputs.map(({ topic }) => topic),
    ...batch.marks.flatMap(({ topic, source }) => [topic, source]),
    ...batch.sent.map(({ topic }) => topic),
    ...batch.parked.flatMap(({ kind, key, cause, origin }) => [kind, key, cause, origin]),
    ...batch.letters.flatMap(({ cause, ordered, done }) => [cause, ordered, done]),
    batch.release,
  ]
  if (words.some((word) => word.includes('\0'))) throw new StoreError('bad_data', 'a text holds a NUL', { sqlState: '22021' })
  const indexed = [...batch.actors, ...batch.timersSet, ...batch.parked].find(({ kind, key }) => kind.length + key.length > LONGEST_INDEXED)
  if (indexed) throw new StoreError('bad_data', `key of ${indexed.key.length} characters is too long for its index`, { sqlState: '54000' })
  for (const { answer } of batch.orders) assertJson(JSON.stringify(answer))
  if (batch.halted) assertJson(JSON.stringify(batch.halted))
  for (const { text, source_lane } of batch.history) {
    assertJson(text)
    if (source_lane.includes('\0')) throw new StoreError('bad_data', 'a text holds a NUL', { sqlState: '22021' })
  }
}

/** A B-tree entry takes about a third of a page. */
const LONGEST_INDEXED = 2_600

const assertJson = (text: string): void => {
  if (holdsNul(text)) throw new StoreError('bad_data', 'a JSON text holds \\u0000', { sqlState: '22P05' })
  try {
    JSON.parse(text)
  } catch (cause) {
    throw new StoreError('bad_data', 'a text is not JSON', { sqlState: '22P02', cause })
  }
}

/** A NUL as it is, or its escape with an even number of backslashes before it. */
const holdsNul = (text: string): boolean => text.includes('\0') || /(?<!\\)(?:\\\\)*\\u0000/.test(text)
