import type { AuctionOrder } from '../simulators/auctions.ts'
import type { FaultOrder } from '../simulators/faults.ts'
import { BTC_NBTC, BTC_OMFT, EURE } from '../simulators/tokens.ts'

/** What the simulated venues know of one signed response; shapes and routes at the top of test/simulators/main.ts. */
export interface VenueAnswer {
  readonly quote_id: string
  readonly quote_hash: string
  readonly token_out: string
  readonly amount_in: string
  readonly amount_out: string
  readonly relay_said: 'OK' | 'error' | 'silence'
  readonly state: 'open' | 'settled' | 'expired_unused'
  readonly tx_hash?: string
  readonly settled_height?: number
}

export interface VenueAuction {
  readonly quote_id: string
  readonly outcome: string
  readonly responses: number
  readonly quote_hash: string | null
}

export interface VenueReport {
  readonly violations: readonly { readonly code: string; readonly quote_id: string; readonly detail: string }[]
  readonly auctions: number
  readonly open: number
  readonly balances: Readonly<Record<string, string>>
  readonly answered: readonly VenueAnswer[]
}

export interface VenueLatency {
  readonly broadcast: number
  readonly count: number
  readonly list: readonly number[]
}

export type Venues = ReturnType<typeof venuesAt>

/** The hand on the simulated venues. Every call throws where the venues refuse it. */
export const venuesAt = (adminUrl: string) => {
  const call = async (method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> => {
    const answer = await fetch(new URL(path, adminUrl), {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    })
    const said: unknown = await answer.json()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(said)}`)
    return said
  }
  return {
    report: async () => (await call('GET', '/report')) as VenueReport,
    auction: async (quoteId: string) => (await call('GET', `/auction?quote_id=${encodeURIComponent(quoteId)}`)) as VenueAuction,
    /** Opens an auction and answers its quote_id. */
    open: async (order: AuctionOrder) => ((await call('POST', '/auction', order)) as VenueAuction).quote_id,
    traffic: async (on: boolean, rate?: number) => void (await call('POST', '/traffic', { on, ...(rate === undefined ? {} : { rate }) })),
    fault: async (order: Pick<FaultOrder, 'name'> & Partial<FaultOrder>) => void (await call('POST', '/fault', order)),
    clearFaults: async () => void (await call('POST', '/fault/clear', {})),
    expectArmed: async (armed: boolean) => void (await call('POST', '/expect', { armed })),
    mid: async () => ((await call('GET', '/price')) as { mid: number }).mid,
    mint: async (token_id: string, amount: string) => void (await call('POST', '/contract', { action: 'mint', token_id, amount })),
    latency: async () => (await call('GET', '/latency')) as VenueLatency,
    resetLatency: async () => void (await call('POST', '/latency/reset', {})),
  }
}

export interface Side {
  readonly name: string
  readonly givesBtc: boolean
  readonly fixes: 'in' | 'out'
  readonly btc: string
}

/** Both directions, both fixed sides, both BTC ids. */
export const SIDES: readonly Side[] = [BTC_OMFT, BTC_NBTC].flatMap((btc) =>
  [true, false].flatMap((givesBtc) =>
    (['in', 'out'] as const).map((fixes) => ({
      name: `${givesBtc ? `${btc} to EURe` : `EURe to ${btc}`}, exact ${fixes}`,
      givesBtc,
      fixes,
      btc,
    })),
  ),
)

/** A request worth about `cents` of EURe at `mid` EUR per BTC. */
export const requestFor = ({ givesBtc, fixes, btc }: Side, cents: number, mid: number): AuctionOrder => {
  const amount = (fixes === 'in') === givesBtc ? String(Math.round((cents * 1e6) / mid)) : (BigInt(cents) * 10n ** 16n).toString()
  return {
    token_in: givesBtc ? btc : EURE,
    token_out: givesBtc ? EURE : btc,
    ...(fixes === 'in' ? { exact_amount_in: amount } : { exact_amount_out: amount }),
  }
}
