import type { JournalTurn } from '#actors/runtime/stored/replay.ts'
import type { StoredLane } from './store-lane.ts'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** A stored lane's journal, a turn at a time. */
export const turnsOf = (lane: StoredLane): JournalTurn[] => {
  const shared = new Map(
    lane.outbox.map(({ batch, attached, codeHash }) => [
      batch,
      { attached: attached ? (JSON.parse(text(attached)) as unknown[]) : [], codeHash },
    ]),
  )
  return lane.journal.map((row) => ({ ...row, ...(shared.get(row.batch) ?? { attached: [], codeHash: new Uint8Array(0) }) }))
}
