import { Auctions } from './auctions.ts'
import { keyPairFromSeed } from './crypto.ts'
import { Faults } from './faults.ts'
import { Ledger } from './ledger.ts'
import { Market } from './market.ts'
import { Random } from './random.ts'
import { Referee } from './referee.ts'
import { Settlement } from './settlement.ts'
import type { WorldState } from './state-file.ts'
import { Timers } from './timers.ts'
import { BTC_NBTC, BTC_OMFT, EURE, SOLVER, SOLVER_SEED, TAKER, USDC, WNEAR } from './tokens.ts'
import { Traffic } from './traffic.ts'

/** Balances that flows of a few EURe do not exhaust: 0.02 BTC of each id, 1500 EURe. */
const SOLVER_START: Record<string, bigint> = { [BTC_OMFT]: 2_000_000n, [BTC_NBTC]: 2_000_000n, [EURE]: 1_500n * 10n ** 18n }
const TAKER_START: Record<string, bigint> = {
  [BTC_OMFT]: 10n ** 12n,
  [BTC_NBTC]: 10n ** 12n,
  [EURE]: 10n ** 28n,
  [USDC]: 10n ** 15n,
  [WNEAR]: 10n ** 32n,
}

export interface World {
  readonly now: () => number
  readonly timers: Timers
  readonly faults: Faults
  readonly ledger: Ledger
  readonly market: Market
  readonly referee: Referee
  readonly settlement: Settlement
  readonly auctions: Auctions
  /** Off until it is set. */
  readonly traffic: Traffic
}

/** Everything that happens behind the wires: ledger, price, auctions, takers, referee. Funded, with blocks enough for `final` reads. */
export const createWorld = (options: {
  readonly seed: number
  readonly rate: number
  readonly balanceScale: number
  readonly state?: WorldState | undefined
}): World => {
  const { seed, rate, balanceScale, state } = options
  const now = (): number => Date.now()
  const timers = new Timers()
  const faults = new Faults(new Random(seed + 1))
  const ledger = new Ledger({ now, state: state?.ledger })
  const market = new Market(new Random(seed + 2), now)
  const referee = new Referee(ledger, market, timers)
  const settlement = new Settlement({ ledger, referee, timers, random: new Random(seed + 3) })
  const auctions = new Auctions({ ledger, market, referee, faults, timers, settlement })
  if (!state) fund(ledger, balanceScale)
  for (let block = 0; block < 4; block += 1) ledger.produceBlock()
  const traffic = new Traffic({ auctions, ledger, market, timers, random: new Random(seed), rate, on: false })
  return { now, timers, faults, ledger, market, referee, settlement, auctions, traffic }
}

const fund = (ledger: Ledger, scale: number): void => {
  ledger.setKey(SOLVER, keyPairFromSeed(SOLVER_SEED).publicKey, true)
  for (const [token, units] of Object.entries(SOLVER_START))
    ledger.mint(SOLVER, token, (units * BigInt(Math.round(scale * 1_000))) / 1_000n)
  for (const [token, units] of Object.entries(TAKER_START)) ledger.mint(TAKER, token, units)
}
