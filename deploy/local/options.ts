/** What `npm start` is told: arguments, and the variables that it reads itself. Everything else goes through to the services. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { KEEP_DAYS } from '#storage/days.ts'
import { LocalStackFault } from './child.ts'

export type Options = {
  readonly disarmed: boolean
  /** end once so many quotes have ended in SETTLED */
  readonly quotes: number | undefined
  readonly json: boolean
  readonly fresh: boolean
  readonly help: boolean
}

export const USAGE = `npm start [-- OPTIONS]

Starts a Kafka broker, PostgreSQL, simulated venues and the eight services, and prints one line per ended quote.

  --disarmed    do not arm strategy and executor
  --quotes N    end once N quotes have settled; exit 1 after 120 s without one, or when a simulated venue counted a violation
  --json        every line on stdout is one JSON object; text for people goes to stderr
  --fresh       forget earlier data first
  --help        this text

Set KAFKA_BROKERS or DATABASE_URL to use a broker or database of your own, a venue's URL (README.md) to face the real venue,
DATA_DIR (.data) for where local data is kept, CONTROL_BASE_PORT (4101; 0 picks free ones) for the control ports.`

/** @throws {LocalStackFault} naming the argument that is wrong */
export const readOptions = (argv: readonly string[]): Options => {
  const { values } = parse(argv)
  const quotes = values.quotes === undefined ? undefined : Number(values.quotes)
  if (quotes !== undefined && (!Number.isSafeInteger(quotes) || quotes < 1)) {
    throw new LocalStackFault(`--quotes wants a whole number above zero, not ${JSON.stringify(values.quotes)}`)
  }
  return { disarmed: values.disarmed, quotes, json: values.json, fresh: values.fresh, help: values.help }
}

const parse = (argv: readonly string[]) => {
  const flag = { type: 'boolean', default: false } as const
  try {
    return parseArgs({
      args: [...argv],
      options: { disarmed: flag, quotes: { type: 'string' }, json: flag, fresh: flag, help: { ...flag, short: 'h' } },
    })
  } catch (cause) {
    throw new LocalStackFault(`${cause instanceof Error ? cause.message : String(cause)} (npm start -- --help lists the options)`, {
      cause,
    })
  }
}

const words = z.string().trim().min(1)
const webUrl = z.url({ protocol: /^https?$/ })
const socketUrl = z.url({ protocol: /^wss?$/ })

const hostAndPort = /^[^\s:,]+:\d{1,5}$/

/** Setting one of these selects the real venue; unset, the simulator stands in for it. */
const venues = {
  NEAR_INTENTS_RELAY_WS_URL: socketUrl.optional().describe('default: the simulator'),
  NEAR_INTENTS_RELAY_RPC_URL: webUrl.optional().describe('default: the simulator'),
  NEAR_RPC_URLS: words
    .refine((list) => list.split(',').every((url) => webUrl.safeParse(url.trim()).success), 'expected a comma list of http(s) URLs')
    .optional()
    .describe('comma list; default: the simulator'),
  NEAR_INTENTS_BRIDGE_URL: webUrl.optional().describe('default: the simulator'),
  KRAKEN_WS_URL: socketUrl.optional().describe('default: the simulator'),
  COINGECKO_API_URL: webUrl.optional().describe('default: the simulator'),
}

export const StartEnv = z
  .object({
    ...venues,
    KAFKA_BROKERS: words
      .refine((list) => list.split(',').every((broker) => hostAndPort.test(broker.trim())), 'expected a comma list of host:port')
      .optional()
      .describe('comma list of host:port; default: a local broker'),
    DATABASE_URL: z
      .url({ protocol: /^postgres(ql)?$/ })
      .optional()
      .describe('a role that may create roles; default: a local PostgreSQL'),
    DATA_DIR: words
      .default('.data')
      .describe('where the local broker, database and simulators keep their files')
      .transform((dir) => resolve(dir)),
    CONTROL_HOST: words.default('127.0.0.1').describe('address of every control API'),
    CONTROL_BASE_PORT: words
      .pipe(z.coerce.number<string>().int().min(0).max(65_528))
      .default(4101)
      .describe('the first of eight control ports; 0 picks free ones'),
    CONTROL_TOKEN: words.optional().describe('bearer token of every control API'),
    RELEASE: words.optional().describe('default: the git commit'),
    LANES: z.coerce
      .number()
      .int()
      .min(1)
      .max(256)
      .default(4)
      .describe('partitions of every keyed topic; stored, and another value refuses to start'),
    JOURNAL_KEEP_DAYS: z.coerce
      .number()
      .int()
      .min(1)
      .max(3_650)
      .default(KEEP_DAYS)
      .describe('whole days before today of journal, outbox and dead letters that are kept; nothing unpublished or unresolved goes'),
    STRICT_AUDIT: z.stringbool().optional().describe('default: on when any venue is real'),
    NEAR_INTENTS_ACCOUNT_ID: words.optional().describe("default: the simulator's account"),
    NEAR_INTENTS_SIGNING_KEY: words.optional().describe("default: the simulator's; only the executor is given it"),
    NEAR_INTENTS_SIGNING_KEY_FILE: words.optional().describe('instead of NEAR_INTENTS_SIGNING_KEY'),
    NEAR_INTENTS_PARTNER_JWT: words.optional().describe("default: the simulator's"),
  })
  .readonly()
export type StartEnv = z.infer<typeof StartEnv>

export type VenueVariable = keyof typeof venues
export const VENUE_VARIABLES = Object.keys(venues) as VenueVariable[]

/** @throws {LocalStackFault} naming every variable that is malformed; a secret's value is not repeated */
export const readEnv = (env: NodeJS.ProcessEnv): StartEnv => {
  const read = StartEnv.safeParse(env)
  if (read.success) return read.data
  throw malformed(read.error.issues, env)
}

const SECRET = /KEY|TOKEN|JWT|DATABASE_URL/

/** @param issues each of one variable. A secret's value is not repeated. */
export const malformed = (issues: readonly z.core.$ZodIssue[], env: NodeJS.ProcessEnv): LocalStackFault => {
  const problems = issues.map(({ path, message }) => {
    const name = String(path[0])
    const value = env[name]
    const shown = value === undefined ? ' (not set)' : SECRET.test(name) ? '' : ` (it is ${JSON.stringify(value)})`
    return `${name}${shown}: ${message}`
  })
  return new LocalStackFault(`malformed environment: ${problems.join('; ')}. Mend or unset it`)
}
