import type { LiquidityAction } from '../contracts/records/operations.ts'

/** One deposit or withdrawal as the bridge lists it, amounts in base units. */
export interface BridgeRow {
  readonly tx_hash: string
  readonly token_id: string
  readonly amount: string
  readonly address: string | null
  /** ISO-8601, the bridge's; null when it says none */
  readonly created_at: string | null
  readonly status: string
}

/** What the handler of `pollBridge` answers, for one account and chain. `unreadable`: rows that were there and could not be read. */
export interface BridgeAnswer {
  readonly deposits: readonly BridgeRow[]
  readonly withdrawals: readonly BridgeRow[]
  readonly unreadable: number
}

/**
 * The rows already told, by a short form of direction, hash and token: `<letter of the action><ms of created_at>`.
 * Bounded, because a snapshot is; what is older than everything kept counts as told.
 */
export interface Told {
  readonly rows: Readonly<Record<string, string>>
  /** ms: rows created up to here were told and forgotten; 0 at first */
  readonly upTo: number
}

export interface Change {
  readonly action: Extract<LiquidityAction['action'], `deposit_${string}` | `withdrawal_${string}`>
  readonly row: BridgeRow
}

const KEPT = 40

/** Where a deposit stands for us. A FAILED one is mended by hand and completes later, so it is no end. */
const DEPOSIT_ACTION = { CREDITED: 'deposit_credited', COMPLETED: 'deposit_credited', FAILED: 'deposit_failed' } as const
const WITHDRAWAL_ENDS = new Set(['COMPLETED', 'FAILED', 'REJECTED', 'RETURNED'])

const depositAction = ({ status }: BridgeRow): Change['action'] => DEPOSIT_ACTION[status as keyof typeof DEPOSIT_ACTION] ?? 'deposit_seen'
const withdrawalAction = ({ status }: BridgeRow): Change['action'] => (WITHDRAWAL_ENDS.has(status) ? 'withdrawal_ended' : 'withdrawal_seen')

/** What these rows say that was not told yet, oldest first, and what has been told once that is. */
export const news = (told: Told, { deposits, withdrawals }: BridgeAnswer): { changes: Change[]; told: Told } => {
  const rows = { ...told.rows }
  const changes: Change[] = []
  const note = (row: BridgeRow, action: Change['action']): void => {
    const key = keyOf(row, action)
    const known = rows[key]
    // A row without a time is told when it is not kept: twice at worst, and never not at all.
    if (known === undefined && row.created_at !== null && msOf(row) <= told.upTo) return
    if (known?.[0] === LETTER[action]) return
    rows[key] = `${LETTER[action]}${msOf(row)}`
    changes.push({ action, row })
  }
  for (const row of [...deposits].sort(byTime)) note(row, depositAction(row))
  for (const row of [...withdrawals].sort(byTime)) note(row, withdrawalAction(row))
  return { changes, told: bounded(rows, told.upTo) }
}

const LETTER: Record<Change['action'], string> = {
  deposit_seen: 's',
  deposit_credited: 'c',
  deposit_failed: 'f',
  withdrawal_seen: 'w',
  withdrawal_ended: 'e',
}

const keyOf = ({ tx_hash, token_id }: BridgeRow, action: Change['action']): string =>
  `${action.startsWith('deposit') ? 'd' : 'w'}${tx_hash.replace(/^0x/, '').slice(0, 12)}${token_id.slice(0, 10) === 'nep141:nbt' ? 'n' : ''}`

const msOf = ({ created_at }: BridgeRow): number => {
  const ms = created_at === null ? 0 : Date.parse(created_at)
  return Number.isNaN(ms) ? 0 : ms
}

const byTime = (a: BridgeRow, b: BridgeRow): number => msOf(a) - msOf(b)

/** Forgets the oldest of those that have ended first; an open one is kept as long as there is room at all. */
const bounded = (rows: Record<string, string>, upTo: number): Told => {
  const entries = Object.entries(rows)
  if (entries.length <= KEPT) return { rows, upTo }
  const isOpen = (value: string): boolean => value[0] === 's' || value[0] === 'w'
  const ordered = entries.sort(([, a], [, b]) => Number(isOpen(a)) - Number(isOpen(b)) || Number(a.slice(1)) - Number(b.slice(1)))
  const gone = ordered.slice(0, entries.length - KEPT)
  return {
    rows: Object.fromEntries(ordered.slice(entries.length - KEPT)),
    upTo: Math.max(upTo, ...gone.map(([, value]) => Number(value.slice(1)))),
  }
}
