import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { z } from 'zod'
import { AuctionOrder } from './auctions.ts'
import type { Auctions } from './auctions.ts'
import { DepositOrder } from './bridge.ts'
import type { Bridge } from './bridge.ts'
import type { CoinGecko } from './coingecko.ts'
import { FaultOrder } from './faults.ts'
import type { Faults } from './faults.ts'
import { guarded, readBody, sendJson } from './http.ts'
import type { Ledger } from './ledger.ts'
import type { Market } from './market.ts'
import type { Referee } from './referee.ts'
import type { Relay } from './relay.ts'
import { auctionJson, latency, report } from './report.ts'
import { SOLVER } from './tokens.ts'
import type { Traffic } from './traffic.ts'

const Price = z.strictObject({ mid: z.number().positive(), coingecko: z.boolean().default(true) })
const SaltOrder = z.strictObject({ kill_old: z.boolean().default(false) })
const TrafficOrder = z.strictObject({ on: z.boolean(), rate: z.number().positive().max(1_000).optional() })
const Expect = z.strictObject({
  armed: z.boolean().optional(),
  threshold_bps: z.int().nonnegative().optional(),
  max_notional_eure: z
    .string()
    .regex(/^\d+(\.\d{1,18})?$/)
    .optional(),
  edge_window_ms: z.int().positive().optional(),
})
const Units = z.string().regex(/^\d{1,39}$/)
const account = z.string().default(SOLVER)
const Contract = z.discriminatedUnion('action', [
  z.strictObject({ action: z.enum(['lock', 'unlock']), account_id: account }),
  z.strictObject({ action: z.enum(['add_key', 'remove_key']), account_id: account, public_key: z.string() }),
  z.strictObject({ action: z.enum(['burn_nonce', 'forget_nonce']), account_id: account, nonce: z.string() }),
  z.strictObject({ action: z.enum(['mint', 'burn']), account_id: account, token_id: z.string(), amount: Units }),
  z.strictObject({ action: z.literal('fee'), pips: z.int().nonnegative().max(999_999) }),
  z.strictObject({ action: z.enum(['pause', 'unpause', 'forbid_legacy_nonces']) }),
])

export interface AdminParts {
  readonly auctions: Auctions
  readonly bridge: Bridge
  readonly coingecko: CoinGecko
  readonly faults: Faults
  readonly ledger: Ledger
  readonly market: Market
  readonly referee: Referee
  readonly relay: Relay
  readonly traffic: Traffic
}

/** The hand that turns the simulated world; routes and bodies are listed at the top of main.ts. */
export const adminServer = (parts: AdminParts): Server => createServer(guarded((request, response) => handle(parts, request, response)))

const handle = async (parts: AdminParts, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const url = new URL(request.url ?? '/', 'http://admin')
  const route = `${request.method} ${url.pathname}`
  try {
    const text = request.method === 'POST' ? await readBody(request) : ''
    const answer = run(parts, route, text === '' ? {} : JSON.parse(text), url.searchParams)
    sendJson(response, answer === undefined ? 404 : 200, answer ?? { error: `no route ${route}` })
  } catch (error) {
    if (error instanceof z.ZodError) return sendJson(response, 400, { error: z.prettifyError(error) })
    if (error instanceof SyntaxError || error instanceof RangeError) return sendJson(response, 400, { error: error.message })
    throw error
  }
}

const run = (parts: AdminParts, route: string, body: unknown, query: URLSearchParams): unknown => {
  const { auctions, bridge, coingecko, faults, ledger, market, referee, traffic } = parts
  switch (route) {
    case 'GET /report':
      return report(parts, Number(query.get('limit') ?? Number.POSITIVE_INFINITY))
    case 'GET /auction': {
      const auction = auctions.all.get(query.get('quote_id') ?? '')
      return auction && auctionJson(auction)
    }
    case 'GET /latency':
      return latency(auctions)
    case 'POST /latency/reset':
      auctions.latencies.length = 0
      return { ok: true }
    case 'POST /auction':
      return auctionJson(auctions.open(AuctionOrder.parse(body)))
    case 'GET /fault':
      return faults.list()
    case 'POST /fault':
      faults.order(FaultOrder.parse(body))
      return faults.list()
    case 'POST /fault/clear':
      faults.clear()
      return {}
    case 'POST /deposit':
      return bridge.deposit(DepositOrder.parse(body))
    case 'POST /salt':
      return { current_salt: ledger.rotateSalt(SaltOrder.parse(body).kill_old) }
    case 'POST /price': {
      const order = Price.parse(body)
      market.jumpTo(order.mid)
      if (order.coingecko) coingecko.forget()
      return price(market)
    }
    case 'GET /price':
      return price(market)
    case 'POST /traffic': {
      const order = TrafficOrder.parse(body)
      traffic.set(order.on, order.rate)
      return { on: traffic.on, rate: traffic.rate }
    }
    case 'POST /expect':
      return expect(referee, Expect.parse(body))
    case 'POST /contract':
      contract(ledger, Contract.parse(body))
      return { ok: true, height: ledger.head.height }
    default:
      return undefined
  }
}

const price = (market: Market): object => ({
  mid: market.midEur,
  bid_tenths: market.quote.bidTenths.toString(),
  ask_tenths: market.quote.askTenths.toString(),
})

const expect = (referee: Referee, order: z.infer<typeof Expect>): object => {
  const held = referee.expect
  if (order.armed !== undefined) held.armed = order.armed
  if (order.threshold_bps !== undefined) held.thresholdBps = BigInt(order.threshold_bps)
  if (order.edge_window_ms !== undefined) held.edgeWindowMs = order.edge_window_ms
  if (order.max_notional_eure !== undefined) {
    const [whole = '0', fraction = ''] = order.max_notional_eure.split('.')
    held.capUnits = BigInt(whole + fraction.padEnd(18, '0'))
  }
  return {
    armed: held.armed,
    threshold_bps: Number(held.thresholdBps),
    cap_units: held.capUnits.toString(),
    edge_window_ms: held.edgeWindowMs,
  }
}

const contract = (ledger: Ledger, order: z.infer<typeof Contract>): void => {
  switch (order.action) {
    case 'lock':
    case 'unlock':
      return ledger.setLocked(order.account_id, order.action === 'lock')
    case 'add_key':
    case 'remove_key':
      return ledger.setKey(order.account_id, order.public_key, order.action === 'add_key')
    case 'burn_nonce':
      return ledger.burnNonce(order.account_id, order.nonce)
    case 'forget_nonce':
      return void ledger.forgetNonce(order.account_id, order.nonce)
    case 'mint':
      return void ledger.mint(order.account_id, order.token_id, BigInt(order.amount))
    case 'burn':
      return void ledger.burn(order.account_id, order.token_id, BigInt(order.amount))
    case 'fee':
      ledger.feePips = BigInt(order.pips)
      return
    case 'pause':
    case 'unpause':
      ledger.paused = order.action === 'pause'
      return
    case 'forbid_legacy_nonces':
      ledger.legacyNoncesForbidden = true
  }
}
