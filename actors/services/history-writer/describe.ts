import type { Section, SectionView } from '../run-service.ts'
import { WRITER } from './actors.ts'

interface Known {
  readonly lane: number | null
  readonly rows: Readonly<Record<string, number>>
  readonly last_written_at: number | null
}

/** The `history` section of `/state`: what every held lane has written, up to which offsets, and what it has still to write. */
export const describeHistory = (view: SectionView): Section => {
  const writers = view.actor(WRITER.kind, WRITER.key).map(({ lane, state, context }) => ({ lane, state, known: context as Known }))
  const rows: Record<string, number> = {}
  for (const { known } of writers) for (const [topic, n] of Object.entries(known.rows)) rows[topic] = (rows[topic] ?? 0) + n
  const lastMs = Math.max(0, ...writers.map(({ known }) => known.last_written_at ?? 0))
  const paused = writers.filter(({ state }) => state === 'paused').map(({ lane }) => lane)
  return {
    section: {
      history: {
        rows,
        last_write_at: lastMs > 0 ? iso(lastMs) : null,
        lag: summed(view.lanes.map(({ lag }) => lag)),
        lanes: writers.map(({ lane, state, known }) => ({
          lane,
          state,
          committed_offsets: view.lanes.find((one) => one.lane === lane)?.inputs ?? {},
          last_write_at: known.last_written_at === null ? null : iso(known.last_written_at),
        })),
      },
    },
    authoritative: writers.length > 0,
    blocked: paused.length > 0 ? [{ code: 'HISTORY_PAUSED', since: iso(view.nowMs), detail: `lanes ${paused.join(', ')} are paused` }] : [],
    lastSuccess: lastMs > 0 ? { at: iso(lastMs), what: 'rows written' } : null,
  }
}

const summed = (each: readonly Readonly<Record<string, number>>[]): Record<string, number> => {
  const totals: Record<string, number> = {}
  for (const counts of each) for (const [topic, n] of Object.entries(counts)) totals[topic] = (totals[topic] ?? 0) + n
  return totals
}

const iso = (ms: number): string => new Date(ms).toISOString()
