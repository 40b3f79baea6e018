/** What can be said of a system from outside after whatever was done to it: the venues' ledger, the tables, the topics, /state. */
import { SERVICES } from '#machines/contracts/services.ts'
import type { Deployment } from '../e2e/deployment.ts'
import { emptied } from '../e2e/emptied.ts'
import { brokenPositions, envelopeOf } from '../e2e/topic-log.ts'
import { brokenChains, finals, missingInHistory, openOffers, secondEnds, untruths, withoutEnd } from '../e2e/verdicts.ts'
import type { VenueReport } from '../e2e/venues.ts'

/** Lists of what is wrong; all empty is what has to be. */
export interface Verdict {
  /** done twice: a response, a nonce, a decision, a final result, a position with other bytes */
  readonly doubles: readonly string[]
  /** gone: a gap in positions, a demand or a command that nobody works on any more, a record that no table has, halted input */
  readonly losses: readonly string[]
  /** not at its end though it had the time: an offer, a command, an effect, a record to publish, a lane without owner, a parked actor */
  readonly stuck: readonly string[]
  /** anything else that the venues do not take, or that the tables tell differently */
  readonly wrong: readonly string[]
  readonly counts: { readonly demands: number; readonly commands: number; readonly answered: number; readonly records: number }
}

const TWICE = ['DOUBLE_RESPONSE', 'NONCE_REUSED']

/** Stops the traffic, gives everything its time to end, and looks. The last offers alone may take 25 s. */
export const judge = async (deployment: Deployment): Promise<Verdict> => {
  const { venues, topics } = deployment
  await venues.traffic(false)
  const notBack = await emptied(() => notRunning(deployment), 45_000)
  const open = await emptied(async () => openOffers((await venues.report()).answered), 45_000, 200)
  const unended = await emptied(() => Promise.resolve(withoutEnd(topics.records).map(({ text }) => text)), 20_000)
  const unread = await topics.caughtUp().then(
    () => [],
    (error: unknown) => [String(error)],
  )
  const missing = await emptied(() => missingInHistory(deployment), 10_000, 200)
  const report = await venues.report()
  const ends = await finals(deployment)
  const positions = brokenPositions(topics.records)
  const again = positions.filter((text) => text.includes('again'))
  const secondTimes = [...secondEnds(ends), ...(await secondDecisions(deployment))]
  const forgotten = unended.length === 0 ? [] : await nobodysWork(deployment)
  return {
    doubles: [...violationsOf(report, true), ...secondTimes, ...again],
    losses: [...forgotten, ...missing, ...positions.filter((text) => !again.includes(text)), ...(await halted(deployment))],
    stuck: [
      ...notBack,
      ...open,
      ...unended.filter((text) => !forgotten.includes(text)),
      ...unread,
      ...(await unpublished(deployment)),
      ...(await openEffects(deployment)),
      ...(await parked(deployment)),
    ],
    wrong: [
      ...violationsOf(report, false),
      ...untruths(report.answered, ends).filter((text) => !secondTimes.includes(text)),
      ...(await brokenChains(deployment)),
    ],
    counts: {
      demands: quotesIn(deployment, 'norm.swap_demand'),
      commands: quotesIn(deployment, 'cmd.execute_trade'),
      answered: report.answered.length,
      records: topics.records.length,
    },
  }
}

/** Services that do not say that they run, and lanes that nobody holds. */
export const notRunning = async (deployment: Deployment): Promise<string[]> => {
  const asked = SERVICES.map(async (service) => {
    const control = deployment.control(service)
    return (await control.ready()) ? [] : [`${service} is not ready`]
  })
  const orphans = deployment.query<{ service: string; lane: number }>(
    `SELECT l.service, l.lane FROM unrip.lane l LEFT JOIN unrip.process p ON p.process = l.owner AND p.expires_at > clock_timestamp()
     WHERE p.process IS NULL ORDER BY l.service, l.lane`,
  )
  return [...(await Promise.all(asked)).flat(), ...(await orphans).map(({ service, lane }) => `lane ${service}/${lane} has no owner`)]
}

const violationsOf = ({ violations }: VenueReport, twice: boolean): string[] =>
  violations
    .filter(({ code }) => TWICE.includes(code) === twice)
    .map(({ code, quote_id, detail }) => `${quote_id}: the venue counts ${code}: ${detail}`)

const secondDecisions = async ({ query }: Deployment): Promise<string[]> => {
  const rows = await query<{ what: string; quote_id: string; times: number }>(`
    SELECT 'decisions' AS what, quote_id, count(*)::int AS times FROM trade_decisions GROUP BY quote_id HAVING count(*) > 1
    UNION ALL SELECT 'commands', quote_id, count(*)::int FROM execute_trade_commands GROUP BY quote_id HAVING count(*) > 1`)
  return rows.map(({ what, quote_id, times }) => `${quote_id}: ${times} ${what}`)
}

const quotesIn = ({ topics }: Deployment, topic: string): number =>
  new Set(topics.records.filter((record) => record.topic === topic).map((record) => envelopeOf(record).payload['quote_id'])).size

/** Of what has no end: what its service has read, and has no living actor for. */
const nobodysWork = async ({ topics, query }: Deployment): Promise<string[]> => {
  const inputs = await query<{ topic: string; lane: number; next: string }>(
    `SELECT topic, lane, next FROM unrip.input WHERE (service, topic) IN (('strategy-engine', 'norm.swap_demand'), ('trade-executor', 'cmd.execute_trade'))`,
  )
  const living = new Set(
    (await query<{ key: string }>(`SELECT key FROM unrip.actor WHERE kind IN ('quote', 'command') AND status = 'a'`)).map(({ key }) => key),
  )
  return withoutEnd(topics.records)
    .filter(({ record, actor }) => {
      const input = inputs.find(({ topic, lane }) => topic === record.topic && lane === record.partition)
      return input !== undefined && Number(input.next) > record.offset && !living.has(actor)
    })
    .map(({ text }) => text)
}

const halted = async ({ query }: Deployment): Promise<string[]> =>
  (
    await query<{ service: string; lane: number; why: string }>(
      'SELECT service, lane, halted::text AS why FROM unrip.lane WHERE halted IS NOT NULL',
    )
  ).map(({ service, lane, why }) => `lane ${service}/${lane} has halted: ${why}`)

const parked = async ({ query }: Deployment): Promise<string[]> =>
  (await query<{ service: string; kind: string; key: string; cause: string }>('SELECT service, kind, key, cause FROM unrip.parked')).map(
    ({ service, kind, key, cause }) => `${service} ${kind}/${key} is parked: ${cause}`,
  )

/** What is committed now has to be published soon; feeds never stop, so there is always something newer. */
const unpublished = async ({ query }: Deployment): Promise<string[]> => {
  const committed = await query<{ service: string; lane: number; batch: string }>(
    `SELECT service, lane, max(batch) AS batch FROM unrip.outbox WHERE blob IS NOT NULL GROUP BY service, lane`,
  )
  return emptied(async () => {
    const lanes = await query<{ service: string; lane: number; published: string }>('SELECT service, lane, published FROM unrip.lane')
    return committed
      .filter(({ service, lane, batch }) => {
        const row = lanes.find((one) => one.service === service && one.lane === lane)
        return row === undefined || BigInt(row.published) < BigInt(batch)
      })
      .map(({ service, lane, batch }) => `lane ${service}/${lane} has not published its batch ${batch}`)
  }, 15_000)
}

/** What may have been sent to a venue and is not known to have ended; reads come and go. */
const openEffects = ({ query }: Deployment): Promise<string[]> =>
  emptied(
    async () =>
      (
        await query<{ service: string; effect: string; name: string; state: string }>(
          `SELECT service, effect, name, state FROM unrip.effect WHERE mode = 'a' AND state IN ('p', 'u')`,
        )
      ).map(
        ({ service, effect, name, state }) => `${service}: effect ${name} ${effect} is still ${state === 'u' ? 'uncertain' : 'pending'}`,
      ),
    20_000,
  )
