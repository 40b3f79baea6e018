import { booleans, bytes, ints, jsons, letters, longs, texts, uuids } from './arrays.ts'
import { StoreError } from './errors.ts'
import { historyColumns } from './history/rows.ts'
import type { Batch, EffectState, LetterRow } from './rows.ts'
import type { Sessions, Statement } from './session.ts'

/**
 * Commits one batch of a lane in one statement and one fsync: all of it or nothing.
 * The guard is in `commit_batch` (migrations/0010_journal_by_batch.sql; C1 to C6 in 0005): it raises on a stale epoch, a used number or a
 * hole, because a check that merely matched no rows would let the rest through.
 * @returns 'again' when exactly this batch was committed before
 * @throws {StoreError} with every code of `StoreCode`
 */
export const commitBatch = async (sessions: Sessions, service: string, batch: Batch): Promise<'done' | 'again'> => {
  const what = `lane ${service}/${batch.lane}: batch ${batch.batch}`
  const values = encoded(what, () => [
    ...ENCODERS.map((encode) => encode(batch, service)),
    ...historyColumns(batch.history),
    ...letterColumns(batch.letters),
  ])
  const statement = STATEMENTS[batch.history.length > 0 ? 'history' : 'plain'][batch.letters.length > 0 ? 'letters' : 'none']
  const rows = await sessions.query<{ outcome: 'done' | 'again' }>(statement, values, what)
  const outcome = rows[0]?.outcome
  if (!outcome) throw new StoreError('broken_contract', `${what}: commit_batch answered nothing`)
  return outcome
}

/** The parameters of `commit_batch` by name, one array a column of each family. */
const COLUMNS: Readonly<Record<string, (batch: Batch, service: string) => unknown>> = {
  p_service: (_, service) => service,
  p_lane: ({ lane }) => lane,
  p_epoch: ({ epoch }) => epoch,
  p_batch: ({ batch }) => batch,
  p_digest: ({ digest }) => digest,
  p_turn: ({ turn }) => turn,
  p_now_ms: ({ nowMs }) => nowMs,
  p_published: ({ published }) => published,
  p_halted: ({ halted }) => (halted === undefined ? null : JSON.stringify(halted)),
  p_release: ({ release }) => release,
  p_code_hash: ({ codeHash }) => codeHash,
  p_attached: ({ attached }) => attached,
  p_outbox: ({ outbox }) => outbox,
  a_kind: ({ actors }) => texts(actors, ({ kind }) => kind),
  a_key: ({ actors }) => texts(actors, ({ key }) => key),
  a_sequence: ({ actors }) => longs(actors, ({ sequence }) => sequence),
  a_status: ({ actors }) => letters(actors, ({ status }) => status),
  a_body: ({ actors }) => bytes(actors, ({ body }) => body),
  a_ended: ({ actors }) => longs(actors, ({ endedAtMs }) => endedAtMs),
  j_kind: ({ journal }) => texts(journal, ({ kind }) => kind),
  j_key: ({ journal }) => texts(journal, ({ key }) => key),
  j_sequence: ({ journal }) => longs(journal, ({ sequence }) => sequence),
  j_now: ({ journal }) => longs(journal, ({ nowMs }) => nowMs),
  j_event: ({ journal }) => bytes(journal, ({ event }) => event),
  j_base: ({ journal }) => (journal.some(({ base }) => base !== null) ? bytes(journal, ({ base }) => base) : null),
  j_outcome: ({ journal }) => letters(journal, ({ outcome }) => outcome),
  j_hash: ({ journal }) => bytes(journal, ({ outputHash }) => outputHash),
  t_kind: ({ timersSet }) => texts(timersSet, ({ kind }) => kind),
  t_key: ({ timersSet }) => texts(timersSet, ({ key }) => key),
  t_timer: ({ timersSet }) => texts(timersSet, ({ timer }) => timer),
  t_token: ({ timersSet }) => longs(timersSet, ({ token }) => token),
  t_due: ({ timersSet }) => longs(timersSet, ({ dueMs }) => dueMs),
  t_event: ({ timersSet }) => bytes(timersSet, ({ event }) => event),
  o_kind: ({ timersOff }) => texts(timersOff, ({ kind }) => kind),
  o_key: ({ timersOff }) => texts(timersOff, ({ key }) => key),
  o_timer: ({ timersOff }) => texts(timersOff, ({ timer }) => timer),
  e_effect: ({ effects }) => texts(effects, ({ effect }) => effect),
  e_kind: ({ effects }) => texts(effects, ({ kind }) => kind),
  e_key: ({ effects }) => texts(effects, ({ key }) => key),
  e_name: ({ effects }) => texts(effects, ({ name }) => name),
  e_mode: ({ effects }) => letters(effects, ({ mode }) => mode),
  e_state: ({ effects }) => letters(effects, ({ state }) => STATE_LETTERS[state]),
  e_token: ({ effects }) => longs(effects, ({ token }) => token),
  e_not_after: ({ effects }) => longs(effects, ({ notAfterMs }) => notAfterMs),
  e_ask_at: ({ effects }) => longs(effects, ({ askAtMs }) => askAtMs),
  e_asked: ({ effects }) => ints(effects, ({ asked }) => asked),
  e_body: ({ effects }) => bytes(effects, ({ body }) => body),
  i_topic: ({ inputs }) => texts(inputs, ({ topic }) => topic),
  i_entered: ({ inputs }) => longs(inputs, ({ entered }) => entered),
  i_entered_at: ({ inputs }) => longs(inputs, ({ enteredAtMs }) => enteredAtMs),
  i_next: ({ inputs }) => longs(inputs, ({ next }) => next),
  m_topic: ({ marks }) => texts(marks, ({ topic }) => topic),
  m_source: ({ marks }) => texts(marks, ({ source }) => source),
  m_incarnation: ({ marks }) => uuids(marks, ({ incarnation }) => incarnation),
  m_position: ({ marks }) => longs(marks, ({ position }) => position),
  m_at_offset: ({ marks }) => longs(marks, ({ atOffset }) => atOffset),
  m_jump: ({ marks }) => booleans(marks, ({ jump }) => jump),
  s_topic: ({ sent }) => texts(sent, ({ topic }) => topic),
  s_partition: ({ sent }) => ints(sent, ({ partition }) => partition),
  s_incarnation: ({ sent }) => uuids(sent, ({ incarnation }) => incarnation),
  s_position: ({ sent }) => longs(sent, ({ position }) => position),
  r_id: ({ orders }) => longs(orders, ({ id }) => id),
  r_answer: ({ orders }) => jsons(orders, ({ answer }) => answer),
  p_park_turn: ({ parked }) => longs(parked, ({ turn }) => turn),
  p_park_kind: ({ parked }) => texts(parked, ({ kind }) => kind),
  p_park_key: ({ parked }) => texts(parked, ({ key }) => key),
  p_park_cause: ({ parked }) => texts(parked, ({ cause }) => cause),
  p_park_origin: ({ parked }) => texts(parked, ({ origin }) => origin),
  p_park_event: ({ parked }) => bytes(parked, ({ event }) => event),
}

/** The first letter of each, as of modes and of an actor's status. */
const STATE_LETTERS: Record<EffectState, string> = { pending: 'p', uncertain: 'u', done: 'd', failed: 'f', void: 'v', not_sent: 'n' }

/** A number out of range or a malformed uuid is refused here as PostgreSQL would refuse it. */
const encoded = (what: string, encode: () => unknown[]): unknown[] => {
  try {
    return encode()
  } catch (cause) {
    if (cause instanceof RangeError) throw new StoreError('bad_data', `${what}: ${cause.message}`, { cause })
    throw cause
  }
}

/** The parameters of `commit_letters` of its own; none where no parked event moved. */
const letterColumns = (rows: readonly LetterRow[]): (Buffer | null)[] =>
  rows.length === 0
    ? []
    : [
        longs(rows, ({ turn }) => turn),
        booleans(rows, ({ waits }) => waits),
        texts(rows, ({ cause }) => cause),
        texts(rows, ({ ordered }) => ordered),
        texts(rows, ({ done }) => done),
      ]

const ENCODERS = Object.values(COLUMNS)
const HISTORY_PARAMETERS = 7
const LETTER_PARAMETERS = 5
const places = (count: number, after: number): string => Array.from({ length: count }, (_, index) => `$${after + index + 1}`).join(', ')
const named = Object.keys(COLUMNS).map((name, index) => `${name} => $${index + 1}`)
const batchCall = `unrip.commit_batch(${named.join(', ')})`
const historyCall = `unrip.commit_history(${batchCall}, ${places(HISTORY_PARAMETERS, ENCODERS.length)})`
/** `p_service`, `p_lane`, `p_epoch` and `p_batch` are the first four. */
const withLetters = (call: string, after: number): string =>
  `unrip.commit_letters(${call}, $1, $2, $3, $4, ${places(LETTER_PARAMETERS, after)})`
const statement = (name: string, call: string): Statement => ({ name, text: `SELECT ${call} AS outcome` })

/** One statement each: the innermost call fences before the others write. */
const STATEMENTS = {
  plain: {
    none: statement('commit', batchCall),
    letters: statement('commit_letters', withLetters(batchCall, ENCODERS.length)),
  },
  history: {
    none: statement('commit_history', historyCall),
    letters: statement('commit_history_letters', withLetters(historyCall, ENCODERS.length + HISTORY_PARAMETERS)),
  },
} as const
