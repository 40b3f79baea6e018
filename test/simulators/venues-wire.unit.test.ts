import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Frames, post, rpc } from './frames.ts'
import type { Json } from './frames.ts'
import { startSimulators } from './start.ts'
import type { Simulators } from './start.ts'
import { BTC_NBTC, EURE, SOLVER } from './tokens.ts'

let simulators: Simulators
beforeAll(async () => {
  simulators = await startSimulators({ scenario: 'manual', blockMs: 50 })
})
afterAll(() => simulators.close())

const admin = async (path: string, body: unknown): Promise<Json> =>
  JSON.parse((await post(simulators.endpoints.admin_url + path, body)).text) as Json

describe('a NEAR node', () => {
  const view = async (method_name: string, args: unknown, finality = 'final', node = 0): Promise<Json> => {
    const args_base64 = Buffer.from(JSON.stringify(args)).toString('base64')
    const url = simulators.endpoints.near_rpc_urls.split(',')[node] ?? ''
    const { result } = await rpc(url, 'query', {
      request_type: 'call_function',
      finality,
      account_id: 'intents.near',
      method_name,
      args_base64,
    })
    return result as Json
  }
  const decoded = ({ result }: Json): unknown => JSON.parse(Buffer.from(result as number[]).toString())

  test('answers balances as byte values, with the block, final behind optimistic', async () => {
    const final = await view('mt_batch_balance_of', { account_id: SOLVER, token_ids: [BTC_NBTC, 'not-a-token'] })
    expect(decoded(final)).toEqual(['2000000', '0'])
    expect(final).toMatchObject({ logs: [], block_hash: expect.any(String) as string })
    const optimistic = await view('mt_balance_of', { account_id: SOLVER, token_id: BTC_NBTC }, 'optimistic')
    expect(Number(optimistic.block_height)).toBeGreaterThan(Number(final.block_height))
  })

  test('knows salt, fee, keys, nonces and the date of a block', async () => {
    expect(decoded(await view('current_salt', {}))).toBe('252812b3')
    expect(decoded(await view('fee', {}))).toBe(1)
    expect(decoded(await view('public_keys_of', { account_id: SOLVER }))).toEqual(['ed25519:9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj'])
    expect(decoded(await view('is_nonce_used', { account_id: SOLVER, nonce: Buffer.alloc(32).toString('base64') }))).toBe(false)
    const [url = ''] = simulators.endpoints.near_rpc_urls.split(',')
    const block = await rpc(url, 'block', { finality: 'final' })
    expect(block).toHaveProperty('result.header.timestamp_nanosec', expect.stringMatching(/^\d{19}$/))
  })

  test('a panic is a string in the result, or structured by fault; an unknown account is an error', async () => {
    expect((await view('mt_balance_of', { account_id: 5 })).error).toMatch(/GuestPanic \{ panic_msg: "JSON: /)
    await admin('/fault', { name: 'rpc.structured_panic', count: 1 })
    const [url = ''] = simulators.endpoints.near_rpc_urls.split(',')
    const params = { request_type: 'call_function', finality: 'final', account_id: 'intents.near', method_name: 'nothing', args_base64: '' }
    expect(await rpc(url, 'query', params)).toHaveProperty('error.cause.name', 'CONTRACT_EXECUTION_ERROR')
    expect(await rpc(url, 'query', { ...params, account_id: 'nope.near' })).toHaveProperty('error.cause.name', 'UNKNOWN_ACCOUNT')
  })

  test('a dead one leaves the other alone', async () => {
    await admin('/fault', { name: 'rpc.dead', node: 0 })
    await expect(view('fee', {})).rejects.toThrow('fetch failed')
    expect(decoded(await view('fee', {}, 'final', 1))).toBe(1)
    await admin('/fault/clear', {})
  })
})

describe('the bridge', () => {
  const call = async (method: string, params: unknown): Promise<string> =>
    (await post(simulators.endpoints.bridge_url, { jsonrpc: '2.0', id: 1, method, params: [params] })).text

  test('a deposit beyond 2^53 is a bare integer, pending first, then credited and minted', async () => {
    await admin('/deposit', { token_id: EURE, amount: '12345678901234567891', delay_ms: 100, tx_hash: '0x9b0c' })
    const recent = { account_id: SOLVER, chain: 'eth:100', limit: 20, offset: 0 }
    const pending = await call('recent_deposits', recent)
    expect(pending).toContain('"amount":12345678901234567891')
    expect(pending).toContain('"status":"PENDING"')
    const before = simulators.ledger.balance(SOLVER, EURE)
    await expect.poll(() => call('recent_deposits', recent)).toContain('"status":"CREDITED"')
    expect(simulators.ledger.balance(SOLVER, EURE) - before).toBe(12_345_678_901_234_567_891n)
  })

  test('lists both BTC ids, keeps an address, and errs with a plain string', async () => {
    const tokens = await call('supported_tokens', { chains: ['btc:mainnet'] })
    expect(tokens).toContain('nep141:nbtc.bridge.near')
    expect(tokens).toContain('nep141:btc.omft.near')
    expect(tokens).not.toContain('EURe')
    const address = await call('deposit_address', { account_id: SOLVER, chain: 'btc:mainnet' })
    expect(address).toMatch(/"address":"bc1q[02-9ac-hj-np-z]{38}"/)
    expect(await call('deposit_address', { account_id: SOLVER, chain: 'btc:mainnet' })).toBe(address)
    expect(JSON.parse(await call('withdrawal_status', { withdrawal_hash: 'none' }))).toHaveProperty('error', 'Withdrawals not found')
  })
})

describe('Kraken', () => {
  test('tells its status, one ack a symbol, a snapshot at full precision, then updates', async () => {
    const frames = new Frames(simulators.endpoints.kraken_ws_url)
    expect(await frames.text()).toMatch(/"system":"online".*"connection_id":13834774380200\d{6}\}/)
    frames.send({ method: 'subscribe', params: { channel: 'ticker', symbol: ['BTC/EUR', 'XBT/EUR'], event_trigger: 'bbo' }, req_id: 1 })
    expect(await frames.next()).toMatchObject({
      method: 'subscribe',
      req_id: 1,
      success: true,
      result: { channel: 'ticker', symbol: 'BTC/EUR' },
    })
    const snapshot = await frames.text()
    expect(snapshot).toMatch(/"type":"snapshot".*"bid":\d+\.\d,"bid_qty":0\.\d{8},"ask":\d+\.\d,/)
    expect(await frames.next()).toMatchObject({ req_id: 1, success: false, error: 'Currency pair not supported XBT/EUR' })
    expect(await frames.next()).toMatchObject({ channel: 'ticker', type: 'update' })
    frames.send({ method: 'ping', req_id: 101 })
    for (let frame = await frames.next(); frame.method !== 'pong'; frame = await frames.next()) expect(frame.channel).toBe('ticker')
    frames.socket.close()
  })

  test('sends a heartbeat each second while the price stands still', async () => {
    const frames = new Frames(simulators.endpoints.kraken_ws_url)
    await frames.text()
    await admin('/fault', { name: 'kraken.freeze' })
    frames.send({ method: 'subscribe', params: { channel: 'ticker', symbol: ['BTC/EUR'], event_trigger: 'bbo' } })
    let frame = await frames.next()
    while (frame.channel !== 'heartbeat') frame = await frames.next()
    expect(frame).toEqual({ channel: 'heartbeat' })
    await admin('/fault/clear', {})
    frames.socket.close()
  })
})

describe('CoinGecko', () => {
  const price = async (query: string): Promise<{ readonly status: number; readonly body: Json }> => {
    const response = await fetch(`${simulators.endpoints.coingecko_url}/simple/price?${query}`)
    return { status: response.status, body: (await response.json()) as Json }
  }
  const asked = 'ids=bitcoin,nothing&vs_currencies=eur&include_last_updated_at=true&precision=full'

  test('has one float with its second, leaves unknown ids out, and stays as cached', async () => {
    const { body } = await price(asked)
    expect(body).toEqual({ bitcoin: { eur: expect.any(Number) as number, last_updated_at: expect.any(Number) as number } })
    await admin('/price', { mid: 61_000, coingecko: false })
    expect((await price(asked)).body).toEqual(body)
    await admin('/price', { mid: 61_000 })
    expect((await price(asked)).body).toHaveProperty('bitcoin.eur', expect.closeTo(61_000, -2))
  })

  test('limits with 429 and ages by fault', async () => {
    await admin('/fault', { name: 'coingecko.status', count: 1 })
    expect((await price(asked)).status).toBe(429)
    await admin('/fault', { name: 'coingecko.stale', value: 600, count: 1 })
    const { bitcoin } = (await price(asked)).body as { bitcoin: { last_updated_at: number } }
    expect(bitcoin.last_updated_at).toBeLessThan(Date.now() / 1_000 - 599)
  })
})

test('the admin API names what is wrong with a body and has a report', async () => {
  expect((await post(`${simulators.endpoints.admin_url}/fault`, { name: 'relay.dance' })).status).toBe(400)
  expect((await post(`${simulators.endpoints.admin_url}/dance`, {})).status).toBe(404)
  const report = (await (await fetch(`${simulators.endpoints.admin_url}/report`)).json()) as Json
  expect(report).toMatchObject({ violations: [], settled: 0, answered: [] })
})

test('balances, used nonces and deposits survive a restart with the same state file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'simulators-'))
  const stateFile = join(folder, 'state.json')
  const first = await startSimulators({ scenario: 'manual', stateFile })
  first.ledger.burnNonce(SOLVER, 'bm9uY2U=')
  first.bridge.deposit({ token_id: EURE, amount: '5', delay_ms: 0 })
  await expect.poll(() => first.bridge.deposits[0]?.status).toBe('CREDITED')
  await first.close()
  const second = await startSimulators({ scenario: 'manual', stateFile })
  expect(second.ledger.nonceUsed(SOLVER, 'bm9uY2U=')).toBe(true)
  expect(second.ledger.balance(SOLVER, EURE)).toBe(1_500n * 10n ** 18n + 5n)
  expect(second.bridge.deposits).toHaveLength(1)
  expect(second.ledger.head.height).toBeGreaterThan(first.ledger.head.height)
  await second.close()
  rmSync(folder, { recursive: true })
})
