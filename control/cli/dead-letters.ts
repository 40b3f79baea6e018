import { z } from 'zod'
import type { Answer, Client } from './client.ts'
import { stateIn } from './client.ts'
import { CliFailure } from './failure.ts'
import type { Patience } from './orders.ts'
import { table, timeOf } from './print.ts'
import type { DeadLetter } from './readings.ts'

/** What the operator names on the command line. */
export interface Which {
  readonly actor?: string
  readonly turn?: string
  readonly since?: string
  readonly all?: true
}

export interface Resolved {
  readonly service: string
  readonly order_id: string
  readonly did: 'replay' | 'drop'
  /** events that held an actor, and those that waited behind them */
  readonly letters: number
  readonly waiting: number
  /** meant as well and too many for one order */
  readonly left: number
  readonly actors: readonly string[]
}

/** `LANE:TURN`. @throws {CliFailure} it is not */
export const letterOf = (text: string): { lane: number; turn: number } => {
  const [, lane, turn] = /^(\d{1,5}):(\d{1,15})$/.exec(text) ?? []
  if (lane === undefined) throw new CliFailure('USAGE', `${text} is not LANE:TURN, for instance 0:1234`)
  return { lane: Number(lane), turn: Number(turn) }
}

/**
 * Lets dead letters go, or drops them, and waits until what that set going has come to an end.
 * @throws {CliFailure} nothing was meant, not committed by every lane yet, or an event was parked again
 */
export const resolveLetters = async (
  client: Client,
  did: 'replay' | 'drop',
  which: Which,
  signed: { by: string; reason: string },
  patience: Patience,
): Promise<Resolved> => {
  const answer = await client.order(`/dead-letters/${did}`, { ...signed, ...argumentsOf(which) })
  if (answer.status === 202)
    throw new CliFailure('PENDING', `${client.service}: order ${String(answer.body['id'])} is written; not every lane has committed it yet`)
  const { id, answers } = Ordered.parse(answer.body).order
  const sum = (of: 'letters' | 'waiting' | 'left'): number => answers.reduce((total, each) => total + each.answer[of], 0)
  const actors = answers.flatMap((each) => each.answer.actors)
  const resolved = {
    service: client.service,
    order_id: id,
    did,
    letters: sum('letters'),
    waiting: sum('waiting'),
    left: sum('left'),
    actors,
  }
  if (resolved.letters === 0) throw new CliFailure('NOTHING_HELD', `${client.service}: nothing of that kind is held`)
  const lanes = new Map((await settled(client, answer, patience)).map(({ lane, parked }) => [lane, parked.actors]))
  const ordered = answers.filter(({ answer: { letters } }) => letters > 0)
  const again = ordered.flatMap(({ lane, answer: { as_of } }) =>
    (lanes.get(lane) ?? []).filter(({ turn, since }) => turn <= as_of.turn && since >= as_of.at),
  )
  if (again.length > 0)
    throw new CliFailure(
      'PARKED_AGAIN',
      `${client.service}: ${again.map((each) => `${answeredName(each)} is parked again (${oneLine(each.cause)})`).join('; ')}`,
    )
  const elsewhere = ordered.flatMap(({ lane }) => (lanes.has(lane) ? [] : [lane]))
  if (elsewhere.length > 0)
    throw new CliFailure(
      'NOT_SEEN',
      `${client.service}: the order was taken; another process has lane ${elsewhere.join(', ')}: unrip dead-letters shows what is still held there`,
    )
  return resolved
}

export const tellResolved = ({ service, did, letters, waiting, left }: Resolved): string =>
  `${service}: ${letters} ${did === 'drop' ? 'dropped' : 'replayed'}, ${waiting} that waited behind went on${left > 0 ? `; ${left} more are held: once again` : ''}`

/** Without words that mean the same in every row. */
export const letterTable = (rows: readonly DeadLetter[]): string =>
  rows.length === 0
    ? 'none'
    : table(
        ['AT', 'SERVICE', 'LANE:TURN', 'ACTOR', 'STATE', 'CAUSE', 'ORIGIN'],
        rows.map((row) => [row.at, row.service, `${row.lane}:${row.turn}`, nameOf(row), stateOf(row), oneLine(row.cause), row.origin]),
      )

export const tellLetter = (row: DeadLetter): string =>
  [
    `${row.service} ${row.lane}:${row.turn} of ${nameOf(row)}`,
    `at       ${row.at}`,
    `state    ${stateOf(row)}`,
    `cause    ${row.cause.replaceAll(/\p{Cc}+/gu, ' ')}`,
    `origin   ${row.origin}`,
    ...(row.ordered === null ? [] : [`let go   by ${row.ordered}`]),
    ...(row.done === null ? [] : [`done     ${row.done}`]),
    `event    ${JSON.stringify(row.event, null, 2)}`,
  ].join('\n')

const nameOf = ({ kind, key }: DeadLetter): string => (kind === '' ? 'no actor' : `${kind}/${key}`)
/** As the order's answer names it. */
const answeredName = ({ kind, key, turn }: { kind: string; key: string; turn: number }): string =>
  kind === '' ? `record of turn ${turn}` : `${kind}/${key}`
const stateOf = ({ done, waits }: DeadLetter): string => (done !== null ? 'done' : waits ? 'waits' : 'held')
/** What a stranger wrote must not steer the terminal. */
const oneLine = (text: string): string => text.replaceAll(/[\s\p{Cc}]+/gu, ' ').slice(0, 100)

const argumentsOf = ({ actor, turn, since, all }: Which): Record<string, unknown> => {
  const named = [actor, turn, since, all].filter((one) => one !== undefined)
  if (named.length !== 1) throw new CliFailure('USAGE', 'name exactly one of --actor, --turn, --since, --all')
  if (turn !== undefined) return letterOf(turn)
  if (all) return { all }
  if (actor !== undefined) {
    const [, kind, key] = /^([^/]*)\/(.*)$/s.exec(actor) ?? []
    if (kind === undefined) throw new CliFailure('USAGE', `${actor} is not KIND/KEY; / alone are records that no actor was found for`)
    return { kind, key }
  }
  const ms = timeOf(since ?? '')
  if (Number.isNaN(ms)) throw new CliFailure('USAGE', `--since wants a time such as 2026-11-21T10:00:00Z, not ${since}`)
  return { since: new Date(ms).toISOString() }
}

const LOOK_EVERY_MS = 100

/** The lanes of the process that was asked, once nothing that was let go is under way in them, or the wait is over. */
const settled = async (client: Client, first: Answer, { forMs, pause }: Patience): Promise<z.infer<typeof Lanes>> => {
  let answer = first
  for (let waited = 0; ; waited += LOOK_EVERY_MS) {
    const lanes = Lanes.parse(stateIn(answer.body, client.service).lanes)
    if (lanes.every(({ parked }) => parked.under_way === 0)) return lanes
    if (waited >= forMs) throw new CliFailure('PENDING', `${client.service}: what was let go is still being taken; it goes on`)
    await pause(LOOK_EVERY_MS)
    answer = await client.get('/state')
  }
}

const Ordered = z.object({
  order: z.object({
    id: z.string(),
    answers: z.array(
      z.object({
        lane: z.number(),
        answer: z.object({
          as_of: z.object({ turn: z.number(), at: z.string() }).default({ turn: 0, at: '' }),
          letters: z.number().default(0),
          waiting: z.number().default(0),
          left: z.number().default(0),
          actors: z.array(z.string()).default([]),
        }),
      }),
    ),
  }),
})

const Lanes = z.array(
  z.object({
    lane: z.number(),
    parked: z.object({
      under_way: z.number(),
      actors: z.array(z.object({ kind: z.string(), key: z.string(), turn: z.number(), since: z.string(), cause: z.string() })),
    }),
  }),
)
