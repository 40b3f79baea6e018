/** The pretend venues, one child process that says on stdout where they listen. */
import { join } from 'node:path'
import { z } from 'zod'
import { LocalStackFault, startChild, tailOf, tookTooLong } from './child.ts'
import { VENUE_VARIABLES } from './options.ts'
import type { StartEnv, VenueVariable } from './options.ts'
import { EXECUTOR_ONLY } from './services.ts'

const words = z.string().min(1)

/** The line with which the simulators say that they listen. */
const Ready = z.looseObject({
  event: z.literal('ready'),
  relay_ws_url: words,
  relay_rpc_url: words,
  near_rpc_urls: z.union([words, z.array(words).transform((urls) => urls.join(','))]),
  bridge_url: words,
  kraken_ws_url: words,
  coingecko_url: words,
  admin_url: words,
  account_id: words,
  signing_key: words,
  jwt: words,
})
type Ready = z.infer<typeof Ready>

export type Simulators = {
  readonly adminUrl: string
  readonly pid: number
  /** what the services get for the variables that the environment leaves out */
  readonly env: Readonly<Record<string, string>>
  /** their counts at this moment; a violation is a signature or an amount that a real venue would not have taken */
  report(): Promise<Report>
  readonly died: Promise<string>
  stop(): Promise<void>
}

export type Report = { readonly violations: number; readonly body: unknown }

const READY_WITHIN_MS = 20_000

export const simulatedVenues = (env: StartEnv): VenueVariable[] => VENUE_VARIABLES.filter((name) => env[name] === undefined)

/** @throws {LocalStackFault} they died or did not say that they listen */
export const startSimulators = async (root: string, env: StartEnv): Promise<Simulators> => {
  const logFile = join(env.DATA_DIR, 'logs/simulators.log')
  let say: (line: string) => void = () => undefined
  const first = new Promise<string>((resolve) => (say = resolve))
  const child = await startChild({
    name: 'simulators',
    command: process.execPath,
    // Their ledger outlives them: the database remembers nonces, balances and block heights of it.
    args: [join(root, 'test/simulators/main.ts'), '--state-file', join(env.DATA_DIR, 'simulators.json')],
    env: withoutSecrets(process.env),
    cwd: root,
    logFile,
    signalWhenWeAreGone: 'SIGTERM',
    onLine: (line) => {
      if (line.startsWith('{')) say(line)
    },
  })
  const failed = (what: string): LocalStackFault =>
    new LocalStackFault(`the venue simulators ${what}; the end of ${logFile}:\n${tailOf(logFile)}`)
  const late = await tookTooLong(Promise.race([first, child.exited]), READY_WITHIN_MS)
  if (!child.running()) throw failed('died while starting')
  if (late) throw failed(`were not ready after ${READY_WITHIN_MS / 1000} s`)
  const ready = Ready.safeParse(JSON.parse(await first))
  if (!ready.success) throw failed(`said something else than where they listen: ${z.prettifyError(ready.error)}`)
  return {
    adminUrl: ready.data.admin_url,
    pid: child.pid,
    env: standIns(ready.data, env),
    report: () => readReport(ready.data.admin_url),
    died: child.exited.then(() => `the venue simulators ended; the end of ${logFile}:\n${tailOf(logFile)}`),
    stop: async () => {
      await child.end([{ signal: 'SIGTERM', graceMs: 2_000 }])
    },
  }
}

const withoutSecrets = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => name !== 'DATABASE_URL' && !EXECUTOR_ONLY.includes(name)))

/** Only what the environment leaves out, and the account's credentials only where the relay is simulated. */
const standIns = (ready: Ready, env: StartEnv): Record<string, string> => {
  const urls: Record<VenueVariable, string> = {
    NEAR_INTENTS_RELAY_WS_URL: ready.relay_ws_url,
    NEAR_INTENTS_RELAY_RPC_URL: ready.relay_rpc_url,
    NEAR_RPC_URLS: ready.near_rpc_urls,
    NEAR_INTENTS_BRIDGE_URL: ready.bridge_url,
    KRAKEN_WS_URL: ready.kraken_ws_url,
    COINGECKO_API_URL: ready.coingecko_url,
  }
  const standIn: Record<string, string> = {}
  for (const name of simulatedVenues(env)) standIn[name] = urls[name]
  if (env.NEAR_INTENTS_RELAY_WS_URL !== undefined) return standIn
  if (env.NEAR_INTENTS_ACCOUNT_ID === undefined) standIn['NEAR_INTENTS_ACCOUNT_ID'] = ready.account_id
  if (env.NEAR_INTENTS_SIGNING_KEY === undefined && env.NEAR_INTENTS_SIGNING_KEY_FILE === undefined) {
    standIn['NEAR_INTENTS_SIGNING_KEY'] = ready.signing_key
  }
  if (env.NEAR_INTENTS_PARTNER_JWT === undefined) standIn['NEAR_INTENTS_PARTNER_JWT'] = ready.jwt
  return standIn
}

const Counts = z.looseObject({ violations: z.union([z.number(), z.array(z.unknown()).transform((list) => list.length)]) })

const readReport = async (adminUrl: string): Promise<Report> => {
  const answer = await fetch(new URL('/report', adminUrl), { signal: AbortSignal.timeout(5_000) })
  const body: unknown = await answer.json()
  return { violations: Counts.parse(body).violations, body }
}
