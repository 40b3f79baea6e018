import { afterEach, describe, expect, it } from 'vitest'
import { bridgeClient, BridgeError } from '#actors/venues/near-intents/bridge.ts'
import fixture from '#test/fixtures/near-intents/bridge-messages.json' with { type: 'json' }
import { httpServer, reply } from '../servers.ts'
import type { Handler } from '../servers.ts'

const ACCOUNT = 'solver.example.near'
const EURE = 'gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near'

const cleanUps: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

const serve = async (handle: Handler, timeoutMs = 5_000) => {
  const server = await httpServer(handle)
  cleanUps.push(server.stop)
  return { server, bridge: bridgeClient({ url: `${server.url}/rpc`, timeoutMs }) }
}

const message = (name: string) => {
  const found = fixture.messages.find((each) => each.name.startsWith(name))
  if (found === undefined) throw new Error(`no fixture ${name}`)
  return found
}

const caught = async (promise: Promise<unknown>): Promise<BridgeError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof BridgeError) return error
  throw new Error(`expected a BridgeError, not ${String(error)}`)
}

describe('recorded messages of the bridge', () => {
  it('supported_tokens: asked as recorded; both BTC ids and EURe are read', async () => {
    const recorded = message('supported_tokens rows').response as { result: { tokens: object[] } }
    const tokens = [...recorded.result.tokens, message('supported_tokens row for EURe').response_row]
    const { server, bridge } = await serve(reply(200, { ...recorded, result: { tokens } }))
    expect(await bridge.supportedTokens(['btc:mainnet', 'eth:100'])).toEqual(tokens)
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual(message('supported_tokens request').request)
    expect(server.requests[0]?.url).toBe('/rpc')
  })

  it('deposit_address', async () => {
    const { request, response } = message('deposit_address')
    const { server, bridge } = await serve(reply(200, response))
    const address = await bridge.depositAddress({ account_id: ACCOUNT, chain: 'btc:mainnet' })
    expect(address).toEqual({ address: 'bc1qexampleexampleexampleexampleexampleexam', chain: 'btc:mainnet', memo: null })
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual(request)
  })

  it('recent_deposits: the real record is completed, its amount a string', async () => {
    const { server, bridge } = await serve(reply(200, message('recent_deposits real').response))
    const query = { account_id: ACCOUNT, chain: 'eth:100', status: 'PENDING', limit: 20, offset: 0 }
    expect(await bridge.recentDeposits(query)).toMatchObject({
      rows: [{ amount: '10000000', decimals: 9, status: 'COMPLETED', mint_tx_hash: null, near_token_id: 'sol.omft.near' }],
      unreadable: [],
      total: 1,
    })
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual(message('recent_deposits request').request)
  })

  it('recent_deposits: an amount beyond 2^53 keeps every digit', async () => {
    const { raw_text, expect_amount } = message('recent_deposits raw text')
    const { bridge } = await serve(reply(200, raw_text))
    const { rows } = await bridge.recentDeposits({ account_id: ACCOUNT })
    expect(rows[0]).toMatchObject({ amount: expect_amount, near_token_id: EURE, status: 'PENDING', decimals: 18 })
  })

  it.each(['withdrawal_status as the SDK parses it', 'withdrawal_status as the docs print it'])('%s', async (name) => {
    const { bridge } = await serve(reply(200, message(name).response))
    expect(await bridge.withdrawalStatus('8yFNEk7GmRcM3NMJihwCKXt8ZANLpL2koVFWWH1MEEj')).toMatchObject({
      kind: 'found',
      rows: [{ status: 'COMPLETED', amount: '1000000000000000', transfer_tx_hash: '0xabc', created_at: '2026-11-20T10:00:00.000Z' }],
      unreadable: [],
    })
  })

  it('withdrawal_status: "not found" is transient, not an outcome', async () => {
    const { bridge } = await serve(reply(200, message('withdrawal_status not indexed').response))
    expect(await bridge.withdrawalStatus('h')).toEqual({ kind: 'not_indexed' })
  })
})

describe('rows', () => {
  const deposit = { tx_hash: '0x1', near_token_id: EURE, decimals: 18, amount: 5, status: 'PENDING' }
  const deposits = (...rows: object[]) => reply(200, { jsonrpc: '2.0', id: 1, result: { deposits: rows, total: rows.length } })

  it.each([
    ['CREDITED', 'CREDITED'],
    ['failed', 'FAILED'],
    ['REORGED', 'PENDING'],
  ])('with the status %s are %s, the venue’s own word beside it', async (venue_status, status) => {
    const { bridge } = await serve(deposits({ ...deposit, status: venue_status }))
    expect((await bridge.recentDeposits({ account_id: ACCOUNT })).rows).toMatchObject([{ status, venue_status }])
  })

  it.each([
    ['5', '5'],
    ['1e21', '1000000000000000000000'],
    ['"7"', '7'],
  ])('with the amount %s have %s base units', async (written, units) => {
    const { bridge } = await serve(
      reply(200, JSON.stringify({ result: { deposits: [{ ...deposit, amount: '@' }] } }).replace('"@"', written)),
    )
    expect(await bridge.recentDeposits({ account_id: ACCOUNT })).toMatchObject({ rows: [{ amount: units }], total: 1 })
  })

  it('that cannot be read are handed on beside those that can', async () => {
    const { bridge } = await serve(deposits(deposit, { ...deposit, amount: 1.5 }, { ...deposit, amount: -1 }, { tx_hash: 'only' }))
    const { rows, unreadable } = await bridge.recentDeposits({ account_id: ACCOUNT })
    expect(rows).toHaveLength(1)
    expect(unreadable).toHaveLength(3)
    expect(unreadable[0]?.row).toContain('1.5')
    expect(unreadable[0]?.reason).toContain('not base units')
  })

  it('of withdrawals have their unknown status as pending', async () => {
    const data = { tx_hash: 'h', near_token_id: EURE, decimals: 18, amount: 3, withdrawal_fee: '1000', withdraw_amount: '2' }
    const { bridge } = await serve(reply(200, { result: { withdrawals: [{ status: 'QUEUED', data }] } }))
    expect(await bridge.recentWithdrawals({ account_id: ACCOUNT })).toMatchObject({
      rows: [{ status: 'PENDING', venue_status: 'QUEUED', amount: '3', withdrawal_fee: '1000' }],
    })
  })
})

describe('faults of the bridge', () => {
  it.each<[string, Handler, string, string]>([
    ['a string', reply(200, { error: 'unsupported chain' }), 'REFUSED', 'unsupported chain'],
    ['an object', reply(400, { error: { code: -32602, message: 'bad params' } }), 'REFUSED', 'bad params'],
    ['500', reply(500, { error: 'boom' }), 'UNAVAILABLE', 'HTTP 500'],
    ['429', reply(429, ''), 'UNAVAILABLE', 'HTTP 429'],
    ['HTML', reply(200, '<html>'), 'MALFORMED', 'without a JSON-RPC answer'],
    ['another shape', reply(200, { result: { tokens: 'none' } }), 'MALFORMED', 'tokens'],
    ['silence', () => {}, 'UNAVAILABLE', 'timeout'],
  ])('%s', async (_name, handle, code, text) => {
    const { bridge } = await serve(handle, text === 'timeout' ? 100 : 5_000)
    const error = await caught(bridge.supportedTokens())
    expect(error).toMatchObject({ code, method: 'supported_tokens' })
    expect(error.text).toContain(text)
  })

  it('are ABORTED when the caller gives up', async () => {
    const { bridge } = await serve(() => {})
    expect(await caught(bridge.supportedTokens([], { signal: AbortSignal.abort() }))).toMatchObject({ code: 'ABORTED' })
  })

  it('other than "not found" are thrown by withdrawal_status too', async () => {
    const { bridge } = await serve(reply(200, { error: 'internal' }))
    expect(await caught(bridge.withdrawalStatus('h'))).toMatchObject({ code: 'REFUSED', text: 'internal' })
  })
})
