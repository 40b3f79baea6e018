import type { Clock, Log } from '#actors/runtime/ports.ts'
import type { HostState } from '#control/host-view.ts'
import { armedIn } from '#control/telemetry/state-metrics.ts'

const LOOK_EVERY_MS = 1_000

/** What the age of an input is about, where it has a name of its own in the log; the rest is `input.stale` and `input.fresh`. */
const ABOUT: Readonly<Record<string, readonly [stale: string, fresh: string]>> = {
  kraken: ['price.stale', 'price.fresh'],
  coingecko: ['price.stale', 'price.fresh'],
  price: ['price.stale', 'price.fresh'],
  verifier: ['inventory.stale', 'inventory.recovered'],
  inventory: ['inventory.stale', 'inventory.recovered'],
}
const BLOCKS: Readonly<Record<string, readonly [blocked: string, unblocked: string]>> = {
  KAFKA_UNREACHABLE: ['kafka.lost', 'kafka.recovered'],
}
/** The lease tells of the database, at once. */
const TOLD_ELSEWHERE = new Set(['DATABASE_UNREACHABLE'])

/**
 * Looks at `/state` once a second and logs what has changed in it: an input gone stale or fresh again, a reason to be blocked that came
 * or went, armed or disarmed, another phase of life. So that the log and `/state` never say different things.
 * @returns stops it
 */
export const watchState = (describe: () => Promise<HostState>, clock: Pick<Clock, 'after'>, log: Log): (() => void) => {
  let before: HostState | null = null
  let cancel = (): void => {}
  let isOver = false
  const look = async (): Promise<void> => {
    const state = await describe()
    tellChanges(before, state, log)
    before = state
  }
  const again = (): void => {
    if (isOver) return
    cancel = clock.after(LOOK_EVERY_MS, () => {
      look()
        .catch((error: unknown) => log.error({ event: 'state.not_described', error }, 'the state cannot be told'))
        .finally(again)
    })
  }
  again()
  return () => {
    isOver = true
    cancel()
  }
}

/** @param before null: the first look, at which only what blocks is news */
export const tellChanges = (before: HostState | null, state: HostState, log: Log): void => {
  for (const [input, { stale, age_ms }] of Object.entries(state.inputs)) {
    const was = before?.inputs[input]?.stale
    if (was === undefined || was === stale) continue
    const [event, freshEvent] = ABOUT[input] ?? ['input.stale', 'input.fresh']
    if (stale) log.warn({ event, input, age_ms, price_freshness_ms: event.startsWith('price') ? age_ms : undefined }, `${input} is stale`)
    else log.info({ event: freshEvent, input, age_ms }, `${input} is fresh again`)
  }
  const codes = new Map(state.blocked.map((each) => [each.code, each]))
  const known = new Set(before?.blocked.map(({ code }) => code))
  for (const [code, { detail, since }] of codes)
    if (!known.has(code) && !TOLD_ELSEWHERE.has(code)) log.warn({ event: BLOCKS[code]?.[0] ?? 'state.blocked', code, since }, detail)
  for (const code of known)
    if (!codes.has(code) && !TOLD_ELSEWHERE.has(code)) log.info({ event: BLOCKS[code]?.[1] ?? 'state.unblocked', code }, `${code} is over`)
  if (before && before.lifecycle !== state.lifecycle)
    log.info({ event: 'state.lifecycle', from: before.lifecycle, to: state.lifecycle }, `${before.lifecycle}, now ${state.lifecycle}`)
  tellArm(before, state, log)
}

/** `strategy.armed`, `executor.disarmed` and so on. */
const tellArm = (before: HostState | null, state: HostState, log: Log): void => {
  const [was, armed] = [before && armedIn(before), armedIn(state)]
  if (was === armed || armed === null || (was === null && !armed)) return
  const about = 'strategy' in state ? 'strategy' : 'executor'
  const why = armed ? 'side effects are allowed' : (state.blocked.find(({ code }) => code === 'NOT_ARMED')?.detail ?? 'no reason is known')
  const event = `${about}.${armed ? 'armed' : 'disarmed'}`
  if (armed) log.info({ event, component: 'arm' }, why)
  else log.warn({ event, component: 'arm' }, why)
}
