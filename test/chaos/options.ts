import { parseArgs } from 'node:util'

export interface ChaosOptions {
  readonly kills: number
  readonly others: number
  readonly seed: number
  readonly json: boolean
  readonly help: boolean
}

export const USAGE = `npm run chaos -- [OPTIONS]

Starts the whole local system, hurts it under load in the order that the seed gives, and then looks from outside at what it made of that:
the simulated venues' ledger, the tables, the topics, /state. Exit 1 where something was done twice, is lost, stuck or wrong.

  --kills N     times that a service is ended with kill -9; default 20
  --others N    other faults among them: cut in COMMIT, SIGSTOP and SIGCONT, broker and database restart, disk full, network stalls,
                half open connections, delays, a second process; default half of --kills
  --seed S      which ones, and in which order; default 1
  --json        one JSON object on stdout at the end; progress goes to stderr
  --help        this text

Ctrl-C ends the faults, then looks and reports; a second one reports without looking.`

/** What was typed cannot be understood; the message names it. */
export class UsageFault extends Error {
  readonly code = 'USAGE'
}

/** @throws {UsageFault} */
export const readOptions = (argv: readonly string[]): ChaosOptions => {
  const { kills = '20', others, seed = '1', json = false, help = false } = parse(argv)
  const wanted = whole('kills', kills)
  return {
    kills: wanted,
    others: others === undefined ? Math.ceil(wanted / 2) : whole('others', others),
    seed: whole('seed', seed),
    json,
    help,
  }
}

const parse = (argv: readonly string[]) => {
  const word = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({ args: [...argv], options: { kills: word, others: word, seed: word, json: flag, help: { ...flag, short: 'h' } } })
      .values
  } catch (cause) {
    throw new UsageFault(`${cause instanceof Error ? cause.message : String(cause)} (npm run chaos -- --help lists the options)`, { cause })
  }
}

const whole = (name: string, text: string): number => {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0)
    throw new UsageFault(`--${name} wants a whole number, not ${JSON.stringify(text)}`)
  return value
}
