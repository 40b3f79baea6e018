import type { Auction, Auctions } from './auctions.ts'
import type { Answer, Referee } from './referee.ts'
import type { Ledger } from './ledger.ts'
import type { Relay } from './relay.ts'
import { BTC_IDS, EURE, SOLVER } from './tokens.ts'

/** `GET /report`: counts, violations, every answered auction and the truth about every signed response; `limit` shortens the two lists to their newest. */
export const report = (
  parts: { auctions: Auctions; referee: Referee; ledger: Ledger; relay: Relay },
  limit = Number.POSITIVE_INFINITY,
): Record<string, unknown> => {
  const { auctions, referee, ledger, relay } = parts
  for (const broken of ledger.brokenInvariants()) referee.count('LEDGER_BROKEN', '', broken)
  const all = [...auctions.all.values()]
  const answers = [...referee.answers.values()]
  const inState = (state: Answer['state']): number => answers.filter((answer) => answer.state === state).length
  return {
    at: new Date(ledger.now()).toISOString(),
    violations: referee.violations,
    violation_counts: referee.counts,
    auctions: all.length,
    by_outcome: tally(all.map(({ outcome }) => outcome)),
    responses: all.reduce((sum, { responses }) => sum + responses, 0),
    accepted: answers.filter(({ relay_said }) => relay_said === 'OK').length,
    rejected: tally(all.flatMap(({ rejections }) => rejections)),
    settled: inState('settled'),
    expired: inState('expired_unused'),
    open: inState('open'),
    balances: Object.fromEntries([...BTC_IDS, EURE].map((token) => [token, ledger.balance(SOLVER, token).toString()])),
    open_units: Object.fromEntries([...BTC_IDS, EURE].map((token) => [token, referee.openUnits(token).toString()])),
    relay: { ...relay.counts, open: relay.connections.map(({ id, streams }) => ({ id, streams })), bad_frames: relay.badFrames },
    answered: newest(answers, limit).map(answerJson),
    auction_list: newest(
      all.filter(({ responses }) => responses > 0),
      limit,
    ).map(auctionJson),
  }
}

const newest = <T>(list: readonly T[], limit: number): readonly T[] => list.slice(Math.max(0, list.length - limit))

/** Everything but the signed payload. */
const answerJson = (answer: Answer): Record<string, unknown> => ({ ...answer, offer: undefined })

export const auctionJson = (auction: Auction): Record<string, unknown> => {
  const { request, order, winner } = auction
  return {
    quote_id: request.quoteId,
    token_in: request.tokenIn,
    token_out: request.tokenOut,
    fixed_side: request.side,
    amount: request.amount.toString(),
    min_deadline_ms: request.minDeadlineMs,
    plan: order.plan,
    opened_at: new Date(auction.openedAt).toISOString(),
    closed_at: auction.closedAt === undefined ? null : new Date(auction.closedAt).toISOString(),
    outcome: auction.outcome,
    responses: auction.responses,
    declines: auction.declines,
    rejections: auction.rejections,
    latency_ms: latencyOf(auction),
    quote_hash: winner?.quote_hash ?? null,
    answer_state: winner?.state ?? null,
    tx_hash: auction.txHash ?? null,
    settled_height: auction.settledHeight ?? null,
    failure: auction.failure ?? null,
  }
}

const latencyOf = ({ broadcastPerf, responsePerf }: Auction): number | null =>
  broadcastPerf === undefined || responsePerf === undefined ? null : responsePerf - broadcastPerf

/** `GET /latency`: broadcast to first response, on the relay's own monotonic clock. */
export const latency = (auctions: Auctions): Record<string, unknown> => {
  const sorted = auctions.latencies.toSorted((a, b) => a - b)
  const at = (share: number): number | null => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null
  const broadcast = [...auctions.all.values()].filter(({ broadcastPerf }) => broadcastPerf !== undefined).length
  return {
    broadcast,
    count: sorted.length,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    max: sorted.at(-1) ?? null,
    list: auctions.latencies,
  }
}

const tally = (words: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1
  return counts
}
