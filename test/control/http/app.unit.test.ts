import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import type { HostView, OrderOutcome } from '#control/host-view.ts'
import { controlApp } from '#control/http/serve.ts'
import { makeLog } from '#control/telemetry/log.ts'
import { metrics } from '#control/telemetry/metrics.ts'
import { fakeHost } from './fake-host.ts'

const WHO = { by: 'ana', reason: 'drill' }

const given = async ({ says, outcome, token }: { says?: Partial<HostView>; outcome?: OrderOutcome; token?: string } = {}) => {
  const host = fakeHost(says, outcome && (() => outcome))
  const logged: string[] = []
  const registry = new Registry()
  metrics(registry)
  const app = await controlApp({
    view: host.view,
    metrics: registry,
    log: makeLog({ service: 'strategy-engine', level: 'info', destination: { write: (text) => void logged.push(text) } }),
    ...(token === undefined ? {} : { token }),
    orderWaitMs: 20,
  })
  const ask = async (method: 'GET' | 'POST' | 'PUT', url: string, payload?: object | string, headers: Record<string, string> = {}) => {
    const json = payload === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await app.inject({ method, url, headers: { ...json, ...headers }, ...(payload === undefined ? {} : { payload }) })
    const isJson = String(answer.headers['content-type']).startsWith('application/json')
    return { status: answer.statusCode, headers: answer.headers, text: answer.body, body: isJson ? answer.json() : null }
  }
  return { ...host, ask, logged: () => logged.join('') }
}

test('healthz says that it is alive without asking the host', async () => {
  const { ask } = await given({
    says: { describe: () => Promise.reject(new Error('down')), notReady: () => Promise.reject(new Error('down')) },
  })
  expect(await ask('GET', '/healthz')).toMatchObject({ status: 200, body: { service: 'strategy-engine', alive: true } })
})

test('readyz is 200 while nothing stands against it, and 503 with the reasons otherwise, also when the host cannot tell', async () => {
  const ready = await given()
  expect(await ready.ask('GET', '/readyz')).toMatchObject({ status: 200, body: { ready: true, reasons: [] } })
  const waiting = await given({ says: { notReady: async () => ['no lane is owned'] } })
  expect(await waiting.ask('GET', '/readyz')).toMatchObject({ status: 503, body: { ready: false, reasons: ['no lane is owned'] } })
  const broken = await given({ says: { notReady: () => Promise.reject(new Error('password=hunter2')) } })
  expect(await broken.ask('GET', '/readyz')).toMatchObject({ status: 503, body: { ready: false } })
})

test("state has the service's own section, with units too large for a number as text", async () => {
  const { ask } = await given()
  const { status, body, headers } = await ask('GET', '/state')
  expect(status).toBe(200)
  expect(headers['cache-control']).toBe('no-store')
  expect(body).toMatchObject({ service: 'strategy-engine', strategy: { threshold_bps: 200, seen: '9007199254740993' } })
})

test('metrics are text for Prometheus with what the state says, and without it when the host cannot tell', async () => {
  const broken = await given({ says: { describe: () => Promise.reject(new Error('down')) } })
  expect((await broken.ask('GET', '/metrics')).text).toContain('unrip_epochs_lost_total 0')
  const { ask } = await given()
  const { status, headers, text } = await ask('GET', '/metrics')
  expect(status).toBe(200)
  expect(headers['content-type']).toContain('text/plain; version=0.0.4')
  expect(text).toContain('\nunrip_epochs_lost_total 0\n')
  expect(text).toContain('\nunrip_armed 0\n')
})

test('machines are listed, and each can be had with its config; an unknown one is 404 with its name', async () => {
  const { ask } = await given()
  expect((await ask('GET', '/machines')).body).toEqual({ machines: [{ kind: 'desk', version: 1, hash: 'abc' }] })
  expect((await ask('GET', '/machines/desk')).body).toMatchObject({ config: { id: 'desk' }, mermaid: 'stateDiagram-v2' })
  expect(await ask('GET', '/machines/nope')).toMatchObject({ status: 404, body: { error: { code: 'NO_SUCH_MACHINE', field: 'kind' } } })
})

test('actors are listed by kind and state in pages, and a limit that is no number is refused by name', async () => {
  const asked: object[] = []
  const { ask } = await given({
    says: {
      actors: async (query) => {
        asked.push(query)
        return query.after === 'no cursor' ? null : { actors: [], next: 'c' }
      },
    },
  })
  expect((await ask('GET', '/actors?kind=quote&state=open&limit=5&after=x')).body).toEqual({ actors: [], next: 'c' })
  await ask('GET', '/actors')
  expect(asked).toEqual([{ kind: 'quote', state: 'open', limit: 5, after: 'x' }, { limit: 50 }])
  for (const [query, field] of Object.entries({
    'limit=many': 'limit',
    'limit=': 'limit',
    'limit=0': 'limit',
    'limit=501': 'limit',
    'knd=quote': 'knd',
    'kind=%00': 'kind',
    'after=no+cursor': 'after',
  }))
    expect(await ask('GET', `/actors?${query}`), query).toMatchObject({ status: 400, body: { error: { code: 'INVALID', field } } })
})

test('an actor is asked as it was after a turn, or what changed between two', async () => {
  const where = { service: 'strategy-engine', lane: 0, kind: 'quote', key: 'q-1' }
  const { ask } = await given({
    says: {
      past: async (kind, _key, wish) => {
        if (kind !== 'quote') return null
        if ('from' in wish)
          return { ...where, found: { outcome: 'diff', from: { sequence: wish.from }, to: { sequence: wish.to }, changes: [], turns: [] } }
        if (wish.at === 3) return { ...where, found: { outcome: 'at', actor: { sequence: 3, state: 'open' } } }
        if (wish.at === 1) return { ...where, found: { outcome: 'not kept', from: 2 } }
        if (wish.at === 2) return { ...where, found: { outcome: 'not loadable', sequence: 2, why: 'version 1' } }
        return { ...where, found: { outcome: 'not yet', sequence: 3 } }
      },
    },
  })
  expect((await ask('GET', '/actors/quote/q-1?at=3')).body).toEqual({ ...where, sequence: 3, state: 'open' })
  expect((await ask('GET', '/actors/quote/q-1?diff=1..3')).body).toEqual({
    ...where,
    from: { sequence: 1 },
    to: { sequence: 3 },
    changes: [],
    turns: [],
  })
  for (const [path, status, code, field] of [
    ['quote/q-1?at=1', 410, 'NOT_KEPT', 'at'],
    ['quote/q-1?at=2', 409, 'NOT_LOADABLE', 'at'],
    ['quote/q-1?at=9', 404, 'NO_SUCH_TURN', 'at'],
    ['order/1?at=1', 404, 'NO_SUCH_ACTOR', 'key'],
    ['quote/q-1?at=-1', 400, 'INVALID', 'at'],
    ['quote/q-1?at=soon', 400, 'INVALID', 'at'],
    ['quote/q-1?diff=3..1', 400, 'INVALID', 'diff'],
    ['quote/q-1?diff=3', 400, 'INVALID', 'diff'],
    ['quote/q-1?at=1&diff=1..2', 400, 'INVALID', 'diff'],
    ['quote/q-1?when=1', 400, 'INVALID', 'when'],
    ['quote/q%00', 400, 'INVALID', 'key'],
  ] as const)
    expect(await ask('GET', `/actors/${path}`), path).toMatchObject({ status, body: { error: { code, field } } })
})

test('an actor whose key has a slash is found by its encoded address; one that does not exist is 404', async () => {
  const { ask } = await given()
  expect((await ask('GET', `/actors/command/${encodeURIComponent('near_intents:BTC/EURe')}`)).body).toMatchObject({
    key: 'near_intents:BTC/EURe',
  })
  expect(await ask('GET', '/actors/command/cmd-1')).toMatchObject({ status: 404, body: { error: { code: 'NO_SUCH_ACTOR' } } })
})

test('an order answers with the state after it took effect, and says who gave it', async () => {
  const { ask, orders, logged } = await given()
  const armed = await ask('POST', '/arm', WHO)
  expect(armed).toMatchObject({ status: 200, body: { strategy: { armed: true } } })
  expect(armed.headers['unrip-order-id']).toBe('7')
  expect((await ask('PUT', '/threshold', { ...WHO, threshold_bps: 250 })).body).toMatchObject({ strategy: { threshold_bps: 250 } })
  await ask('POST', '/pause', WHO)
  await ask('POST', '/resume', WHO)
  expect(orders).toEqual([
    { order: 'arm', ...WHO, arguments: {} },
    { order: 'threshold', ...WHO, arguments: { threshold_bps: 250 } },
    { order: 'pause', ...WHO, arguments: {} },
    { order: 'resume', ...WHO, arguments: {} },
  ])
  expect(logged()).toContain('"event":"order.done"')
})

const badBodies: Record<string, [object | string, string | undefined]> = {
  'without who': [{ reason: 'drill', threshold_bps: 1 }, 'by'],
  'without why': [{ by: 'ana', threshold_bps: 1 }, 'reason'],
  'with an empty why': [{ by: 'ana', reason: '  ', threshold_bps: 1 }, 'reason'],
  'with who as a number': [{ by: 1, reason: 'x', threshold_bps: 1 }, 'by'],
  'without its argument': [WHO, 'threshold_bps'],
  'with an argument of another type': [{ ...WHO, threshold_bps: '250' }, 'threshold_bps'],
  'with an argument out of range': [{ ...WHO, threshold_bps: 0 }, 'threshold_bps'],
  'with a field that is not known': [{ ...WHO, threshold_bps: 1, treshold: 2 }, 'treshold'],
  'with a NUL that no store takes': [{ by: 'a\0', reason: 'x', threshold_bps: 1 }, 'by'],
  'with half a surrogate pair, which is no JSON of a store': [{ by: 'a', reason: 'x\ud800', threshold_bps: 1 }, 'reason'],
  'that is an array': [[1], 'by'],
  'that is not JSON': ['{"by":', undefined],
  'with a poisoned prototype': ['{"by":"a","reason":"b","threshold_bps":1,"__proto__":{"x":1}}', undefined],
}
for (const [what, [body, field]] of Object.entries(badBodies)) {
  test(`a body ${what} is 400, names the field and orders nothing`, async () => {
    const { ask, orders } = await given()
    const { status, body: answer } = await ask('PUT', '/threshold', body)
    expect(status).toBe(400)
    expect(answer.error).toMatchObject({ code: expect.any(String), message: expect.any(String) })
    expect(answer.error.field).toBe(field)
    expect(orders).toEqual([])
  })
}

test('a body that is missing, of another type or too large is 400, 415 and 413', async () => {
  const { ask, orders } = await given()
  expect(await ask('POST', '/arm')).toMatchObject({ status: 400, body: { error: { field: 'by' } } })
  expect(await ask('POST', '/arm', '', { 'content-type': 'application/json' })).toMatchObject({ status: 400 })
  expect(await ask('POST', '/arm', JSON.stringify(WHO), { 'content-type': 'text/plain' })).toMatchObject({
    status: 415,
    body: { error: { code: 'NOT_JSON' } },
  })
  expect(await ask('POST', '/arm', { ...WHO, reason: 'x'.repeat(70_000) })).toMatchObject({
    status: 413,
    body: { error: { code: 'BODY_TOO_LARGE' } },
  })
  expect(orders).toEqual([])
})

test('an order that not every lane has committed is 202 with its id', async () => {
  const { ask } = await given({ outcome: { outcome: 'pending', id: '41' } })
  expect(await ask('POST', '/arm', WHO)).toMatchObject({ status: 202, body: { id: '41', state: { service: 'strategy-engine' } } })
})

test('an order that the state refuses is 409 with the reason; unwritten or while draining it is 503', async () => {
  const refused = await given({ outcome: { outcome: 'refused', code: 'RECONCILING', message: 'not before it is reconciled' } })
  expect(await refused.ask('POST', '/arm', WHO)).toMatchObject({
    status: 409,
    body: { error: { code: 'RECONCILING', message: 'not before it is reconciled' } },
  })
  const unwritten = await given({ outcome: { outcome: 'unavailable', message: 'no database; the gate is shut' } })
  expect(await unwritten.ask('POST', '/arm', WHO)).toMatchObject({ status: 503, body: { error: { code: 'UNAVAILABLE' } } })
  const draining = await given({ outcome: { outcome: 'draining' } })
  expect(await draining.ask('POST', '/arm', WHO)).toMatchObject({ status: 503, body: { error: { code: 'DRAINING' } } })
})

test('drain answers when it has drained, and 202 while it goes on', async () => {
  const quick = await given()
  expect(await quick.ask('POST', '/drain', WHO)).toMatchObject({ status: 200, body: { lifecycle: 'drained' } })
  expect(quick.drains).toEqual([WHO])
  const slow = await given({ says: { drain: () => Promise.withResolvers<void>().promise } })
  expect(await slow.ask('POST', '/drain', WHO)).toMatchObject({ status: 202, body: { state: { lifecycle: 'running' } } })
  expect(await quick.ask('POST', '/drain', { by: 'ana' })).toMatchObject({ status: 400, body: { error: { field: 'reason' } } })
})

test('what was set by PUT can be read where the host has it, and is 404 elsewhere', async () => {
  const { ask } = await given()
  expect(await ask('GET', '/pair-filter')).toMatchObject({ status: 200, body: { pairs: ['BTC/EURe'] } })
  expect(await ask('GET', '/threshold')).toMatchObject({ status: 404, body: { error: { code: 'NOTHING_SET' } } })
})

test('an unknown route, /inspect too, is 404 with its name', async () => {
  const { ask } = await given()
  expect(await ask('GET', '/inspect?x=1')).toMatchObject({
    status: 404,
    body: { error: { code: 'NOT_FOUND', message: expect.stringContaining('GET /inspect') } },
  })
  expect(await ask('POST', '/state', WHO)).toMatchObject({ status: 404 })
})

test('a fault inside is 500 without a word of it, and in the log with its cause', async () => {
  const { ask, logged } = await given({ says: { describe: () => Promise.reject(new Error('lane 3 at /srv/unrip/host.ts')) } })
  const { status, text } = await ask('GET', '/state')
  expect(status).toBe(500)
  expect(JSON.parse(text)).toEqual({ error: { code: 'INTERNAL', message: 'the service could not answer; its log says why' } })
  expect(logged()).toContain('lane 3 at')
})

test('with a token every route but healthz and readyz asks for it, unknown routes too', async () => {
  const { ask, orders } = await given({ token: 'correct-horse' })
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  for (const path of ['/state', '/metrics', '/machines', '/actors', '/openapi.json', '/nowhere'])
    expect(await ask('GET', path), path).toMatchObject({ status: 401, body: { error: { code: 'TOKEN_MISSING' } } })
  expect(await ask('POST', '/arm', WHO)).toMatchObject({ status: 401 })
  for (const wrong of ['', 'x', 'correct-hors', 'correct-horse1'])
    expect(await ask('GET', '/state', undefined, bearer(wrong))).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } })
  expect(orders).toEqual([])
  expect((await ask('GET', '/healthz')).status).toBe(200)
  expect((await ask('GET', '/readyz')).status).toBe(200)
  expect((await ask('GET', '/state', undefined, { ...bearer('correct-horse'), host: 'strategy.example.org' })).status).toBe(200)
  expect((await ask('POST', '/arm', WHO, bearer('correct-horse'))).status).toBe(200)
})

test('without a token a Host that is not this machine is refused, against DNS rebinding', async () => {
  const { ask, orders } = await given()
  for (const host of ['evil.example.org', '127.0.0.1.evil.org', 'localhost.evil.org:4105', '10.0.0.7:4105', '[::2]'])
    expect(await ask('GET', '/state', undefined, { host }), host).toMatchObject({ status: 403, body: { error: { code: 'FOREIGN_HOST' } } })
  expect(await ask('POST', '/arm', WHO, { host: 'evil.example.org' })).toMatchObject({ status: 403 })
  expect(orders).toEqual([])
  for (const host of ['localhost:4105', '127.0.0.1:4105', '127.1.2.3', '[::1]:4105', 'LOCALHOST'])
    expect((await ask('GET', '/state', undefined, { host })).status, host).toBe(200)
})

test("OpenAPI describes every route, the service's own orders with their arguments too", async () => {
  const { ask } = await given()
  const { body } = await ask('GET', '/openapi.json')
  expect(body.openapi).toBe('3.1.0')
  expect(Object.keys(body.paths).toSorted()).toEqual([
    '/actors',
    '/actors/{kind}/{key}',
    '/arm',
    '/drain',
    '/healthz',
    '/machines',
    '/machines/{kind}',
    '/metrics',
    '/pair-filter',
    '/pause',
    '/readyz',
    '/resume',
    '/state',
    '/threshold',
  ])
  const threshold = body.paths['/threshold'].put.requestBody.content['application/json'].schema
  expect(threshold).toMatchObject({ required: ['by', 'reason', 'threshold_bps'], additionalProperties: false })
})
