/** Counts ended quotes for `--quotes N` and the summary, and notices when nothing settles any more. */
import type { Outcome, QuoteLine } from './quote-book.ts'

export type Summary = {
  readonly event: 'summary'
  readonly quotes: number
  readonly settled: number
  readonly expired: number
  readonly skipped: number
  readonly rejected: number
  /** counted by the simulated venues; null where they could not be asked or there are none */
  readonly violations: number | null
  /** of settled quotes that began in this run, from demand to end */
  readonly latency_ms: { readonly p50: number | null; readonly max: number | null }
  readonly seconds: number
}

export type Tally = {
  count(line: QuoteLine): void
  readonly settled: () => number
  summary(violations: number | null): Summary
}

export const openTally = (now: () => number = () => performance.now()): Tally => {
  const began = now()
  const counts: Record<Outcome, number> = { SETTLED: 0, EXPIRED: 0, SKIPPED: 0, REJECTED: 0 }
  const latencies: number[] = []
  return {
    count: (line) => {
      if (line.event !== 'quote_ended') return
      counts[line.outcome] += 1
      if (line.outcome === 'SETTLED' && line.latency_ms !== null && !line.resumed) latencies.push(line.latency_ms)
    },
    settled: () => counts.SETTLED,
    summary: (violations) => {
      const sorted = latencies.toSorted((a, b) => a - b)
      return {
        event: 'summary',
        quotes: counts.SETTLED + counts.EXPIRED + counts.SKIPPED + counts.REJECTED,
        settled: counts.SETTLED,
        expired: counts.EXPIRED,
        skipped: counts.SKIPPED,
        rejected: counts.REJECTED,
        violations,
        latency_ms: { p50: sorted[Math.floor((sorted.length - 1) / 2)] ?? null, max: sorted.at(-1) ?? null },
        seconds: Math.round((now() - began) / 100) / 10,
      }
    },
  }
}

export const summaryText = ({ quotes, settled, expired, skipped, rejected, violations, latency_ms, seconds }: Summary): string => {
  const latency = latency_ms.p50 === null ? '' : `, p50 ${latency_ms.p50} ms from demand to settlement`
  const violated = violations === null ? '' : `; ${violations} violations`
  return `${quotes} quotes in ${seconds} s: ${settled} settled, ${expired} expired, ${skipped} skipped, ${rejected} rejected${violated}${latency}`
}

/** Without a settlement for so long `--quotes N` gives up. */
export const STALLED_MS = 120_000

/** `reached` once `quotes` have settled; `stalled` when none has for STALLED_MS since start() or the last. Neither where `quotes` is undefined. */
export const openGoal = (quotes: number | undefined) => {
  const tally = openTally()
  const reached = Promise.withResolvers<void>()
  const stalled = Promise.withResolvers<void>()
  let timer: NodeJS.Timeout | undefined
  const wait = (): void => {
    clearTimeout(timer)
    if (quotes !== undefined) timer = setTimeout(stalled.resolve, STALLED_MS)
  }
  return {
    count: (line: QuoteLine): void => {
      tally.count(line)
      if (line.event !== 'quote_ended' || line.outcome !== 'SETTLED') return
      if (timer !== undefined) wait()
      if (quotes !== undefined && tally.settled() >= quotes) reached.resolve()
    },
    start: wait,
    stop: (): void => clearTimeout(timer),
    reached: reached.promise,
    stalled: stalled.promise,
    settled: tally.settled,
    summary: tally.summary,
  }
}

export type Goal = ReturnType<typeof openGoal>
