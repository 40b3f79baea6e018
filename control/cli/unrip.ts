import { setTimeout as wait } from 'node:timers/promises'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { HostState } from '../host-view.ts'
import { pastAnswer } from '../past.ts'
import { armedIn } from '../telemetry/state-metrics.ts'
import { makeClient, stateIn } from './client.ts'
import type { Client, Fetch } from './client.ts'
import { CliFailure } from './failure.ts'
import { letterOf, letterTable, resolveLetters, tellLetter, tellResolved } from './dead-letters.ts'
import type { Which } from './dead-letters.ts'
import { giveOrder } from './orders.ts'
import type { OrderName } from './orders.ts'
import { tellPast } from './past.ts'
import { table, timeOf } from './print.ts'
import type { CliWish, Readings, Sources } from './readings.ts'
import { tellReplay } from './replay.ts'
import { addSnapshots } from './snapshots.ts'
import type { Snapshots } from './snapshots.ts'
import { tellChain } from './why.ts'
import { onlySources, whereabouts } from './whereabouts.ts'

/** Everything outside that the command line touches. */
export interface World {
  readonly env: NodeJS.ProcessEnv
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly fetch: Fetch
  /** @throws {CliFailure} the database or the broker is not known */
  readonly readings: (sources: Sources) => Promise<Readings>
  /** @throws {CliFailure} the database is not known */
  readonly snapshots: (sources: Sources) => Promise<Snapshots>
  /** As the owner of the tables. @returns the partitions that went. @throws {CliFailure} the database is not known, or not ours to change */
  readonly dropDays: (sources: Sources, keepDays: number) => Promise<readonly string[]>
}

/**
 * `unrip …`: sees and steers a running system.
 * @param argv  what stands after the program's name
 * @returns the exit code: 0 only when what was asked for is so, 1 when it is not, 2 when the question was not understood
 */
export const unrip = async (argv: readonly string[], world: World): Promise<number> => {
  const program = commands(world)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    const failure =
      error instanceof CliFailure
        ? error
        : new CliFailure('FAILED', error instanceof Error ? error.message : String(error), { cause: error })
    if (argv.includes('--json') && !failure.reported)
      world.out(`${JSON.stringify({ error: { code: failure.code, message: failure.message } })}\n`)
    world.err(`unrip: ${failure.message}\n`)
    return failure.code === 'USAGE' ? 2 : 1
  }
}

type ResolveOptions = Shared & Which & { by: string; reason: string; wait: number }

interface Shared {
  readonly json?: true
  readonly url?: string
}

const commands = (world: World): Command => {
  const program = new Command('unrip')
    .description(
      'See and steer a running system. Finds it by --url, UNRIP_SERVICES or DATA_DIR/run.json; CONTROL_TOKEN is sent where it is set.',
    )
    .exitOverride()
    // What stands after `dead-letters drop` is of `drop`: its --json is not that of the list.
    .enablePositionalOptions()
    .configureOutput({ writeOut: world.out, writeErr: world.err })
    .showHelpAfterError('(unrip --help shows the commands, unrip COMMAND --help its options)')
  const add = (usage: string, says: string, under = program): Command =>
    under.command(usage).description(says).option('--json', 'one JSON object on stdout')
  const lanes = program.command('lanes').description('orders about lanes')
  const print = (json: true | undefined, value: object, text: () => string): void =>
    world.out(`${json ? JSON.stringify(value, null, 2) : text()}\n`)

  add('status [services...]', 'what every service is doing; 0 when all of them answer')
    .option('--url <url>', 'ask this one')
    .action(async (names: string[], { json, url }: Shared) => {
      const seen = await Promise.all((await clients(world, names, url)).map(look))
      print(json, { services: Object.fromEntries(seen.map(({ service, ...rest }) => [service, rest])) }, () => statusTable(seen))
      const silent = seen.filter(({ error }) => error !== null)
      if (silent.length > 0) throw new CliFailure('UNREACHABLE', silent.map(({ error }) => error).join('; '))
    })

  for (const [name, says] of Object.entries(ORDERS) as [OrderName, string][])
    add(`${name} [service]`, says, name === 'accept-loss' ? lanes : program)
      .requiredOption('--by <who>', 'who orders it; journalled', filled)
      .requiredOption('--reason <why>', 'why; journalled', filled)
      .option('--url <url>', 'the service at this address')
      .addOption(
        new Option('--wait <seconds>', 'how long a drain is waited for')
          .default(60)
          .argParser(seconds)
          .hideHelp(name !== 'drain'),
      )
      .action(
        async (
          service: string | undefined,
          { json, url, by, reason, wait: waitFor }: Shared & { by: string; reason: string; wait: number },
        ) => {
          const [client] = await clients(world, service === undefined ? [] : [service], url, `${name} needs a service, or --url`)
          const state = await giveOrder(client, name, by, reason, { forMs: waitFor * 1_000, pause: (ms) => wait(ms) })
          print(json, state, () => `${state.service}: ${DONE[name]}`)
        },
      )

  add('why <quote_id>', 'the whole causal chain of a quote: demand, price, inventory, decision, command, results').action(
    async (quoteId: string, { json }: Shared) => {
      const chain = await reading(world, (readings) => readings.quoteChain(quoteId))
      if (chain === null) throw new CliFailure('NO_SUCH_QUOTE', `the history has no quote ${quoteId}`)
      print(json, chain, () => tellChain(chain))
    },
  )

  add('actor <kind/key>', 'one actor: snapshot, timers, effects, journal')
    .option('--service <name>', 'of this service; without it the first that has one')
    .option('--url <url>', 'ask this one')
    .addOption(
      new Option('--at <when>', 'from the journal: as it was after this turn of its own, or at this time (ISO 8601)').conflicts('diff'),
    )
    .option('--diff <a..b>', 'from the journal: what changed between two of its turns')
    .action(async (address: string, { json, url, service, at, diff }: Shared & { service?: string; at?: string; diff?: string }) => {
      const wanted = { ...parsedAddress(address), ...(service === undefined ? {} : { service }) }
      const nobody = new CliFailure('NO_SUCH_ACTOR', `no actor ${address} in ${service ?? 'any service'}`)
      const wish = at !== undefined ? wishedTurn(at) : diff !== undefined ? wishedTurns(diff) : null
      if (wish === null) {
        const found = await liveActor(await clients(world, service === undefined ? [] : [service], url), wanted.kind, wanted.key)
        if (found === null) throw nobody
        return print(json, found, () => JSON.stringify(found, null, 2))
      }
      const past = await reading(world, (readings) => readings.past(wanted, wish))
      if (past === null) throw nobody
      const told = pastAnswer(past)
      if (!('answer' in told)) throw new CliFailure(told.code, told.message)
      print(json, told.answer, () => tellPast(past))
    })

  add(
    'replay <service>',
    'play journals once more through the code at hand; 1 at the first turn that comes out otherwise, or where some cannot be played',
  )
    .option('--lane <n>', 'of this lane; without it of all', whole)
    .option('--from <turn>', "from this turn of the lane on; an actor's are played from its next stored snapshot", whole)
    .option('--to <turn>', 'up to this turn of the lane', whole)
    .action(async (service: string, { json, ...range }: Shared & { lane?: number; from?: number; to?: number }) => {
      if ((range.from ?? 0) > (range.to ?? Infinity)) throw new CliFailure('USAGE', `--from ${range.from} is after --to ${range.to}`)
      const report = await reading(world, (readings) => readings.replay(service, range, (line) => world.err(`${line}\n`)))
      print(json, report, () => tellReplay(report))
      const isRange = range.from !== undefined || range.to !== undefined
      if (isRange && report.lanes.every(({ turns }) => turns === 0))
        throw new CliFailure('NOTHING_KEPT', `${service}: no journal has a turn in that range`, { reported: true })
      const differing = report.lanes.flatMap(({ lane, difference }) => (difference ? [`lane ${lane} at turn ${difference.turn}`] : []))
      if (differing.length > 0)
        throw new CliFailure('DIFFERS', `${service} comes out otherwise: ${differing.join(', ')}`, { reported: true })
      const unloadable = report.lanes.reduce((sum, { skipped }) => sum + skipped.not_loadable, 0)
      if (unloadable > 0)
        throw new CliFailure('NOT_LOADABLE', `${service}: ${unloadable} turns start from what the code at hand does not load`, {
          reported: true,
        })
    })

  add('drop-days', 'removes whole old days of journal, outbox and dead letters, but for what is unpublished or unresolved')
    .addOption(
      new Option('--keep <days>', 'whole days before today that stay').env('JOURNAL_KEEP_DAYS').default(KEEP_DAYS).argParser(count),
    )
    .action(async ({ json, keep }: Shared & { keep: number }) => {
      const dropped = await world.dropDays(await onlySources(world.env), keep)
      print(json, { dropped }, () => (dropped.length === 0 ? 'nothing to drop' : dropped.join('\n')))
    })

  add('lag [service]', 'records that each service has not taken yet, by topic and partition').action(
    async (service: string | undefined, { json }: Shared) => {
      const rows = await reading(world, (readings) => readings.lag(service))
      print(json, { lag: rows }, () =>
        table(
          ['SERVICE', 'TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG'],
          rows.map(({ service: name, topic, partition, committed, end, lag }) =>
            [name, topic, partition, committed ?? '-', end, lag].map(String),
          ),
        ),
      )
    },
  )

  const letters = add('dead-letters', 'parked events, with their actor, cause and origin')
    .option('--service <name>', 'of this service')
    .option('--limit <n>', 'at most so many', count, 50)
    .option('--done', 'those that are resolved, too')
    .action(async ({ json, service, limit, done }: Shared & { service?: string; limit: number; done?: true }) => {
      const filter = { limit, all: done ?? false, ...(service === undefined ? {} : { service }) }
      const rows = await reading(world, (readings) => readings.deadLetters(filter))
      print(json, { dead_letters: rows }, () => letterTable(rows))
    })
  add('show <service> <lane:turn>', 'one of them, with its event, and how it was resolved', letters).action(
    async (service: string, at: string, { json }: Shared) => {
      const [row] = await reading(world, (readings) => readings.deadLetters({ service, limit: 1, letter: letterOf(at) }))
      if (row === undefined) throw new CliFailure('NO_SUCH_LETTER', `${service} has parked nothing at ${at}`)
      print(json, row, () => tellLetter(row))
    },
  )
  for (const [did, says] of [
    ['replay', 'take them again, and then what waited behind them; 0 when none is parked again'],
    ['drop', 'give them up; what waited behind them goes on'],
  ] as const)
    add(`${did} [service]`, says, letters)
      .option('--actor <kind/key>', 'of this actor; / alone: records that no actor was found for')
      .option('--turn <lane:turn>', 'this one')
      .option('--since <time>', 'held since then or later')
      .option('--all', 'every one')
      .requiredOption('--by <who>', 'who orders it; journalled', filled)
      .requiredOption('--reason <why>', 'why; journalled', filled)
      .option('--url <url>', 'the service at this address')
      .option('--wait <seconds>', 'how long what was let go is waited for', seconds, 30)
      .action(async (service: string | undefined, { json, url, by, reason, wait: waitFor, ...which }: ResolveOptions) => {
        const [client] = await clients(world, service === undefined ? [] : [service], url, `${did} needs a service, or --url`)
        const patience = { forMs: waitFor * 1_000, pause: (ms: number) => wait(ms) }
        const resolved = await resolveLetters(client, did, which, { by, reason }, patience)
        print(json, resolved, () => tellResolved(resolved))
      })
  addSnapshots({
    under: program.command('snapshots').description('what is stored, and the code at hand'),
    add,
    print,
    progress: (text) => world.err(`${text}\n`),
    opened: async () => world.snapshots(await onlySources(world.env)),
  })
  return program
}

const ORDERS: Readonly<Record<OrderName, string>> = {
  arm: 'allow side effects; 0 when the service says that it is armed',
  disarm: 'refuse side effects, stay observable',
  pause: 'take no new work; results, timers and orders go on',
  resume: 'take new work again',
  drain: 'finish what is under way, give the lanes back and end',
  reconcile: 'the database is right as it is, though EXECUTOR_STATE_DIR remembers another; arming is allowed again',
  'accept-loss': 'what a halted input has lost is lost; it goes on at what its log still has',
}

const DONE: Readonly<Record<OrderName, string>> = {
  arm: 'armed',
  disarm: 'disarmed',
  pause: 'paused',
  resume: 'resumed',
  drain: 'drained',
  reconcile: 'reconciled',
  'accept-loss': 'goes on',
}

/** Longer than the row of any ended actor is kept. */
const KEEP_DAYS = 14

const usage = (message: string): never => {
  throw new InvalidArgumentError(message)
}
const filled = (text: string): string => (text.trim() === '' ? usage('must not be empty') : text)
const count = (text: string): number => (/^[1-9]\d{0,4}$/.test(text) ? Number(text) : usage('must be a whole number from 1 to 99999'))
const seconds = (text: string): number => (/^\d{1,4}(\.\d+)?$/.test(text) ? Number(text) : usage('must be a number of seconds'))

const whole = (text: string): number => (/^\d{1,15}$/.test(text) ? Number(text) : usage('must be a whole number'))

const wishedTurn = (at: string): CliWish => {
  if (/^\d{1,15}$/.test(at)) return { at: Number(at) }
  const until = timeOf(at)
  if (Number.isNaN(until))
    throw new CliFailure('USAGE', `--at wants the number of one of its turns or a time such as 2026-11-21T10:00:00Z, not ${at}`)
  return { until }
}

const wishedTurns = (diff: string): CliWish => {
  const [, from, to] = /^(\d{1,15})\.\.(\d{1,15})$/.exec(diff) ?? []
  if (from === undefined || Number(from) >= Number(to)) throw new CliFailure('USAGE', `--diff wants A..B with A before B, not ${diff}`)
  return { from: Number(from), to: Number(to) }
}

const parsedAddress = (address: string): { kind: string; key: string } => {
  const [, kind, key] = /^([^/]+)\/(.+)$/.exec(address) ?? []
  if (kind === undefined || key === undefined) throw new CliFailure('USAGE', `${address} is not KIND/KEY, for instance command/cmd-42`)
  return { kind, key }
}

/** The services that were named, or all of them. @throws {CliFailure} a name that nothing runs under, or none where one is needed */
const clients = async (
  { env, fetch }: World,
  names: readonly string[],
  url: string | undefined,
  oneNeeded?: string,
): Promise<[Client, ...Client[]]> => {
  if (oneNeeded !== undefined && names.length === 0 && url === undefined) throw new CliFailure('USAGE', oneNeeded)
  const { services } = await whereabouts(env, url, names[0])
  const wanted = names.length === 0 ? [...services.keys()] : names
  const [first, ...rest] = wanted.map((name) => {
    const at = services.get(name)
    if (at === undefined)
      throw new CliFailure('NO_SUCH_SERVICE', `no service ${name}; there are: ${[...services.keys()].join(', ') || 'none'}`)
    return makeClient(fetch, name, at, env['CONTROL_TOKEN'])
  })
  if (first === undefined) throw new CliFailure('NO_SERVICE', 'no service is running')
  return [first, ...rest]
}

const reading = async <T>({ env, readings }: World, read: (readings: Readings) => Promise<T>): Promise<T> => {
  const opened = await readings(await onlySources(env))
  return read(opened).finally(() => opened.close())
}

const liveActor = async (among: readonly Client[], kind: string, key: string): Promise<object | null> => {
  for (const client of among) {
    const { status, body } = await client.get(`/actors/${encodeURIComponent(kind)}/${encodeURIComponent(key)}`)
    if (status === 200) return { service: client.service, ...body }
  }
  return null
}

interface Seen {
  readonly service: string
  readonly url: string
  readonly ready: boolean
  readonly reasons: readonly string[]
  readonly state: HostState | null
  readonly error: string | null
  readonly code: string | null
}

const look = async (client: Client): Promise<Seen> => {
  const { service, url } = client
  try {
    const [readiness, answer] = [await client.get('/readyz'), await client.get('/state')]
    const reasons = Array.isArray(readiness.body['reasons']) ? readiness.body['reasons'].map(String) : []
    const state = stateIn(answer.body, service)
    return { service: state.service, url, ready: readiness.status === 200, reasons, state, error: null, code: null }
  } catch (error) {
    if (error instanceof CliFailure) return { service, url, ready: false, reasons: [], state: null, error: error.message, code: error.code }
    throw error
  }
}

const statusTable = (seen: readonly Seen[]): string =>
  table(
    ['SERVICE', 'URL', 'STATE', 'READY', 'ARMED', 'LANES', 'PARKED', 'BLOCKED'],
    seen.map(({ service, url, ready, reasons, state, code }) => [
      service,
      url,
      state?.lifecycle ?? (code === 'UNREACHABLE' || code === 'TIMEOUT' ? 'no answer' : 'not told'),
      ready ? 'yes' : 'no',
      state === null || armedIn(state) === null ? '-' : armedIn(state) ? 'yes' : 'no',
      state === null ? '-' : String(state.lanes.length),
      state === null ? '-' : String(parkedIn(state)),
      [...(state?.blocked ?? []).map((block) => block.code), ...reasons].join(', ') || '-',
    ]),
  )

/** Dead letters that wait for a person: `unrip dead-letters` has them. */
const parkedIn = ({ lanes }: HostState): number =>
  lanes.reduce((total, lane) => total + ((lane as { parked?: { held?: number } }).parked?.held ?? 0), 0)
