import type { InputRow, MarkRow } from '../rows.ts'

/**
 * The receiving side of exactly-once between hosts: for each input partition, source and incarnation the highest
 * position seen. A lane reads one partition of each topic, so the topic names the partition.
 *
 * M1. At or below the mark is a repeat and is dropped; the next is taken; higher is lost data.
 * M2. A pair never seen must arrive at 1, unless the lane entered the partition above its first offset after the
 *     incarnation was drawn. (A baseline that takes whatever comes would let a lost first message pass.)
 * M3. For a lane source, a lower incarnation than one already seen is a dead owner's late record: dropped.
 */
export type Verdict = { readonly verdict: 'take' | 'repeat' | 'outdated' } | { readonly verdict: 'gap'; readonly expected: number }

export class Marks {
  #rows = new Map<string, MarkRow>()
  #newest = new Map<string, string>()
  readonly #topics = new Map<string, { count: number; moved_ms: number | null }>()

  constructor(rows: readonly MarkRow[]) {
    for (const row of rows) this.#put(row)
  }

  judge(topic: string, source: string, incarnation: string, position: number, input: InputRow): Verdict {
    if (isLaneSource(source) && incarnation < (this.#newest.get(`${topic}\n${source}`) ?? '')) return { verdict: 'outdated' }
    const row = this.#rows.get(keyOf(topic, source, incarnation))
    if (!row) {
      const drawnMs = drawnAtMs(incarnation)
      const mayStartHere = input.entered > 0 && drawnMs !== null && drawnMs < input.enteredAtMs
      return position === 1 || mayStartHere ? { verdict: 'take' } : { verdict: 'gap', expected: 1 }
    }
    if (position <= row.position) return { verdict: 'repeat' }
    return position === row.position + 1 || row.jump ? { verdict: 'take' } : { verdict: 'gap', expected: row.position + 1 }
  }

  /** Moves the mark and answers the row to store. */
  take(topic: string, source: string, incarnation: string, position: number, atOffset: number, nowMs: number): MarkRow {
    const row: MarkRow = { topic, source, incarnation, position, atOffset, jump: false }
    this.#put(row)
    this.#topics.get(topic)!.moved_ms = nowMs
    return row
  }

  /** Lets every mark of the topic jump once (accept-loss); answers the rows to store. */
  letJump(topic: string): MarkRow[] {
    const rows = [...this.#rows.values()].filter((row) => row.topic === topic).map((row) => ({ ...row, jump: true }))
    for (const row of rows) this.#put(row)
    return rows
  }

  /** No record can come for it any more. What M3 remembers of its source stays. */
  forget({ topic, source, incarnation }: Pick<MarkRow, 'topic' | 'source' | 'incarnation'>): void {
    const known = this.#topics.get(topic)
    if (this.#rows.delete(keyOf(topic, source, incarnation)) && known) known.count--
  }

  describe(): Record<string, { count: number; moved_ms: number | null }> {
    return Object.fromEntries([...this.#topics].map(([topic, known]) => [topic, { ...known }]))
  }

  #put(row: MarkRow): void {
    const key = keyOf(row.topic, row.source, row.incarnation)
    const known = this.#topics.get(row.topic) ?? { count: 0, moved_ms: null }
    if (!this.#rows.has(key)) known.count++
    this.#topics.set(row.topic, known)
    this.#rows.set(key, row)
    const pair = `${row.topic}\n${row.source}`
    if (row.incarnation > (this.#newest.get(pair) ?? '')) this.#newest.set(pair, row.incarnation)
  }
}

const keyOf = (topic: string, source: string, incarnation: string): string => `${topic}\n${source}\n${incarnation}`

/** `service/lane`; a process outside lanes is `service#process`. */
const isLaneSource = (source: string): boolean => source.includes('/')

/** The time in a uuid of version 7: its first 48 bits, ms. Null: another version, which says nothing. */
export const drawnAtMs = (incarnation: string): number | null =>
  incarnation[14] === '7' ? Number.parseInt(incarnation.slice(0, 8) + incarnation.slice(9, 13), 16) : null

/**
 * A record that is older than this incarnation may have been acted on in a time that storage has forgotten: what it leads to
 * is not sent, it is asked about.
 */
export const isFromBefore = (publishedMs: number | null, incarnation: string): boolean => {
  if (publishedMs === null) return false
  const drawnMs = drawnAtMs(incarnation)
  return drawnMs !== null && publishedMs < drawnMs
}
