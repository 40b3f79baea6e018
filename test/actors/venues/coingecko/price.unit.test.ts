import { afterEach, describe, expect, it } from 'vitest'
import { fetchPrice } from '#actors/venues/coingecko/price.ts'
import fixture from '#test/fixtures/coingecko/simple-price.json' with { type: 'json' }
import { httpServer, reply } from '../servers.ts'
import type { Handler } from '../servers.ts'

const { bodies } = fixture

const cleanUps: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

const serve = async (handle: Handler) => {
  const server = await httpServer(handle)
  cleanUps.push(server.stop)
  return server
}

describe('the price of CoinGecko', () => {
  it.each([
    ['normal', '57123.412345678901234'],
    ['whole', '57123'],
    ['exponent', '0.00000012'],
  ] as const)('keeps every digit: %s', async (name, eur) => {
    const server = await serve(reply(200, bodies[name]))
    expect(await fetchPrice({ url: `${server.url}/api/v3/` })).toEqual({ kind: 'price', eur, last_updated_at_ms: 1_789_000_000_000 })
    expect(server.requests[0]?.url).toBe('/api/v3/simple/price?ids=bitcoin&vs_currencies=eur&include_last_updated_at=true&precision=full')
  })

  it.each([
    ['null_price', 'the price is null'],
    ['no_currency', 'no bitcoin in eur'],
    ['no_time', 'no last_updated_at'],
    ['null_time', 'no last_updated_at'],
    ['zero', 'not a price above zero'],
    ['negative', 'not a price above zero'],
    ['empty', 'no bitcoin in eur'],
    ['array', 'the answer has another shape'],
  ] as const)('is none with %s', async (name, reason) => {
    const server = await serve(reply(200, bodies[name]))
    expect(await fetchPrice({ url: server.url })).toEqual({ kind: 'no_price', reason })
  })

  it('is rate limited with the wait that the venue asks for, in seconds or as a date, or null', async () => {
    const server = await serve(reply(429, 'Throttled', { 'retry-after': '7' }))
    expect(await fetchPrice({ url: server.url })).toEqual({ kind: 'rate_limited', retryAfterMs: 7_000 })
    server.handle = reply(429, '')
    expect(await fetchPrice({ url: server.url })).toEqual({ kind: 'rate_limited', retryAfterMs: null })
    server.handle = reply(429, '', { 'retry-after': 'soon' })
    expect(await fetchPrice({ url: server.url })).toEqual({ kind: 'rate_limited', retryAfterMs: null })
    server.handle = reply(429, '', { 'retry-after': new Date(Date.now() + 60_000).toUTCString() })
    const dated = await fetchPrice({ url: server.url })
    expect(dated.kind === 'rate_limited' && dated.retryAfterMs).toBeGreaterThan(55_000)
  })

  it.each<[string, Handler, string]>([
    ['a firewall', reply(403, bodies.html), 'HTTP 403'],
    ['a key on the wrong host', reply(400, bodies.wrong_host), 'HTTP 400, code 10011'],
    ['an outage', reply(503, ''), 'HTTP 503'],
    ['HTML with 200', reply(200, bodies.html), 'HTTP 200 without JSON'],
    ['a redirect', reply(301, '', { location: 'http://127.0.0.1:9' }), 'HTTP 301'],
    ['silence', () => {}, 'timeout'],
  ])('is an error as a value: %s', async (_name, handle, text) => {
    const server = await serve(handle)
    expect(await fetchPrice({ url: server.url, timeoutMs: text === 'timeout' ? 100 : 5_000 })).toEqual({ kind: 'error', text })
  })

  it('is an error as a value when nobody listens, the URL is none, or the caller gave up', async () => {
    const server = await serve(() => {})
    expect(await fetchPrice({ url: server.url, signal: AbortSignal.abort() })).toEqual({ kind: 'error', text: 'aborted' })
    expect(await fetchPrice({ url: 'http://127.0.0.1:9' })).toEqual({ kind: 'error', text: 'network' })
    expect(await fetchPrice({ url: 'nowhere' })).toEqual({ kind: 'error', text: 'network' })
  })

  it('is asked for with the key in the header of its plan, never in the URL', async () => {
    const server = await serve(reply(200, bodies.normal))
    const seen = async (keys: { demoKey?: string; proKey?: string }) => {
      await fetchPrice({ url: server.url, ...keys })
      const request = server.requests.at(-1)
      expect(request?.url).not.toMatch(/demo-1|pro-1/)
      return { demo: request?.headers['x-cg-demo-api-key'], pro: request?.headers['x-cg-pro-api-key'] }
    }
    expect(await seen({})).toEqual({ demo: undefined, pro: undefined })
    expect(await seen({ demoKey: 'demo-1' })).toEqual({ demo: 'demo-1', pro: undefined })
    expect(await seen({ proKey: 'pro-1' })).toEqual({ demo: undefined, pro: 'pro-1' })
    expect(await seen({ demoKey: 'demo-1', proKey: 'pro-1' })).toEqual({ demo: 'demo-1', pro: undefined })
  })

  it('is asked for with the pro key on the pro host when there are two keys', async () => {
    const asked: Array<Record<string, string>> = []
    const answer: typeof fetch = async (_url, init) => {
      asked.push(init?.headers as Record<string, string>)
      return new Response(bodies.normal)
    }
    await fetchPrice({ url: 'https://pro-api.coingecko.com/api/v3', demoKey: 'demo-1', proKey: 'pro-1', fetch: answer })
    expect(asked).toEqual([{ accept: 'application/json', 'x-cg-pro-api-key': 'pro-1' }])
  })
})
