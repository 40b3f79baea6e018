import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Frames, post, rpc } from './frames.ts'
import type { Json } from './frames.ts'
import { draftFor, responseOf } from './sample-solver.ts'
import { startSimulators } from './start.ts'
import type { Simulators } from './start.ts'
import { BTC_NBTC, BTC_OMFT, EURE, USDC, WNEAR } from './tokens.ts'

let simulators: Simulators
beforeAll(async () => {
  simulators = await startSimulators({ scenario: 'manual', blockMs: 50 })
})
afterAll(() => simulators.close())

const admin = async (path: string, body: unknown): Promise<Json> =>
  JSON.parse((await post(simulators.endpoints.admin_url + path, body)).text) as Json

const relay = async (): Promise<Frames> => {
  const { relay_ws_url, jwt } = simulators.endpoints
  const frames = new Frames(relay_ws_url, { authorization: `Bearer ${jwt}` })
  await frames.opened()
  return frames
}

describe('the solver bus', () => {
  test.each<Record<string, string>>([{}, { authorization: 'Bearer other' }])('a handshake with %o is refused with 403', async (headers) => {
    await expect(new Frames(simulators.endpoints.relay_ws_url, headers).opened()).rejects.toThrow('403')
  })

  test('a quote is broadcast net of the fee, answered, settled, and told on both status streams', async () => {
    const frames = await relay()
    const id: unknown[] = []
    for (const [index, params] of [
      ['quote', { tokens_in: [BTC_OMFT], tokens_out: [EURE] }],
      ['quote_status'],
      ['quote_status_extended'],
    ].entries()) {
      frames.send({ jsonrpc: '2.0', id: index, method: 'subscribe', params })
      const answer = await frames.next()
      expect(answer).toMatchObject({ jsonrpc: '2.0', id: index, result: expect.stringMatching(/^[0-9a-f-]{36}$/) as string })
      id.push(answer.result)
    }
    await admin('/auction', { token_in: WNEAR, token_out: USDC, exact_amount_in: '1' })
    const { quote_id } = await admin('/auction', {
      token_in: BTC_OMFT,
      token_out: EURE,
      exact_amount_in: '6000',
      settle_delay_ms: 0,
      min_deadline_ms: 4_000,
    })
    const event = await frames.next()
    expect(event).toMatchObject({ jsonrpc: '2.0', method: 'event' })
    expect(event).toHaveProperty('params.subscription', id[0])
    expect(event).toHaveProperty('params.data', {
      quote_id,
      defuse_asset_identifier_in: BTC_OMFT,
      defuse_asset_identifier_out: EURE,
      exact_amount_in: '5999',
      min_deadline_ms: 4_000,
      min_wait_ms: 200,
      max_wait_ms: 1_000,
      protocol_fee_included: false,
    })
    const auction = simulators.auctions.all.get(String(quote_id))!
    frames.send({
      jsonrpc: '2.0',
      id: 7,
      method: 'quote_response',
      params: [responseOf(String(quote_id), draftFor(auction, simulators.market))],
    })
    expect(await frames.next()).toEqual({ jsonrpc: '2.0', id: 7, result: 'OK' })
    expect(await frames.next()).toHaveProperty('params.data.event_type', 'quote_ready_to_settle')
    const status = await frames.next()
    const { quote_hash, tx_hash } = auction.winner!
    expect(status).toHaveProperty('params.subscription', id[1])
    expect(status).toHaveProperty('params.data', { quote_hash, tx_hash, intent_hash: expect.any(String) as string })
    expect(await frames.next()).toHaveProperty('params.data.event_type', 'quote_settle_successful')
    const [, second = ''] = simulators.endpoints.near_rpc_urls.split(',')
    await expect
      .poll(() => rpc(second, 'tx', { tx_hash, sender_account_id: 'intents.near' }))
      .toHaveProperty('result.status.SuccessValue', '')
    frames.socket.close()
  })

  test('an unacknowledged guaranteed status comes again to the next connection of the same instance', async () => {
    const connect = async (): Promise<Frames> => {
      const { relay_ws_url, jwt } = simulators.endpoints
      const frames = new Frames(`${relay_ws_url}?instance_id=one`, { authorization: `Bearer ${jwt}` })
      await frames.opened()
      frames.send({ jsonrpc: '2.0', id: 1, method: 'subscribe', params: ['quote_status', null, true] })
      await frames.next()
      return frames
    }
    const first = await connect()
    const { quote_id } = await admin('/auction', { token_in: BTC_OMFT, token_out: EURE, exact_amount_in: '6000', settle_delay_ms: 0 })
    const auction = simulators.auctions.all.get(String(quote_id))!
    first.send({
      jsonrpc: '2.0',
      id: 2,
      method: 'quote_response',
      params: [responseOf(String(quote_id), draftFor(auction, simulators.market))],
    })
    await first.next()
    expect(await first.next()).toHaveProperty('params.seq', 1)
    first.socket.close()
    const second = await connect()
    const again = await second.next()
    expect(again).toHaveProperty('params.data.quote_hash', auction.winner?.quote_hash)
    second.send({ jsonrpc: '2.0', id: 3, method: 'acknowledge', params: [(again.params as Json).subscription, 1] })
    expect(await second.next()).toEqual({ jsonrpc: '2.0', id: 3, result: 'OK' })
    second.socket.close()
  })

  test('malformed JSON, an unknown method and wrong params each get their code', async () => {
    const frames = await relay()
    frames.send('{"jsonrpc":')
    expect(await frames.next()).toHaveProperty('error.code', -32_700)
    frames.send({ jsonrpc: '2.0', id: 1, method: 'dance', params: [] })
    expect(await frames.next()).toMatchObject({ id: 1, error: { code: -32_601 } })
    frames.send({ jsonrpc: '2.0', id: 2, method: 'quote_response', params: [{}] })
    expect(await frames.next()).toMatchObject({ id: 2, error: { code: -32_602 } })
    frames.send({ jsonrpc: '2.0', id: 3, method: 'subscribe', params: ['quote_status_extended', null, true] })
    expect(await frames.next()).toHaveProperty('error.message', 'guaranteed delivery is only available on quote_status and shield_status')
    frames.socket.close()
  })

  test('the docs envelope is flat and called subscribe', async () => {
    const frames = await relay()
    frames.send({ jsonrpc: '2.0', id: 0, method: 'subscribe', params: ['quote'] })
    await frames.next()
    await admin('/fault', { name: 'relay.docs_envelope', count: 1 })
    const { quote_id } = await admin('/auction', { token_in: EURE, token_out: BTC_NBTC, exact_amount_out: '1000000' })
    const event = await frames.next()
    expect(event).toMatchObject({ method: 'subscribe', params: { quote_id, exact_amount_out: '1000002' } })
    frames.socket.close()
  })

  test('a dropped connection is closed, a refused handshake has its status', async () => {
    const frames = await relay()
    const closed = new Promise((resolve) => frames.socket.once('close', resolve))
    await admin('/fault', { name: 'relay.drop' })
    await closed
    await admin('/fault', { name: 'relay.refuse', value: 429, count: 1 })
    await expect(relay()).rejects.toThrow('429')
    ;(await relay()).socket.close()
  })

  test('a half-open connection answers neither frame nor ping, a new one does', async () => {
    const stuck = await relay()
    await admin('/fault', { name: 'relay.half_open' })
    let heard = 0
    stuck.socket.on('message', () => (heard += 1)).on('pong', () => (heard += 1))
    stuck.send({ jsonrpc: '2.0', id: 1, method: 'subscribe', params: ['quote'] })
    stuck.socket.ping()
    const sound = await relay()
    const pong = new Promise((resolve) => sound.socket.once('pong', resolve))
    sound.send({ jsonrpc: '2.0', id: 1, method: 'subscribe', params: ['quote'] })
    await sound.next()
    sound.socket.ping()
    await pong
    expect(heard).toBe(0)
    stuck.socket.terminate()
    sound.socket.close()
  })

  test('its JSON-RPC wants the key and knows no status of an unknown intent', async () => {
    const { relay_rpc_url, jwt } = simulators.endpoints
    const body = { jsonrpc: '2.0', id: 1, method: 'get_status', params: [{ intent_hash: 'nobody' }] }
    expect((await post(relay_rpc_url, body)).text).toContain('"code":401')
    const answer = JSON.parse((await post(relay_rpc_url, body, { 'x-api-key': jwt })).text) as Json
    expect(answer.result).toEqual({ intent_hash: 'nobody', status: 'NOT_FOUND_OR_NOT_VALID' })
  })
})

test('the report lists what was answered and settled, without a violation', async () => {
  const report = (await (await fetch(`${simulators.endpoints.admin_url}/report`)).json()) as Json
  expect(report).toMatchObject({ violations: [], settled: 2, by_outcome: { settled: 2 } })
})
