/** What `npm start` is told: arguments, and the variables that it reads itself. Everything else goes through to the services. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
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
  NEAR_INTENTS_RELAY_WS_URL: socketUrl.optional(),
  NEAR_INTENTS_RELAY_RPC_URL: webUrl.optional(),
  NEAR_RPC_URLS: words
    .refine((list) => list.split(',').every((url) => webUrl.safeParse(url.trim()).success), 'expected a comma list of http(s) URLs')
    .optional(),
  NEAR_INTENTS_BRIDGE_URL: webUrl.optional(),
  KRAKEN_WS_URL: socketUrl.optional(),
  COINGECKO_API_URL: webUrl.optional(),
}

export const StartEnv = z
  .object({
    ...venues,
    KAFKA_BROKERS: words
      .refine((list) => list.split(',').every((broker) => hostAndPort.test(broker.trim())), 'expected a comma list of host:port')
      .optional(),
    DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
    DATA_DIR: words.default('.data').transform((dir) => resolve(dir)),
    CONTROL_HOST: words.default('127.0.0.1'),
    CONTROL_BASE_PORT: z.coerce.number().int().min(0).max(65_528).default(4101),
    CONTROL_TOKEN: words.optional(),
    RELEASE: words.optional(),
    LANES: z.coerce.number().int().min(1).max(256).default(4),
    STRICT_AUDIT: z.stringbool().optional(),
    NEAR_INTENTS_ACCOUNT_ID: words.optional(),
    NEAR_INTENTS_SIGNING_KEY: words.optional(),
    NEAR_INTENTS_SIGNING_KEY_FILE: words.optional(),
    NEAR_INTENTS_PARTNER_JWT: words.optional(),
  })
  .readonly()
export type StartEnv = z.infer<typeof StartEnv>

export type VenueVariable = keyof typeof venues
export const VENUE_VARIABLES = Object.keys(venues) as VenueVariable[]

/** @throws {LocalStackFault} naming every variable that is malformed; a secret's value is not repeated */
export const readEnv = (env: NodeJS.ProcessEnv): StartEnv => {
  const read = StartEnv.safeParse(env)
  if (read.success) return read.data
  throw malformed(read.error, env)
}

const SECRET = /KEY|TOKEN|JWT|DATABASE_URL/

export const malformed = ({ issues }: z.ZodError, env: NodeJS.ProcessEnv): LocalStackFault => {
  const problems = issues.map(({ path, message }) => {
    const name = String(path[0])
    const value = env[name]
    const shown = value === undefined ? ' (not set)' : SECRET.test(name) ? '' : ` (it is ${JSON.stringify(value)})`
    return `${name}${shown}: ${message}`
  })
  return new LocalStackFault(`malformed environment: ${problems.join('; ')}. Mend or unset it`)
}
