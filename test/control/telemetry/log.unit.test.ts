import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import type { Log } from '#actors/runtime/ports.ts'
import { makeLog } from '#control/telemetry/log.ts'
import { isSecretName, printable, printableText, printableUrl } from '#control/telemetry/redact.ts'
import { Secret } from '#control/telemetry/secret.ts'

const CANARY = 'canary5c0ffee5'

const captured = (options: { secrets?: Secret[]; level?: 'debug' | 'info' } = {}) => {
  const written: string[] = []
  const log = makeLog({ service: 'trade-executor', level: 'debug', ...options, destination: { write: (text) => void written.push(text) } })
  return { log, text: () => written.join(''), lines: () => written.map((text) => JSON.parse(text) as Record<string, unknown>) }
}

test('a line has the stable fields at its top level, null where one does not apply, then its body', () => {
  const { log, lines } = captured()
  log.info(
    { component: 'desk', event: 'decision.rejected', pair: 'BTC/EURe', quote_id: 'q-1', gross_edge_pct: '1.2' },
    'q-1 is not worth it',
  )
  expect(lines()[0]).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    service: 'trade-executor',
    namespace: 'local',
    component: 'desk',
    event: 'decision.rejected',
    venue: null,
    topic: null,
    pair: 'BTC/EURe',
    correlation_id: null,
    quote_id: 'q-1',
    gross_edge_pct: '1.2',
    msg: 'q-1 is not worth it',
  })
})

test('the log fits what the runtime asks for, and a child carries its fields into every line', () => {
  const { log, lines } = captured({ level: 'info' })
  const child: Log = log.child({ component: 'store', topic: 'norm.swap_demand' })
  child.debug({}, 'not at this level')
  child.warn({ topic: 'exec.trade_result' }, 'slow')
  child.error(new Error('gone'), 'lost the connection')
  expect(lines()).toHaveLength(2)
  expect(lines()[0]).toMatchObject({ level: 'warn', component: 'store', topic: 'exec.trade_result' })
  expect(lines()[1]).toMatchObject({ level: 'error', topic: 'norm.swap_demand', error: { type: 'Error', message: 'gone' } })
})

test("a body field named like one of the line's own does not hide it", () => {
  const { log, text, lines } = captured()
  log.info({ service: 'history-writer', level: 7, time: 1 }, 'lag')
  expect(lines()[0]).toMatchObject({ service: 'trade-executor', field_service: 'history-writer', level: 'info', field_level: 7 })
  expect(text().match(/"service":/g)).toHaveLength(1)
})

const seeded: Record<string, object> = {
  'an API key at the top': { apiKey: CANARY },
  'a secret four levels down': { a: { b: { c: { d: { secret: CANARY } } } } },
  'the websocket token of a request': { params: { token: CANARY } },
  'headers of Kraken and CoinGecko': {
    headers: {
      'API-Key': CANARY,
      'API-Sign': CANARY,
      Authorization: `Bearer ${CANARY}`,
      'x-cg-pro-api-key': CANARY,
      'x-cg-demo-api-key': CANARY,
    },
  },
  'environment names': {
    NEAR_INTENTS_SIGNING_KEY: CANARY,
    NEAR_INTENTS_PARTNER_JWT: CANARY,
    CONTROL_TOKEN: CANARY,
    COINGECKO_PRO_API_KEY: CANARY,
  },
  'a signed offer': { signed_data: { signature: `ed25519:${CANARY}`, payload: CANARY }, offers: [{ signature: CANARY }] },
  'a connection string': { DATABASE_URL: `postgres://unrip:${CANARY}@127.0.0.1:5432/unrip` },
  'a password with an @ and a # in it': { url: `postgres://unrip:x@y#${CANARY}@db/unrip` },
  'user info of another URL': { url: new URL(`https://key:${CANARY}@rpc.example.org/path`) },
  'a token as user name': { url: `wss://${CANARY}@relay.example.org` },
  'a key in a query': { text: `GET https://x.org/price?ids=bitcoin&x_cg_demo_api_key=${CANARY}&b=1` },
  'an error, its fields and its causes': {
    error: Object.assign(new Error(`password=${CANARY}`, { cause: new AggregateError([new Error(`postgres://a:${CANARY}@b/c`)], 'two') }), {
      config: { headers: { authorization: CANARY } },
    }),
  },
  'JSON inside a string': { body: JSON.stringify({ id: 1, params: [{ signature: CANARY, quote_id: 'q' }] }) },
  'JSON inside JSON inside a string': { body: JSON.stringify(JSON.stringify({ signed_data: CANARY })) },
  'a JWT in a sentence': { text: `handshake with eyJhbGciOiJFUzI1NiJ9.${CANARY}.sig_${CANARY} failed` },
  'a wrapped secret': { name: new Secret(CANARY), list: [new Secret(CANARY)] },
  bytes: { key: Buffer.from(CANARY), also: new Uint8Array(Buffer.from(CANARY)).buffer },
  'a map': { map: new Map([['token', CANARY]]) },
  'what its own JSON says': { thing: { toJSON: () => ({ password: CANARY }) } },
}

for (const [what, fields] of Object.entries(seeded)) {
  test(`no secret gets into the log: ${what}`, () => {
    const { log, text } = captured()
    log.info(fields, 'sent')
    log.child(fields).error({}, 'sent again')
    log.child({ component: 'relay' }).child(fields).warn({ fields }, 'and again')
    expect(text()).toContain('[')
    expect(text()).not.toContain(CANARY)
    expect(text()).not.toContain(Buffer.from(CANARY).toString('base64'))
  })
}

test('a value that was given as a secret is hidden wherever it turns up, in the sentence too', () => {
  const { log, text } = captured({ secrets: [new Secret(CANARY)] })
  log.info({ note: `seed is ${CANARY}`, [CANARY]: [{ deep: CANARY }] }, `retrying with ${CANARY}`)
  expect(text()).not.toContain(CANARY)
})

test('a 64-byte key or signature is hidden by its form and a public key is not', () => {
  const publicKey = 'ed25519:6E8sCci9badyRkXb3JoRpBj5p8C6Tw41ELDZoiihKEtp'
  const long = `ed25519:${'2'.repeat(87)}`
  expect(printableText(`${publicKey} signed ${long}`)).toBe(`${publicKey} signed ed25519:[secret]`)
})

test('what is not secret is printed as it is', () => {
  const fields = {
    quote_id: 'q-1',
    asset_in: 'nep141:btc.omft.near',
    token_id: 'nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near',
    idempotency_key: 'near_intents:q-1',
    execution_key: 'near_intents:a->b',
    url: 'wss://solver-relay-v2.chaindefuser.com/ws?x=1',
    control: 'http://127.0.0.1:4105/actors/command/cmd-42@1',
    quote_hash: '9ZpQ5L8yB6i6RkXb3JoRpBj5p8C6Tw41ELDZoiihKEtp',
    signing_key_file: '/run/secrets/key',
    text: 'a bearer token is missing',
  }
  expect(printable(fields)).toEqual(fields)
  expect(printableUrl('postgres://unrip:hunter2@127.0.0.1:5432/unrip')).toBe('postgres://unrip:[secret]@127.0.0.1:5432/unrip')
  expect(['token_id', 'public_key', 'execution_key', 'secrets_dir'].filter(isSecretName)).toEqual([])
})

test('what JSON cannot hold is still printed: a cycle, bigint, a getter that throws, depth, length', () => {
  const cycle: Record<string, unknown> = { units: 9_007_199_254_740_993n }
  cycle['self'] = cycle
  const hostile = {
    get bad(): never {
      throw new Error('no')
    },
  }
  const nested = Array.from({ length: 20 }).reduce<object>((inner) => ({ inner }), {})
  const { log, lines } = captured()
  log.info({ cycle, hostile, nested, list: Array.from({ length: 500 }, (_, i) => i), long: 'x'.repeat(100_000) }, 'odd')
  expect(lines()[0]).toMatchObject({ cycle: { units: '9007199254740993', self: '[circular]' }, hostile: '[unreadable]' })
  expect(JSON.stringify(lines()[0]).length).toBeLessThan(12_000)
})

test('a hostile text costs milliseconds, not seconds', () => {
  const texts = [
    'a-'.repeat(4_000),
    '\\'.repeat(8_000),
    'a://'.repeat(2_000),
    'eyJ-'.repeat(2_000),
    '"'.repeat(8_000),
    'Bearer '.repeat(1_100),
  ]
  const start = performance.now()
  for (const text of texts) printableText(text)
  expect(performance.now() - start).toBeLessThan(1_000)
})

test('a Secret prints [secret] in every way of printing', () => {
  const secret = new Secret(CANARY)
  expect([`${secret}`, String(secret), JSON.stringify({ secret }), inspect({ secret }), secret + '']).not.toContainEqual(
    expect.stringContaining(CANARY),
  )
  expect(secret.reveal()).toBe(CANARY)
})
