import type { Active } from '#machines/alert/board.ts'
import { BOARD } from '#machines/alert/board.ts'
import type { Section, SectionView } from '../run-service.ts'

interface Board {
  readonly active: readonly Active[]
  readonly more: number
  readonly last: { readonly alert_id: string; readonly transition: string; readonly reason: string; readonly at_ms: number } | null
  readonly raised: number
  readonly cleared: number
}

/** The `alerts` section of `/state`: the boards of all held lanes, the newest first. */
export const describeAlerts = (view: SectionView): Section => {
  const boards = view.actor(BOARD.kind, BOARD.key).map(({ context }) => context as Board)
  const last = boards.flatMap((board) => board.last ?? []).sort((a, b) => b.at_ms - a.at_ms)[0]
  const sum = (of: (board: Board) => number): number => boards.reduce((total, board) => total + of(board), 0)
  return {
    section: {
      alerts: {
        active: boards
          .flatMap(({ active }) => active)
          .sort((a, b) => b.since_ms - a.since_ms)
          .map(({ since_ms, ...alert }) => ({ ...alert, since: iso(since_ms) })),
        not_shown: sum(({ more }) => more),
        last_transition: last ? { alert_id: last.alert_id, transition: last.transition, reason: last.reason, at: iso(last.at_ms) } : null,
        raised: sum(({ raised }) => raised),
        cleared: sum(({ cleared }) => cleared),
      },
    },
    lastSuccess: last ? { at: iso(last.at_ms), what: `${last.alert_id} ${last.transition}` } : null,
  }
}

const iso = (ms: number): string => new Date(ms).toISOString()
