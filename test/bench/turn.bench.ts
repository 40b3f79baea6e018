/**
 * `npm run bench -- turn`: nanoseconds of one turn in memory, of XState's own `transition()` for the same events, and of
 * storing and loading. One core, nothing committed.
 */
import { initialTransition, transition } from 'xstate'
import type { AnyMachineSnapshot } from 'xstate'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import { priceReferenceMachine } from '#machines/price-reference/machine.ts'
import { median } from './cpu.ts'

const TURNS = 20_000
const ROUNDS = 7
const NOW = 1_800_000_000_000

const machine = runnable(priceReferenceMachine, 1)
const configured = {
  type: 'configured',
  pair: 'BTC/EURe',
  poll_ms: 60_000,
  quiet_max_ms: 60_000,
  coingecko_max_age_ms: 180_000,
  conflict_bps: 75,
  now: NOW,
  id: 'i:0',
  cause: null,
}
const events = Array.from({ length: TURNS }, (_, n) => ({
  type: 'kraken.ticker',
  bid: `${60_000 + (n % 7)}.1`,
  ask: `${60_010 + (n % 5)}`,
  at: NOW + n,
  venue_at: null,
  now: NOW + n,
  id: `i:${n}`,
  cause: null,
}))

const nanos = (work: () => void): number => {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const started = process.hrtime.bigint()
    work()
    return Number(process.hrtime.bigint() - started) / TURNS
  })
  return Math.round(median(rounds))
}

const ours = nanos(() => {
  let { state } = machine.turn(machine.begin(undefined).state, configured)
  for (const event of events) state = machine.turn(state, event).state
})
const theirs = nanos(() => {
  let snapshot = transition(
    priceReferenceMachine,
    initialTransition(priceReferenceMachine)[0],
    configured as never,
  )[0] as AnyMachineSnapshot
  for (const event of events) snapshot = transition(priceReferenceMachine, snapshot as never, event as never)[0] as AnyMachineSnapshot
})
const { state } = machine.turn(machine.begin(undefined).state, configured)
const bytes = machine.store(state, 1)
const stored = nanos(() => {
  for (let n = 0; n < TURNS; n++) machine.store(state, n)
})
const loaded = nanos(() => {
  for (let n = 0; n < TURNS; n++) machine.load(bytes)
})

process.stdout.write(
  `a turn ${ours} ns, transition() ${theirs} ns, store ${stored} ns, load ${loaded} ns (${bytes.length} bytes; price reference, every event a change and a record)\n`,
)
