import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WhichLetters } from '#actors/runtime/lane/letters.ts'
import type { CliWish, Readings, Sources } from '#control/cli/readings.ts'
import type { LaneReplay } from '#control/cli/replay.ts'
import type { Snapshots } from '#control/cli/snapshots.ts'
import { unrip } from '#control/cli/unrip.ts'
import type { HostView, OrderOutcome, Past } from '#control/host-view.ts'
import { serveControl } from '#control/http/serve.ts'
import { makeLog } from '#control/telemetry/log.ts'
import { fakeHost } from '../http/fake-host.ts'
import { chain } from './fake-chain.ts'

const WHO = ['--by', 'ana', '--reason', 'drill']

const served = async (says: Partial<HostView> = {}, outcome?: OrderOutcome, token?: string) => {
  const host = fakeHost(says, outcome && (() => outcome))
  const log = makeLog({ service: host.view.service, level: 'silent' })
  const server = await serveControl({
    view: host.view,
    host: '127.0.0.1',
    port: 0,
    metrics: new Registry(),
    log,
    orderWaitMs: 20,
    ...(token ? { token } : {}),
  })
  onTestFinished(() => server.close())
  return { ...host, ...server }
}

const turn = {
  sequence: 2,
  turn: 40,
  batch: 7,
  at: '2026-11-21T10:00:00.000Z',
  event: { type: 'result.arrived' },
  outputs: [{ does: 'tell', to: { kind: 'desk', key: 'desk' }, event: {} }],
  code: 'other',
  difference: null,
}
const past = (key: string, wish: CliWish): Past => {
  const where = { service: 'strategy-engine', lane: 1, kind: 'quote', key }
  const then = { sequence: 2, state: 'ended', context: { outcome: 'SETTLED' }, turn }
  if ('from' in wish) {
    const changes = [
      { path: 'state', before: 'open', after: 'ended' },
      { path: 'context.outcome', after: 'SETTLED' },
    ]
    return { ...where, found: { outcome: 'diff', from: { ...then, sequence: wish.from }, to: then, changes, turns: [turn] } }
  }
  if ('until' in wish || wish.at === 2) return { ...where, found: { outcome: 'at', actor: then } }
  return { ...where, found: { outcome: 'not kept', from: 2 } }
}
const replayed = (differs: boolean): LaneReplay => ({
  lane: 1,
  from: 1,
  to: 40,
  turns: 40,
  played: 38,
  other_code: 0,
  compared: 4,
  skipped: { nothing_taken: 2, state_not_known: 0, not_loadable: 0 },
  not_loadable: [],
  seconds: 0.5,
  turns_per_second: 80,
  difference: differs
    ? {
        turn: 40,
        batch: 7,
        actor: 'quote/q-1',
        sequence: 2,
        at: turn.at,
        event: turn.event,
        code: 'same',
        what: 'outputs',
        recorded: 'aa',
        computed: 'bb',
        outputs: [],
      }
    : null,
})

const noReadings: Readings = {
  quoteChain: async (id) => (id === 'q-1' ? chain : null),
  past: async ({ kind, key }, wish) => (kind === 'quote' ? past(key, wish) : null),
  replay: async (service, range, onProgress) => {
    onProgress(`${service}: ${JSON.stringify(range)}`)
    return { service, lanes: [replayed(range.lane === 1)] }
  },
  deadLetters: async () => [],
  lag: async () => [{ service: 'history-writer', topic: 'exec.trade_result', partition: 2, committed: 10, end: 12, lag: 2 }],
  close: async () => {},
}

const noSnapshots: Snapshots = {
  check: async () => ({ services: [], findings: [], more: 0 }),
  down: async () => ({ service: 'strategy-engine', targets: {}, actors: 0, timers: 0, effects: 0, parked: 0 }),
  close: async () => {},
}

const typed = async (args: string[], env: NodeJS.ProcessEnv = {}, readings: Partial<Readings> = {}, snapshots: Partial<Snapshots> = {}) => {
  const out: string[] = []
  const err: string[] = []
  const asked: Sources[] = []
  const code = await unrip(args, {
    env: { DATA_DIR: '/nonexistent', ...env },
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    fetch,
    snapshots: async () => ({ ...noSnapshots, ...snapshots }),
    dropDays: async (_, keepDays) => [`unrip.journal_${keepDays}`],
    readings: async (sources) => {
      asked.push(sources)
      return { ...noReadings, ...readings }
    },
  })
  return { code, out: out.join(''), err: err.join(''), asked, json: () => JSON.parse(out.join('')) }
}

const services = (map: Record<string, string>) => ({
  UNRIP_SERVICES: JSON.stringify(Object.fromEntries(Object.entries(map).map(([name, url]) => [name, { url, pid: 1 }]))),
})

test('status shows every service of UNRIP_SERVICES and is 0 while all answer', async () => {
  const { url } = await served()
  const text = await typed(['status'], services({ 'strategy-engine': url }))
  expect(text).toMatchObject({ code: 0, err: '' })
  expect(text.out).toMatch(/SERVICE +URL[\s\S]*strategy-engine +http:\/\/127\.0\.0\.1:\d+ +running +yes +no +1 +0 +-/)
  const json = await typed(['status', '--json'], services({ 'strategy-engine': url }))
  expect(json.json().services['strategy-engine']).toMatchObject({ url, ready: true, state: { lifecycle: 'running' } })
})

test('status shows what answers and ends with 1 when one does not, by its name', async () => {
  const { url } = await served({ notReady: async () => ['no lane is owned'] })
  const dead = await served()
  await dead.close()
  const text = await typed(['status'], services({ 'strategy-engine': url, 'history-writer': dead.url }))
  expect(text.code).toBe(1)
  expect(text.out).toContain('no lane is owned')
  expect(text.err).toContain(`history-writer at ${dead.url}: nobody answers (ECONNREFUSED)`)
})

test('the services are found in run.json of DATA_DIR, and by --url without any', async () => {
  const { url } = await served()
  const dir = await mkdtemp(join(tmpdir(), 'unrip-cli-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  await writeFile(
    join(dir, 'run.json'),
    JSON.stringify({ services: { 'strategy-engine': { url, pid: 4 } }, kafka: '127.0.0.1:1', database: 'postgres://a@b/c' }),
  )
  expect((await typed(['status'], { DATA_DIR: dir })).code).toBe(0)
  expect((await typed(['status', '--url', url])).out).toContain('strategy-engine')
  expect((await typed(['lag'], { DATA_DIR: dir })).asked).toEqual([{ kafka: '127.0.0.1:1', database: 'postgres://a@b/c' }])
  expect((await typed(['lag'], { DATA_DIR: dir, DATABASE_URL: 'postgres://x@y/z' })).asked[0]).toMatchObject({
    database: 'postgres://x@y/z',
  })
})

test('where nothing runs it says which file was looked for; a broken map is named too', async () => {
  expect(await typed(['status'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^unrip: \/nonexistent\/run\.json is not there: start with npm start/),
  })
  expect(await typed(['status'], { UNRIP_SERVICES: '{"a": 1}' })).toMatchObject({
    code: 1,
    err: expect.stringContaining('UNRIP_SERVICES is not the JSON'),
  })
})

test('arm gives the order with who and why, and is 0 when the service says that it is armed', async () => {
  const { url, orders } = await served()
  const { code, out } = await typed(['arm', 'strategy-engine', ...WHO], services({ 'strategy-engine': url }))
  expect({ code, out }).toEqual({ code: 0, out: 'strategy-engine: armed\n' })
  expect(orders).toEqual([{ order: 'arm', by: 'ana', reason: 'drill', arguments: {} }])
  expect((await typed(['arm', '--url', url, ...WHO, '--json'])).json()).toMatchObject({ strategy: { armed: true } })
})

test('an order that was taken and did not come true is 1, with what blocks it', async () => {
  const blocked = [{ code: 'PRICE_STALE', since: '2026-11-21T10:00:00.000Z', detail: 'no price for 9 s' }]
  const { url, state, view } = await served()
  const stubborn = await served({ describe: async () => ({ ...(await view.describe()), strategy: { armed: false }, blocked }) })
  const { code, err } = await typed(['arm', 'strategy-engine', ...WHO], services({ 'strategy-engine': stubborn.url }))
  expect({ code, err }).toEqual({
    code: 1,
    err: 'unrip: strategy-engine: the order arm was taken, and it is not armed: PRICE_STALE (no price for 9 s)\n',
  })
  expect(await typed(['pause', '--url', url, ...WHO])).toMatchObject({ code: 1, err: expect.stringContaining('its lifecycle is running') })
  Object.assign(state, { lifecycle: 'paused' })
  expect(await typed(['pause', '--url', url, ...WHO])).toMatchObject({ code: 0 })
  expect(await typed(['resume', '--url', url, ...WHO])).toMatchObject({ code: 1, err: expect.stringContaining('still paused') })
})

test('an order that is refused, pending or unwritten is 1 and says so with its id', async () => {
  const said: [OrderOutcome, string][] = [
    [{ outcome: 'refused', code: 'RECONCILING', message: 'not before it is reconciled' }, 'strategy-engine: not before it is reconciled'],
    [{ outcome: 'pending', id: '41' }, 'order 41 (disarm) is written; not every lane'],
    [{ outcome: 'unavailable', message: 'no database; the gate is shut' }, 'the gate is shut'],
    [{ outcome: 'draining' }, 'is draining'],
  ]
  for (const [outcome, expected] of said) {
    const { url } = await served({}, outcome)
    const { code, err } = await typed(['disarm', 'strategy-engine', '--url', url, ...WHO])
    // `disarm` is no route of this fake, so that a missing order is seen as well.
    expect(code).toBe(1)
    expect(err).toContain('strategy-engine takes no order disarm')
    const pause = await typed(['pause', 'strategy-engine', '--url', url, ...WHO, '--json'])
    expect(pause.code).toBe(1)
    expect(pause.json().error.message).toContain(expected.replace('(disarm)', '(pause)'))
  }
})

test('drain is waited for until the process says drained, or is gone', async () => {
  const quick = await served()
  expect(await typed(['drain', 'strategy-engine', '--url', quick.url, ...WHO])).toMatchObject({
    code: 0,
    out: 'strategy-engine: drained\n',
  })
  const called = Promise.withResolvers<void>()
  const gone = await served({
    drain: () => {
      called.resolve()
      return Promise.withResolvers<void>().promise
    },
  })
  const waiting = typed(['drain', 'strategy-engine', '--url', gone.url, ...WHO, '--wait', '30'])
  await called.promise
  await gone.close()
  expect(await waiting).toMatchObject({ code: 0, out: 'strategy-engine: drained\n' })
  const stuck = await served({ drain: () => Promise.withResolvers<void>().promise })
  expect(await typed(['drain', 'strategy-engine', '--url', stuck.url, ...WHO, '--wait', '0'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('still running after 0 s'),
  })
})

test('the token goes along, and a missing or wrong one is named', async () => {
  const { url } = await served({}, undefined, 'correct-horse')
  expect(await typed(['status', '--url', url])).toMatchObject({
    code: 1,
    out: expect.stringMatching(/ not told +no /),
    err: expect.stringContaining('set CONTROL_TOKEN'),
  })
  expect(await typed(['status', '--url', url], { CONTROL_TOKEN: 'x' })).toMatchObject({
    code: 1,
    err: expect.stringContaining('CONTROL_TOKEN is not the one'),
  })
  expect(await typed(['status', '--url', url], { CONTROL_TOKEN: 'correct-horse' })).toMatchObject({ code: 0 })
})

test('a question that is not understood is 2 and orders nothing', async () => {
  const { url, orders } = await served()
  const questions = [
    ['armm', 'strategy-engine'],
    ['arm', '--url', url],
    ['arm', '--url', url, '--by', 'ana'],
    ['arm', '--url', url, '--by', '', '--reason', 'x'],
    ['arm', ...WHO],
    ['status', '--jsn'],
    ['why'],
    ['actor', 'command'],
    ['dead-letters', '--limit', 'all'],
  ]
  for (const question of questions) expect((await typed(question)).code, question.join(' ')).toBe(2)
  expect(orders).toEqual([])
})

test('help is 0, for the whole and for each command', async () => {
  const help = await typed(['--help'])
  expect(help.code).toBe(0)
  for (const name of [
    'status',
    'arm',
    'disarm',
    'pause',
    'resume',
    'drain',
    'why',
    'actor',
    'replay',
    'drop-days',
    'lag',
    'dead-letters',
  ]) {
    expect(help.out).toContain(name)
    expect(await typed([name, '--help'])).toMatchObject({ code: 0, out: expect.stringContaining('--json') })
  }
})

test('a service that does not run is named together with those that do', async () => {
  const { url } = await served()
  expect(await typed(['pause', 'strategy', ...WHO], services({ 'strategy-engine': url }))).toMatchObject({
    code: 1,
    err: 'unrip: no service strategy; there are: strategy-engine\n',
  })
})

test('an address that serves something else is not taken for a service', async () => {
  const { createServer } = await import('node:http')
  const other = createServer((_, answer) => answer.end('<html>'))
  const { promise, resolve } = Promise.withResolvers<void>()
  other.listen(0, '127.0.0.1', resolve)
  await promise
  onTestFinished(() => void other.close())
  const address = other.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  expect(await typed(['status', '--url', `http://127.0.0.1:${port}`])).toMatchObject({
    code: 1,
    err: expect.stringContaining('not that of a control API'),
  })
})

test('an actor is found in the service that has it, its key with slashes', async () => {
  const { url } = await served()
  const env = services({ 'strategy-engine': url })
  expect((await typed(['actor', 'command/near_intents:BTC/EURe', '--json'], env)).json()).toMatchObject({
    service: 'strategy-engine',
    key: 'near_intents:BTC/EURe',
  })
  expect(await typed(['actor', 'command/cmd-9'], env)).toMatchObject({ code: 1, err: 'unrip: no actor command/cmd-9 in any service\n' })
})

test('an actor is told as it was after a turn or at a time, and what changed between two turns', async () => {
  const at = await typed(['actor', 'quote/q-1', '--at', '2'])
  expect(at.code).toBe(0)
  expect(at.out).toBe(`quote/q-1 of strategy-engine, lane 1, after turn 2
state    ended
when     2026-11-21T10:00:00.000Z, turn 40 of the lane, batch 7, computed by other code
event    {"type":"result.arrived"}
asked    {"does":"tell","to":{"kind":"desk","key":"desk"},"event":{}}
context  {
           "outcome": "SETTLED"
         }
`)
  expect((await typed(['actor', 'quote/q-1', '--at', '2026-11-21T10:00:00Z', '--json'])).json()).toMatchObject({
    service: 'strategy-engine',
    sequence: 2,
    state: 'ended',
  })
  expect((await typed(['actor', 'quote/q-1', '--diff', '1..2'])).out).toBe(`quote/q-1 of strategy-engine, lane 1, between turn 1 and turn 2
  state  open -> ended
+ context.outcome  SETTLED
    2  2026-11-21T10:00:00.000Z  result.arrived: tell desk/desk, computed by other code
`)
  expect(await typed(['actor', 'quote/q-1', '--at', '1'])).toMatchObject({
    code: 1,
    err: 'unrip: strategy-engine quote/q-1: that turn is no longer kept; its history goes back to turn 2\n',
  })
  expect(await typed(['actor', 'order/1', '--at', '1'])).toMatchObject({ code: 1, err: 'unrip: no actor order/1 in any service\n' })
  for (const wrong of [
    ['--at', 'yesterday'],
    ['--at', '-1'],
    ['--diff', '2'],
    ['--diff', '3..2'],
    ['--at', '1', '--diff', '1..2'],
  ])
    expect(await typed(['actor', 'quote/q-1', ...wrong]), wrong.join(' ')).toMatchObject({ code: 2 })
})

test('drop-days keeps as many days as it is told, and names what went', async () => {
  expect(await typed(['drop-days', '--keep', '3'])).toMatchObject({ code: 0, out: 'unrip.journal_3\n' })
  expect((await typed(['drop-days', '--json'])).json()).toEqual({ dropped: ['unrip.journal_14'] })
  expect(await typed(['drop-days', '--keep', '0'])).toMatchObject({ code: 2 })
})

test('a replay that agrees ends with 0; one that differs with 1, names the turn, and is one JSON object', async () => {
  const agrees = await typed(['replay', 'strategy-engine', '--from', '1', '--to', '40'])
  expect(agrees).toMatchObject({ code: 0, err: 'strategy-engine: {"from":1,"to":40}\n' })
  expect(agrees.out).toMatch(/LANE +TURNS +PLAYED[\s\S]*1 +1\.\.40 +38 +0 +4 +2 +0 +0 +80\/s +agrees/)
  const differs = await typed(['replay', 'strategy-engine', '--lane', '1'])
  expect(differs).toMatchObject({ code: 1, err: expect.stringContaining('strategy-engine comes out otherwise: lane 1 at turn 40') })
  expect(differs.out).toContain('lane 1, turn 40 (batch 7, 2026-11-21T10:00:00.000Z), quote/q-1 turn 2')
  expect((await typed(['replay', 'strategy-engine', '--lane', '1', '--json'])).json().lanes[0].difference).toMatchObject({
    turn: 40,
    what: 'outputs',
  })
  const unplayed = { ...replayed(false), played: 0, skipped: { nothing_taken: 0, state_not_known: 0, not_loadable: 40 } }
  const replay = async (service: string) => ({ service, lanes: [unplayed] })
  expect(await typed(['replay', 'strategy-engine'], {}, { replay })).toMatchObject({
    code: 1,
    err: expect.stringContaining('40 turns start from what the code at hand does not load'),
  })
  expect(await typed(['replay', 'strategy-engine', '--lane', 'x'])).toMatchObject({ code: 2 })
  expect(await typed(['replay', 'strategy-engine', '--from', '9', '--to', '8'])).toMatchObject({ code: 2 })
})

test('lag and dead letters are tables, or JSON', async () => {
  expect((await typed(['lag'])).out).toMatch(/SERVICE +TOPIC[\s\S]*history-writer +exec\.trade_result +2 +10 +12 +2/)
  expect((await typed(['lag', '--json'])).json().lag).toHaveLength(1)
  expect((await typed(['dead-letters'])).out).toBe('none\n')
  const letter = {
    service: 'strategy-engine',
    lane: 1,
    turn: 40,
    kind: 'quote',
    key: 'q-9',
    cause: 'BAD_EVENT',
    origin: 'record norm.swap_demand/1@7',
    at: '2026-11-21',
    waits: false,
    ordered: null,
    done: null,
    event: { type: 'demand.arrived' },
  }
  const deadLetters: Readings['deadLetters'] = async ({ letter: at }) => (at === undefined || at.turn === 40 ? [letter] : [])
  expect((await typed(['dead-letters'], {}, { deadLetters })).out).toMatch(/1:40 +quote\/q-9 +held +BAD_EVENT/)
  expect((await typed(['dead-letters', 'show', 'strategy-engine', '1:40'], {}, { deadLetters })).out).toContain('demand.arrived')
  expect(await typed(['dead-letters', 'show', 'strategy-engine', '1:41'], {}, { deadLetters })).toMatchObject({ code: 1 })
  expect(await typed(['dead-letters', 'show', 'strategy-engine', 'forty'], {}, { deadLetters })).toMatchObject({ code: 2 })
})

describe('dead letters are resolved', () => {
  const AT = '2026-11-21T10:00:00.000Z'
  const held = { kind: 'quote', key: 'q-9', turn: 40, since: AT, cause: 'it threw' }
  /** What the service says to the order, and of its lane each time it is asked; the last one stays. */
  const resolving = async (letters: number, ...parked: { lane?: number; under_way: number; actors: object[] }[]) => {
    const answer = {
      outcome: 'taken',
      letters,
      waiting: 3,
      left: 0,
      as_of: { turn: 60, at: AT },
      actors: letters === 0 ? [] : ['quote/q-8'],
    }
    const route = (name: string) =>
      ({ name: `${name}-dead-letters`, method: 'POST', path: `/dead-letters/${name}`, summary: name, schema: WhichLetters }) as const
    let asked = 0
    const host = await served({
      orders: [route('replay'), route('drop')],
      order: async (order) => {
        host.orders.push(order)
        return { outcome: 'done', id: '9', answers: [{ lane: 0, answer }] }
      },
      describe: async () => {
        const now = parked[Math.min(asked++, parked.length - 1)]
        return { ...host.state, lanes: [{ lane: now?.lane ?? 0, parked: now }] }
      },
    })
    return host
  }
  const signed = ['--by', 'ada', '--reason', 'mended']

  test('by an order that names them, who and why, and what it set going is waited for', async () => {
    const host = await resolving(1, { under_way: 1, actors: [] }, { under_way: 1, actors: [] }, { under_way: 0, actors: [] })
    const done = await typed(['dead-letters', 'replay', '--url', host.url, '--turn', '1:40', ...signed])
    expect(done).toMatchObject({ code: 0, out: expect.stringContaining('1 replayed, 3 that waited behind went on') })
    expect((await typed(['dead-letters', 'replay', '--url', host.url, '--all', ...signed, '--json'])).json()).toMatchObject({
      letters: 1,
      waiting: 3,
    })
    expect(host.orders).toMatchObject([{ order: 'replay-dead-letters', by: 'ada', reason: 'mended', arguments: { lane: 1, turn: 40 } }, {}])
  })

  test.each([
    [['--actor', 'quote/a/b'], { kind: 'quote', key: 'a/b' }],
    [['--actor', '/'], { kind: '', key: '' }],
    [['--since', '2026-11-21T10:00:00Z'], { since: '2026-11-21T10:00:00.000Z' }],
    [['--all'], { all: true }],
  ])('%j', async (args, expected) => {
    const host = await resolving(1, { under_way: 0, actors: [] })
    expect(await typed(['dead-letters', 'drop', '--url', host.url, ...args, ...signed])).toMatchObject({ code: 0 })
    expect(host.orders[0]?.arguments).toEqual(expected)
  })

  test('and it is a failure where one is parked again, where none was held, and where it takes longer than is waited for', async () => {
    const again = await resolving(1, { under_way: 0, actors: [held] })
    const all = ['--all', ...signed]
    expect(await typed(['dead-letters', 'replay', '--url', again.url, ...all])).toMatchObject({
      code: 1,
      err: expect.stringContaining('quote/q-9 is parked again (it threw)'),
    })
    const others = await resolving(1, {
      under_way: 0,
      actors: [
        { ...held, turn: 61 },
        { ...held, since: '2026-11-21T09:59:59.999Z' },
      ],
    })
    expect(await typed(['dead-letters', 'replay', '--url', others.url, ...all])).toMatchObject({ code: 0 })
    const none = await resolving(0, { under_way: 0, actors: [] })
    expect(await typed(['dead-letters', 'drop', '--url', none.url, ...all])).toMatchObject({ code: 1 })
    const slow = await resolving(1, { under_way: 1, actors: [] })
    expect(await typed(['dead-letters', 'replay', '--url', slow.url, '--wait', '0.1', ...all])).toMatchObject({
      code: 1,
      err: expect.stringContaining('still being taken'),
    })
  })

  test('and in a lane of another process nobody can tell from here what came of it', async () => {
    const host = await resolving(1, { lane: 1, under_way: 0, actors: [] })
    expect(await typed(['dead-letters', 'replay', '--url', host.url, '--all', ...signed])).toMatchObject({
      code: 1,
      err: expect.stringContaining('another process has lane 0'),
    })
  })

  test.each([
    ['nothing is named', []],
    ['two things are', ['--all', '--turn', '1:40']],
    ['a turn has no lane', ['--turn', '40']],
    ['a time is none', ['--since', 'yesterday']],
    ['a number is no time', ['--since', '5']],
  ])('but not where %s', async (_, args) => {
    expect(await typed(['dead-letters', 'drop', '--url', 'http://127.0.0.1:1', ...args, ...signed])).toMatchObject({ code: 2 })
  })
})

test('why tells the whole chain in order, with all reasons and amounts in their assets', async () => {
  const { code, out } = await typed(['why', 'q-1'])
  expect(code).toBe(0)
  const order = ['quote q-1', 'demand', 'price', 'inventory', 'decision', 'command', 'SUBMITTED', 'SETTLED'].map((word) =>
    out.indexOf(word),
  )
  expect(order).toEqual(order.toSorted((a, b) => a - b))
  expect(out).not.toContain('?')
  expect(out).toContain('a taker gives 0.001 BTC for some EURe (fixed: in)')
  expect(out).toContain('kraken bid 61224.5, ask 61226.1; coingecko 61230; used: kraken, 120 ms old when decided')
  expect(out).toContain('inv-12 at block 345: spendable 5000 EURe (eure), 7 units (nbtc)')
  expect(out).toContain('trade: TRADE, dec-q-1')
  expect(out).toContain('gross edge 2.0001 %, threshold 2.00 %')
  expect(out).toContain('cmd-q-1: offer 0.001 BTC for 60 EURe')
  expect(out).toContain('SETTLED (settled) (+3.2 s)')
  expect((await typed(['why', 'q-1', '--json'])).json()).toEqual(chain)
})

test('why says of an unfinished quote what is missing, and of an unknown one that there is none', async () => {
  const demandOnly = { ...chain, records: chain.records.slice(0, 1) }
  expect((await typed(['why', 'q-1'], {}, { quoteChain: async () => demandOnly })).out).toContain(
    'not decided, or the decision is not in the history yet',
  )
  expect(await typed(['why', 'q-2'])).toMatchObject({ code: 1, err: 'unrip: the history has no quote q-2\n' })
})

test('snapshots check names what would not load and ends with 1, and with 0 where all of it would', async () => {
  const service = { service: 'strategy-engine', actors: 3, timers: 1, effects: 0, parked: 0, structures: { 'quote 1 aa': 3 } }
  const finding = {
    service: 'strategy-engine',
    lane: 2,
    what: 'timer',
    kind: 'quote',
    key: 'q-1',
    name: 't',
    version: 1,
    hash: 'aa',
    reason: 'no such event',
  }
  const asked: object[] = []
  const checked = (failing: number) => ({
    check: async (query: object) => {
      asked.push(query)
      return { services: [{ ...service, not_loadable: failing }], findings: failing > 0 ? [finding] : [], more: Math.max(0, failing - 1) }
    },
  })
  const good = await typed(['snapshots', 'check', '--service', 'strategy-engine', '--json'], {}, {}, checked(0))
  expect([good.code, good.json()]).toMatchObject([0, { services: [{ not_loadable: 0 }], findings: [] }])
  expect(asked).toMatchObject([{ services: ['strategy-engine'], limit: 100 }])
  const bad = await typed(['snapshots', 'check'], {}, {}, checked(2))
  expect(bad.code).toBe(1)
  expect(bad.out).toMatch(/2 +quote\/q-1 +timer t +1 \(aa\) +no such event\n… and 1 more/)
  expect(bad.err).toContain('2 stored would not load with the code at hand')
  expect((await typed(['snapshots', 'check', '--limit', 'many'])).code).toBe(2)
})

test('snapshots down needs who and why, and tells what it has written', async () => {
  const done = { service: 'strategy-engine', targets: { quote: 1 }, actors: 3, timers: 2, effects: 1, parked: 0 }
  const given: object[] = []
  const down = async (order: object) => {
    given.push(order)
    return done
  }
  const line = ['snapshots', 'down', '--service', 'strategy-engine', '--to', 'quote=1', 'desk=2']
  expect((await typed(line, {}, {}, { down })).code).toBe(2)
  const told = await typed([...line, ...WHO], {}, {}, { down })
  expect([told.code, told.out]).toEqual([
    0,
    expect.stringContaining('3 actors, 2 timers, 1 effects, 0 parked events are now as of quote 1'),
  ])
  expect(given).toMatchObject([{ service: 'strategy-engine', to: ['quote=1', 'desk=2'], by: 'ana', reason: 'drill' }])
})
