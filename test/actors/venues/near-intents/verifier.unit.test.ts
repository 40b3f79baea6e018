import { afterEach, describe, expect, it } from 'vitest'
import { VerifierError } from '#actors/venues/near-intents/near-answers.ts'
import { verifierClient } from '#actors/venues/near-intents/verifier.ts'
import fixture from '#test/fixtures/near-intents/near-rpc-messages.json' with { type: 'json' }
import { httpServer, reply } from '../servers.ts'
import type { Handler } from '../servers.ts'

const ACCOUNT = 'solver.example.near'
const BTC = 'nep141:btc.omft.near'
const EURE = 'nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near'
const NONCE = 'Vij2xgAlKBKzADyIyEce7xgAAQIDBAUGBwgJCgsMDQ4='
const GENESIS_MS = 1_700_000_000_000

const cleanUps: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

const message = (name: string) => {
  const found = fixture.messages.find((each) => each.name.startsWith(name))
  if (found === undefined) throw new Error(`no fixture ${name}`)
  return found
}

type Query = {
  method: string
  params: { block_id?: number; finality?: string; method_name?: string; args_base64?: string; account_id?: string }
}

/** A node at a height: `views` gives what a contract view returns at a block, blocks are 600 ms apart. */
const chain =
  (at: { height: number }, views: (method: string, block: number, args: Record<string, unknown>) => unknown): Handler =>
  ({ body }, response) => {
    const { method, params } = JSON.parse(body) as Query
    const block = params.block_id ?? at.height
    const answer = (result: unknown) => response.end(JSON.stringify({ jsonrpc: '2.0', id: 'unrip', result }))
    if (method === 'block')
      return answer({
        header: { height: block, timestamp: 1e18, timestamp_nanosec: `${BigInt(GENESIS_MS + block * 600) * 1_000_000n + 999_999n}` },
      })
    const args = JSON.parse(Buffer.from(params.args_base64 ?? '', 'base64').toString()) as Record<string, unknown>
    const value = Buffer.from(JSON.stringify(views(params.method_name ?? '', block, args)))
    return answer({ result: [...value], logs: [], block_height: block, block_hash: 'x' })
  }

const serve = async (handle: Handler) => {
  const server = await httpServer(handle)
  cleanUps.push(server.stop)
  return server
}

const client = (...servers: Array<{ url: string }>) => impatient(5_000, ...servers)
const impatient = (timeoutMs: number, ...servers: Array<{ url: string }>) =>
  verifierClient({ urls: servers.map((server) => server.url), contract_id: 'intents.near', timeoutMs, restMs: 0 })

const caught = async (promise: Promise<unknown>): Promise<VerifierError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof VerifierError) return error
  throw new Error(`expected a VerifierError, not ${String(error)}`)
}

describe('recorded messages', () => {
  const views = fixture.messages.filter((each) => each.request !== undefined && each.decoded !== undefined)

  it.each(views)('are asked for and read as recorded: $name', async ({ name, request, response, decoded }) => {
    const server = await serve((seen, out) =>
      (JSON.parse(seen.body) as Query).method === 'block'
        ? chain({ height: 190_000_000 }, () => null)(seen, out)
        : reply(200, response)(seen, out),
    )
    const verifier = client(server)
    const calls: Record<string, () => Promise<unknown>> = {
      mt_batch_balance_of: async () => Object.values((await verifier.balances(ACCOUNT, [BTC, EURE])).balances),
      is_nonce_used: async () => (await verifier.isNonceUsed(ACCOUNT, NONCE)).used,
      has_public_key: () => verifier.hasPublicKey(ACCOUNT, 'ed25519:9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj'),
      current_salt: () => verifier.currentSalt(),
      fee: () => verifier.fee(),
    }
    const call = calls[name]
    if (call === undefined) return
    expect(await call()).toEqual(decoded)
    const asked = JSON.parse(server.requests[0]?.body ?? '') as Query
    expect(asked).toMatchObject({ jsonrpc: '2.0', method: 'query', params: { ...request?.params, finality: 'final' } })
  })

  it('of a panic, over HTTP 200, is the answer in the contract’s own words, and no other node is asked', async () => {
    const panicking = await serve(reply(200, message('simulate_intents panic').response))
    const other = await serve(chain({ height: 1 }, () => true))
    expect(await caught(client(panicking, other).hasPublicKey(ACCOUNT, 'k'))).toMatchObject({
      code: 'PANIC',
      method: 'has_public_key',
      panic: 'deadline has expired',
    })
    expect(other.requests).toHaveLength(0)
  })

  it('of an unknown account is the answer', async () => {
    const server = await serve(reply(200, message('unknown account error').response))
    const other = await serve(chain({ height: 1 }, () => true))
    expect(await caught(client(server, other).fee())).toMatchObject({ code: 'UNKNOWN_ACCOUNT' })
    expect(other.requests).toHaveLength(0)
  })
})

describe('other ways of saying the same', () => {
  it.each([
    [
      'PANIC',
      {
        error: {
          name: 'HANDLER_ERROR',
          cause: {
            name: 'CONTRACT_EXECUTION_ERROR',
            info: { vm_error: 'FunctionCallError(HostError(GuestPanic { panic_msg: "invalid salt" }))' },
          },
        },
      },
      'invalid salt',
    ],
    [
      'PANIC',
      {
        error: {
          name: 'HANDLER_ERROR',
          cause: { name: 'CONTRACT_EXECUTION_ERROR', info: { vm_error: { HostError: { GuestPanic: { panic_msg: 'invalid salt' } } } } },
        },
      },
      'invalid salt',
    ],
    [
      'PANIC',
      { result: { error: 'wasm execution failed with error: MethodResolveError(MethodNotFound)', logs: [], block_height: 1 } },
      'wasm execution failed with error: MethodResolveError(MethodNotFound)',
    ],
    ['UNKNOWN_ACCOUNT', { result: { error: 'account x.near does not exist while viewing', logs: [], block_height: 1 } }, null],
    ['NO_CONTRACT', { error: { cause: { name: 'NO_CONTRACT_CODE' } } }, null],
  ])('%s: %j', async (code, body, panic) => {
    const server = await serve(reply(200, { jsonrpc: '2.0', id: 1, ...body }))
    expect(await caught(client(server).fee())).toMatchObject({ code, panic })
  })
})

describe('a node that is of no use', () => {
  const healthy = () => serve(chain({ height: 100 }, () => 1))
  const hanging: Handler = () => {}
  const stalling: Handler = (_request, response) => void response.writeHead(200).write('{"jsonrpc"')

  it.each<[string, Handler, string]>([
    ['429', reply(429, 'slow down'), 'HTTP 429'],
    ['408', reply(408, { error: { name: 'HANDLER_ERROR', cause: { name: 'TIMEOUT_ERROR' } } }), 'HTTP 408'],
    ['502 with HTML', reply(502, '<html>'), 'HTTP 502'],
    ['403', reply(403, 'no key'), 'HTTP 403'],
    ['a redirect', reply(302, '', { location: 'http://127.0.0.1:9' }), 'HTTP 302'],
    ['HTML with 200', reply(200, '<html>'), 'without a JSON-RPC answer'],
    ['an empty object', reply(200, {}), 'without a JSON-RPC answer'],
    ['no synced blocks', reply(200, { error: { name: 'HANDLER_ERROR', cause: { name: 'NO_SYNCED_BLOCKS' } } }), 'NO_SYNCED_BLOCKS'],
    ['bytes that are no JSON', reply(200, { result: { result: [255, 254], block_height: 100 } }), 'another shape'],
    ['a value of another type', reply(200, { result: { result: [...Buffer.from('"1"')], block_height: 100 } }), 'another shape'],
    ['silence', hanging, 'timeout'],
    ['a body that stalls', stalling, 'timeout'],
  ])('with %s is passed over for the next, and alone it is UNAVAILABLE', async (_name, handle, reason) => {
    const bad = await serve(handle)
    const good = await healthy()
    const timeoutMs = reason === 'timeout' ? 300 : 5_000
    const verifier = impatient(timeoutMs, bad, good)
    expect(await verifier.fee()).toBe(1)
    expect(verifier.state().nodes).toMatchObject([
      { failed: 1, answered: 0 },
      { failed: 0, answered: 1 },
    ])
    expect(verifier.state().nodes[0]?.last_fault).toContain(reason)
    const error = await caught(impatient(timeoutMs, bad).fee())
    expect(error).toMatchObject({ code: 'UNAVAILABLE', nodes: [{ url: new URL(bad.url).origin }] })
  })

  it('because it is dead is passed over, and tried last while it rests', async () => {
    const dead = await httpServer(() => {})
    await dead.stop()
    const slow = await serve(hanging)
    const good = await healthy()
    const verifier = verifierClient({ urls: [dead.url, slow.url, good.url], contract_id: 'intents.near', timeoutMs: 300 })
    expect(await verifier.fee()).toBe(1)
    expect(await verifier.fee()).toBe(1)
    expect(slow.requests).toHaveLength(1)
    expect(verifier.state().nodes.map((node) => node.failed)).toEqual([1, 1, 0])
  })

  it('is named by its origin only: keys in its URL are in no error and no state', async () => {
    const bad = await serve(reply(500, ''))
    const verifier = verifierClient({ urls: [`${bad.url}/path-key?apiKey=query-key`, `${bad.url}/other-key`], contract_id: 'intents.near' })
    const error = await caught(verifier.fee())
    const shown = `${error.message} ${JSON.stringify(error)} ${JSON.stringify(verifier.state())}`
    expect(shown).not.toMatch(/path-key|query-key|other-key/)
    expect(shown).toContain(`${bad.url} (2): HTTP 500`)
  })

  it('does not count when the caller gave up', async () => {
    const slow = await serve(hanging)
    const good = await healthy()
    const verifier = client(slow, good)
    const giveUp = new AbortController()
    const asked = verifier.fee({ signal: giveUp.signal })
    giveUp.abort(new Error('drained'))
    expect(await caught(asked)).toMatchObject({ code: 'ABORTED' })
    expect(good.requests).toHaveLength(0)
    expect(verifier.state().nodes[0]?.failed).toBe(0)
  })
})

describe('height', () => {
  it('never goes back: an answer of a lagging node is discarded and counted, and the next is asked', async () => {
    const [first, second] = [{ height: 100 }, { height: 101 }]
    const a = await serve(chain(first, () => true))
    const b = await serve(chain(second, () => false))
    const verifier = client(a, b)
    expect(await verifier.isNonceUsed(ACCOUNT, NONCE)).toMatchObject({ used: true, block_height: 100 })
    first.height = 99
    expect(await verifier.isNonceUsed(ACCOUNT, NONCE)).toMatchObject({ used: false, block_height: 101 })
    second.height = 100
    expect(await caught(verifier.isNonceUsed(ACCOUNT, NONCE))).toMatchObject({ code: 'UNAVAILABLE' })
    expect(verifier.state()).toMatchObject({ block_height: 101, nodes: [{ lagging: 2 }, { lagging: 1 }] })
  })

  it('comes with the chain time of that very block, in whole milliseconds, asked for once a block', async () => {
    const at = { height: 100 }
    const server = await serve(chain(at, () => true))
    const verifier = client(server)
    const blocks = () => server.requests.filter(({ body }) => (JSON.parse(body) as Query).method === 'block').length
    expect(await verifier.isNonceUsed(ACCOUNT, NONCE)).toEqual({ used: true, block_height: 100, block_timestamp_ms: GENESIS_MS + 60_000 })
    await verifier.isNonceUsed(ACCOUNT, NONCE)
    expect(blocks()).toBe(1)
    at.height = 101
    expect((await verifier.isNonceUsed(ACCOUNT, NONCE)).block_timestamp_ms).toBe(GENESIS_MS + 60_600)
    expect(blocks()).toBe(2)
  })

  it('of a block that the answering node does not have after all is asked of the others', async () => {
    const good = chain({ height: 100 }, () => true)
    const a = await serve((seen, out) =>
      (JSON.parse(seen.body) as Query).method === 'block'
        ? reply(200, { error: { cause: { name: 'UNKNOWN_BLOCK' } } })(seen, out)
        : good(seen, out),
    )
    const b = await serve(good)
    expect(await client(a, b).isNonceUsed(ACCOUNT, NONCE)).toMatchObject({ used: true, block_timestamp_ms: GENESIS_MS + 60_000 })
  })
})

describe('balances of all nodes', () => {
  const amounts =
    (...values: string[]) =>
    () =>
      values

  it('that agree are spendable, with nothing to report', async () => {
    const a = await serve(chain({ height: 100 }, amounts('5', '7')))
    const b = await serve(chain({ height: 100 }, amounts('5', '7')))
    expect(await client(a, b).balancesAll(ACCOUNT, [BTC, EURE])).toEqual({
      spendable: { [BTC]: '5', [EURE]: '7' },
      disagreement: null,
      nodes: 2,
      block_height: 100,
      block_timestamp_ms: GENESIS_MS + 60_000,
    })
  })

  it('that differ at one block are spendable at the lower of each token, and say so', async () => {
    const a = await serve(chain({ height: 100 }, amounts('5', '70000000000000000000000')))
    const b = await serve(chain({ height: 100 }, amounts('9', '6')))
    expect(await client(a, b).balancesAll(ACCOUNT, [BTC, EURE])).toMatchObject({
      spendable: { [BTC]: '5', [EURE]: '6' },
      disagreement: [
        { url: a.url, balances: { [BTC]: '5', [EURE]: '70000000000000000000000' }, block_height: 100 },
        { url: b.url, balances: { [BTC]: '9', [EURE]: '6' }, block_height: 100 },
      ],
      block_height: 100,
    })
  })

  it('that differ because one node is ahead agree at the same block, and the newest counts', async () => {
    const settledAt = (method: string, block: number) => (method === 'mt_batch_balance_of' ? [block >= 102 ? '9' : '5'] : null)
    const a = await serve(chain({ height: 100 }, settledAt))
    const b = await serve(chain({ height: 103 }, settledAt))
    expect(await client(a, b).balancesAll(ACCOUNT, [BTC])).toMatchObject({
      spendable: { [BTC]: '9' },
      disagreement: null,
      block_height: 103,
    })
  })

  it('that differ at the same block, though one node is ahead, are a disagreement at the lower block', async () => {
    const a = await serve(chain({ height: 100 }, amounts('5')))
    const b = await serve(chain({ height: 103 }, amounts('9')))
    expect(await client(a, b).balancesAll(ACCOUNT, [BTC])).toMatchObject({
      spendable: { [BTC]: '5' },
      disagreement: [{}, { block_height: 100 }],
      block_height: 100,
    })
  })

  it('are those of one node when the other is dead, lags far behind, or is the only one', async () => {
    const at = { height: 50 }
    const a = await serve(chain(at, amounts('5')))
    const b = await serve(chain({ height: 100 }, amounts('9')))
    const bad = await serve(reply(500, ''))
    expect(await client(bad, b).balancesAll(ACCOUNT, [BTC])).toMatchObject({ spendable: { [BTC]: '9' }, disagreement: null, nodes: 1 })
    expect(await client(a, b).balancesAll(ACCOUNT, [BTC])).toMatchObject({ spendable: { [BTC]: '9' }, disagreement: null, nodes: 1 })
    expect(await client(b).balancesAll(ACCOUNT, [BTC])).toMatchObject({ spendable: { [BTC]: '9' }, nodes: 1 })
  })

  it('are unavailable when no node answers, and the panic when that is what the nodes say', async () => {
    const bad = await serve(reply(500, ''))
    const panicking = await serve(reply(200, message('simulate_intents panic').response))
    expect(await caught(client(bad, bad).balancesAll(ACCOUNT, [BTC]))).toMatchObject({ code: 'UNAVAILABLE', nodes: [{}, {}] })
    expect(await caught(client(bad, panicking).balancesAll(ACCOUNT, [BTC]))).toMatchObject({ code: 'PANIC' })
  })

  it.each([[['5']], [['5', '-7']], [['5', '07']], [[5, 7]], [['5', '7', '9']]])('of another shape are not taken: %j', async (value) => {
    const server = await serve(chain({ height: 100 }, () => value))
    expect(await caught(client(server).balances(ACCOUNT, [BTC, EURE]))).toMatchObject({ code: 'UNAVAILABLE' })
  })
})
