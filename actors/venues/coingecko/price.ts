import { z } from 'zod'
import { httpRequest } from '../http.ts'
import type { HttpAnswer, HttpOptions } from '../http.ts'
import { parseExact, plainDecimal } from '../json.ts'

export type PriceOptions = {
  /** up to and without `/simple/price`, for instance `https://api.coingecko.com/api/v3` */
  url: string
  demoKey?: string | undefined
  proKey?: string | undefined
  signal?: AbortSignal | undefined
  /** 2,000 unless told */
  timeoutMs?: number
  fetch?: HttpOptions['fetch']
}

export type PriceAnswer =
  /** EUR for one BTC as a plain decimal string. The venue's caches make it 20 to 120 s old on arrival, so its own time counts. */
  | { kind: 'price'; eur: string; last_updated_at_ms: number }
  | { kind: 'no_price'; reason: string }
  /** `retryAfterMs` is null when the venue does not say */
  | { kind: 'rate_limited'; retryAfterMs: number | null }
  | { kind: 'error'; text: string }

/**
 * Asks once for BTC in EUR. A venue's fault is a value; nothing is thrown. Every request counts against the plan, failed ones too.
 * @see docs.coingecko.com simple/price, errors and rate limits (2026)
 */
export const fetchPrice = async (options: PriceOptions): Promise<PriceAnswer> => {
  const url = `${options.url.replace(/\/$/, '')}/simple/price?ids=bitcoin&vs_currencies=eur&include_last_updated_at=true&precision=full`
  const limits = { timeoutMs: options.timeoutMs ?? 2_000, signal: options.signal, fetch: options.fetch }
  const answer = await httpRequest(url, { headers: { accept: 'application/json', ...keyHeader(options) } }, limits)
  if (answer.kind === 'unreachable') return { kind: 'error', text: answer.reason }
  if (answer.status === 429) return { kind: 'rate_limited', retryAfterMs: retryAfterMs(answer.headers.get('retry-after')) }
  if (answer.status !== 200) return { kind: 'error', text: `HTTP ${answer.status}${venueCode(answer)}` }
  const body = parseExact(answer.text)
  return body === undefined ? { kind: 'error', text: 'HTTP 200 without JSON' } : readPrice(body)
}

/** In a header and not in the URL, where logs would keep it. A key on the other plan's host is refused, so with two the host decides. */
const keyHeader = ({ url, demoKey, proKey }: PriceOptions): Record<string, string> => {
  const usePro = proKey !== undefined && (demoKey === undefined || /^https?:\/\/pro-api\./.test(url))
  if (usePro) return { 'x-cg-pro-api-key': proKey }
  return demoKey === undefined ? {} : { 'x-cg-demo-api-key': demoKey }
}

/** An unknown coin is a 200 with its key absent; a coin without recent data has null. */
const readPrice = (body: unknown): PriceAnswer => {
  const read = Body.safeParse(body)
  if (!read.success) return { kind: 'no_price', reason: 'the answer has another shape' }
  const coin = read.data.bitcoin
  if (coin?.eur === undefined) return { kind: 'no_price', reason: 'no bitcoin in eur' }
  if (coin.eur === null) return { kind: 'no_price', reason: 'the price is null' }
  const eur = plainDecimal(coin.eur)
  if (eur === null || eur.startsWith('-') || !/[1-9]/.test(eur)) return { kind: 'no_price', reason: 'not a price above zero' }
  if (coin.last_updated_at == null || !/^\d{1,11}$/.test(coin.last_updated_at)) return { kind: 'no_price', reason: 'no last_updated_at' }
  return { kind: 'price', eur, last_updated_at_ms: Number(coin.last_updated_at) * 1_000 }
}

const Body = z.object({ bitcoin: z.object({ eur: z.string().nullish(), last_updated_at: z.string().nullish() }).optional() })

/** Seconds or an HTTP date. */
const retryAfterMs = (header: string | null): number | null => {
  if (header === null) return null
  if (/^\d{1,6}$/.test(header.trim())) return Number(header) * 1_000
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now())
}

const ErrorBody = z.object({ status: z.object({ error_code: z.string() }) })

/** CoinGecko's own code: 10002 no key, 10010 and 10011 a key on the wrong host, 1020 blocked by its firewall. */
const venueCode = ({ text }: Extract<HttpAnswer, { kind: 'answer' }>): string => {
  const read = ErrorBody.safeParse(parseExact(text))
  return read.success ? `, code ${read.data.status.error_code.slice(0, 20)}` : ''
}
