import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { numberOf } from './faults.ts'
import type { Faults } from './faults.ts'
import { guarded, sendJson, sendText } from './http.ts'
import type { Market } from './market.ts'
import type { Timers } from './timers.ts'

/** CoinGecko's `/simple/price`: one float a coin, cached at the edge, with the second of its last update. */
export class CoinGecko {
  readonly server: Server
  cacheMs = 60_000
  calls = 0
  #cached: { readonly at: number; readonly bitcoin: number } | undefined
  readonly #faults: Faults
  readonly #market: Market
  readonly #timers: Timers
  readonly #now: () => number

  constructor(parts: { readonly market: Market; readonly faults: Faults; readonly timers: Timers; readonly now: () => number }) {
    this.#faults = parts.faults
    this.#market = parts.market
    this.#timers = parts.timers
    this.#now = parts.now
    this.server = createServer(guarded((request, response) => this.#handle(request, response)))
  }

  /** The next request reads the market anew. */
  forget(): void {
    this.#cached = undefined
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.calls += 1
    const timeout = this.#faults.hit('coingecko.timeout')
    if (timeout) await new Promise<void>((resolve) => this.#timers.after(numberOf(timeout.value, 60_000), resolve))
    const fault = this.#faults.hit('coingecko.status')
    if (fault) return this.#refuse(response, numberOf(fault.value, 429))
    const body = this.#faults.hit('coingecko.body')
    if (body) return sendText(response, 200, String(body.value ?? '{}'))
    const url = new URL(request.url ?? '/', 'http://coingecko')
    if (url.pathname !== '/api/v3/simple/price')
      return sendJson(response, 404, { error: 'Incorrect path. Please check https://www.coingecko.com/api/' })
    if (!url.searchParams.has('vs_currencies')) return sendJson(response, 422, { error: 'Missing parameter vs_currencies' })
    sendJson(response, 200, this.#prices(url.searchParams))
  }

  #refuse(response: ServerResponse, status: number): void {
    if (status === 429)
      return sendText(
        response,
        429,
        JSON.stringify({ status: { error_code: 429, error_message: "You've exceeded the Rate Limit." } }),
        'application/json',
        {
          'retry-after': '5',
        },
      )
    sendText(response, status, '<html><title>Attention Required</title></html>', 'text/html')
  }

  #prices(query: URLSearchParams): Record<string, Record<string, number>> {
    const now = this.#now()
    if (!this.#cached || now - this.#cached.at >= this.cacheMs) this.#cached = { at: now, bitcoin: this.#market.midEur }
    const stale = this.#faults.hit('coingecko.stale')
    const updatedAt = Math.floor(this.#cached.at / 1_000) - (stale ? numberOf(stale.value, 600) : 0)
    const known: Record<string, number> = { bitcoin: this.#cached.bitcoin, 'monerium-eur-money-2': 1 }
    const result: Record<string, Record<string, number>> = {}
    for (const id of list(query.get('ids'))) {
      const price = known[id]
      if (price === undefined) continue
      result[id] = {
        ...(list(query.get('vs_currencies')).includes('eur') && { eur: price }),
        ...(query.get('include_last_updated_at') === 'true' && { last_updated_at: updatedAt }),
      }
    }
    return result
  }
}

const list = (text: string | null): readonly string[] => (text ?? '').split(',').filter((item) => item !== '')
