import type { ClientBase } from 'pg'
import type {
  EffectRow,
  EffectState,
  Halt,
  InputRow,
  LaneRow,
  Letter,
  LoadedActor,
  MarkRow,
  OutboxRow,
  ParkedActor,
  Recovered,
  SentRow,
  TimerRow,
} from './rows.ts'
import { rowsOf } from './session.ts'
import type { Sessions, Statement } from './session.ts'

/**
 * Everything a lane's owner starts from, as of one moment: one REPEATABLE READ transaction.
 * @throws {StoreError} stale_epoch: the lane has another owner by now
 */
export const recoverLane = (sessions: Sessions, service: string, lane: number, epoch: number, timerWindow: number): Promise<Recovered> =>
  sessions.with(`lane ${service}/${lane}: recover epoch ${epoch}`, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    try {
      const recovered = await readAll(client, service, lane, epoch, timerWindow)
      await client.query('COMMIT')
      return recovered
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined)
      throw error
    }
  })

const readAll = async (client: ClientBase, service: string, lane: number, epoch: number, timerWindow: number): Promise<Recovered> => {
  const [row] = await rowsOf<StoredLane>(client, LANE, [service, lane, epoch])
  if (!row) throw new Error('recover_lane answered nothing')
  const timers = await rowsOf<StoredTimer>(client, NEXT_TIMERS, [service, lane, FIRST_DUE_MS, '', '', '', timerWindow + 1])
  const effects = await rowsOf<StoredEffect>(client, EFFECTS, [service, lane])
  const outbox = await rowsOf<OutboxRow>(client, OUTBOX, [service, lane, row.published])
  return {
    lane: laneRow(row),
    inputs: await rowsOf<InputRow>(client, INPUTS, [service, lane]),
    marks: await rowsOf<MarkRow>(client, MARKS, [service, lane]),
    sent: await rowsOf<SentRow>(client, SENT, [service, lane]),
    timers: timers.slice(0, timerWindow),
    moreTimers: timers.length > timerWindow,
    effects: effects.map((effect) => ({ ...effect, mode: MODES[effect.mode], state: STATES[effect.state] })),
    outbox,
    parkedActors: await rowsOf<ParkedActor>(client, PARKED, [service, lane]),
  }
}

/** The next `limit` timers after a place in the order of due time, kind, key and timer. */
export const nextTimers = (
  sessions: Sessions,
  service: string,
  lane: number,
  after: { dueMs: number; kind: string; key: string; timer: string },
  limit: number,
): Promise<TimerRow[]> =>
  sessions.query<StoredTimer>(
    NEXT_TIMERS,
    [service, lane, after.dueMs, after.kind, after.key, after.timer, limit],
    `lane ${service}/${lane}: timers`,
  )

/** All timers of these actors. */
export const timersOf = (
  sessions: Sessions,
  service: string,
  lane: number,
  addresses: readonly { kind: string; key: string }[],
): Promise<TimerRow[]> =>
  sessions.query<StoredTimer>(
    TIMERS_OF,
    [service, lane, addresses.map(({ kind }) => kind), addresses.map(({ key }) => key)],
    `lane ${service}/${lane}: timers of ${addresses.length} actors`,
  )

const LETTER_BYTES = 1024 * 1024

/** The first open events of these actors, and these records, in the order of their turns; at least one, and about 1 MiB. */
export const nextLetters = (
  sessions: Sessions,
  service: string,
  lane: number,
  of: readonly { kind: string; key: string; turn: number }[],
  limit: number,
): Promise<Letter[]> =>
  sessions.query<Letter>(
    LETTERS,
    [service, lane, of.map(({ kind }) => kind), of.map(({ key }) => key), of.map(({ turn }) => turn), limit, LETTER_BYTES],
    `lane ${service}/${lane}: parked events`,
  )

/** Snapshots by address; one that is not stored is absent. */
export const loadActors = async (
  sessions: Sessions,
  service: string,
  lane: number,
  addresses: readonly { kind: string; key: string }[],
): Promise<LoadedActor[]> => {
  if (addresses.length === 0) return []
  const rows = await sessions.query<Omit<LoadedActor, 'status'> & { readonly status: 'a' | 'd' }>(
    LOAD,
    [service, lane, addresses.map(({ kind }) => kind), addresses.map(({ key }) => key)],
    `lane ${service}/${lane}: load ${addresses.length} actors`,
  )
  return rows.map((row) => ({ ...row, status: row.status === 'd' ? 'done' : 'active' }))
}

interface StoredLane extends Omit<LaneRow, 'nowMs'> {
  readonly now_ms: number
  readonly halted: Halt | null
}
type StoredTimer = TimerRow
type StoredEffect = Omit<EffectRow, 'mode' | 'state'> & { readonly mode: keyof typeof MODES; readonly state: keyof typeof STATES }

const laneRow = ({ lane, epoch, incarnation, batch, turn, now_ms: nowMs, published, halted }: StoredLane): LaneRow => {
  return { lane, epoch, incarnation, batch, turn, nowMs, published, halted }
}

const MODES = { i: 'idempotent', a: 'ask first' } as const
const STATES: Record<'p' | 'u' | 'd' | 'f' | 'v' | 'n', EffectState> = {
  p: 'pending',
  u: 'uncertain',
  d: 'done',
  f: 'failed',
  v: 'void',
  n: 'not_sent',
}

/** Below every due time. */
const FIRST_DUE_MS = Number.MIN_SAFE_INTEGER

const statement = (name: string, text: string): Statement => ({ name, text })
const LANE = statement(
  'recover_lane',
  'SELECT lane, epoch, incarnation, batch, turn, now_ms, published, halted FROM unrip.recover_lane($1, $2, $3)',
)
const INPUTS = statement('recover_inputs', 'SELECT topic, entered, entered_at_ms AS "enteredAtMs", next FROM unrip.recover_inputs($1, $2)')
const MARKS = statement(
  'recover_marks',
  'SELECT topic, source, incarnation, position, at_offset AS "atOffset", jump FROM unrip.recover_marks($1, $2)',
)
const SENT = statement('recover_sent', 'SELECT topic, partition, incarnation, position FROM unrip.recover_sent($1, $2)')
const EFFECTS = statement(
  'recover_effects',
  `SELECT effect, kind, key, name, mode, state, token, not_after_ms AS "notAfterMs", ask_at_ms AS "askAtMs", asked, updated_at_ms AS "sinceMs", body FROM unrip.recover_effects($1, $2)`,
)
const OUTBOX = statement('recover_outbox', 'SELECT batch, incarnation, blob FROM unrip.recover_outbox($1, $2, $3)')
const PARKED = statement(
  'parked_actors',
  'SELECT kind, key, turn, NOT waits AS held, cause, at_ms AS "sinceMs", open FROM unrip.parked_actors($1, $2)',
)
const LETTERS = statement(
  'next_letters',
  `SELECT turn, kind, key, origin, coalesce(ordered, '') AS ordered, event FROM unrip.next_letters($1, $2, $3, $4, $5, $6, $7)`,
)
const NEXT_TIMERS = statement(
  'next_timers',
  'SELECT kind, key, timer, token, due_ms AS "dueMs", event FROM unrip.next_timers($1, $2, $3, $4, $5, $6, $7)',
)
const TIMERS_OF = statement('timers_of', 'SELECT kind, key, timer, token, due_ms AS "dueMs", event FROM unrip.timers_of($1, $2, $3, $4)')
const LOAD = statement(
  'load_actors',
  'SELECT kind, key, sequence, status, body, ended_at_ms AS "endedAtMs", updated_at_ms AS "updatedAtMs" FROM unrip.load_actors($1, $2, $3, $4)',
)
