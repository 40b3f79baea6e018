import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import type { Output } from '#actors/runtime/machine/xstate-names.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import { quoteHash, readNonce } from '#machines/contracts/nep413.ts'
import { ExecuteTrade, isFinal, TradeResult } from '#machines/contracts/records/trade.ts'
import type { Stamp } from '#machines/contracts/stamp.ts'
import type { Means } from '#machines/command/assess.ts'
import { commandMachine } from '#machines/command/machine.ts'
import type { CommandContext, CommandEvent, CommandTells, SendOffer } from '#machines/command/machine.ts'
import { tallyMachine } from '#machines/command/tally.ts'
import type { TallyContext, TallyEvent } from '#machines/command/tally.ts'
import { TestLane } from '../lane.ts'

const BTC = 'nep141:btc.omft.near'
const EURE = 'nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near'
const NOW = 1_790_000_000_000
const EFFECT = 'i:1:0'

const commandOf = (more: Partial<ExecuteTrade> = {}): ExecuteTrade =>
  ExecuteTrade.parse({
    command_id: 'cmd-q1',
    idempotency_key: 'near_intents:q1',
    execution_key: `near_intents:${BTC}->${EURE}`,
    decision_id: 'dec-q1',
    quote_id: 'q1',
    pair: PAIR,
    direction: 'btc_to_eure',
    asset_in: BTC,
    asset_out: EURE,
    amount_in: '5000',
    amount_out: '2940000000000000000',
    fixed_side: 'in',
    answer_by: new Date(NOW + 3_000).toISOString(),
    offer_deadline: new Date(NOW + 70_000).toISOString(),
    reason: 'test',
    ...more,
  })

const MEANS: Means = {
  salt: '252812b3',
  recent_salts: [],
  account_id: 'solver.near',
  contract_id: 'intents.near',
  signer: 'ready',
  nonce_keep_ms: 259_200_000,
  btc_tokens: [BTC, 'nep141:nbtc.bridge.near'],
  eure_token: EURE,
  inventory: { spendable: { [EURE]: '2940000000000000000' } },
  audited: true,
}

type Plain = { type: string; [field: string]: unknown }
const COMMAND = { kind: 'command', key: 'cmd-q1' }
const TALLY = { kind: 'tally', key: 'tally' }

const received = (more: Partial<ExecuteTrade> = {}): Plain => ({ type: 'command.received', command: commandOf(more) })
const answered = (answer: object): Plain => ({ type: 'sendOffer.answered', effect: EFFECT, answer })
const OK = answered({ kind: 'ok' })
const SILENCE = answered({ kind: 'silence', reason: 'no answer within 5000 ms' })
const said = (text: string): Plain => answered({ kind: 'error', code: -32_000, text })
const UNCERTAIN: Plain = { type: 'sendOffer.uncertain', effect: EFFECT }
const HAPPENED: Plain = {
  type: 'sendOffer.happened',
  effect: EFFECT,
  as_of_ms: NOW + 9_000,
  answer: { tx_hash: 'tx', settled_height: 77, quote_hash: 'hash' },
}
const NEVER: Plain = { type: 'sendOffer.never', effect: EFFECT, as_of_ms: NOW + 71_000 }
const notSent = (reason: string): Plain => ({ type: 'sendOffer.not_sent', effect: EFFECT, reason })

const run = (events: readonly Plain[], means: Partial<Means> = {}, now = NOW) => {
  const lane = new TestLane({
    command: {
      machine: commandMachine,
      input: (command_id) => ({ command_id }),
      attach: (type) => (type === 'command.received' ? { ...MEANS, ...means } : undefined),
    },
    tally: { machine: tallyMachine, input: () => ({}) },
  })
  lane.now = now
  const outputs: Output[] = events.flatMap((event) => lane.send(COMMAND, event))
  return {
    lane,
    results: outputs.flatMap((output) => (output.does === 'message' ? [TradeResult.parse(output.params.payload)] : [])),
    sends: outputs.flatMap((output) => (output.does === 'effect' ? [output.params as SendOffer] : [])),
    tally: lane.context<TallyContext>(TALLY),
  }
}
const codes = (events: readonly Plain[]): string[] => run(events).results.map(({ result_code }) => result_code)

describe('command, before anything is sent', () => {
  it('fixes the exact bytes, their hash, and until when they can settle', () => {
    const { sends, results, lane } = run([received()])
    expect(results).toEqual([])
    expect(sends).toHaveLength(1)
    const [send] = sends as [SendOffer]
    expect(JSON.parse(send.message)).toEqual({
      signer_id: 'solver.near',
      deadline: new Date(NOW + 70_000).toISOString(),
      intents: [{ intent: 'token_diff', diff: { [BTC]: '5000', [EURE]: '-2940000000000000000' } }],
    })
    expect(send).toMatchObject({
      quote_id: 'q1',
      quote_output: { amount_out: '2940000000000000000' },
      recipient: 'intents.near',
      not_after_ms: NOW + 70_000,
      answer_by_ms: NOW + 3_000,
    })
    expect(send.quote_hash).toBe(quoteHash(send))
    expect(lane.context<CommandContext>(COMMAND).quote_hash).toBe(send.quote_hash)
  })

  it('names the amount that the request left to us where it fixed what the taker wants', () => {
    expect(run([received({ fixed_side: 'out' })]).sends[0]?.quote_output).toEqual({ amount_in: '5000' })
  })

  it('the same command gives the same bytes (I5)', () => {
    expect(run([received()]).sends).toEqual(run([received()]).sends)
  })

  const REFUSALS: [string, string, Partial<ExecuteTrade>, Partial<Means>, number?][] = [
    ['the auction is over', 'TOO_LATE', {}, {}, NOW + 3_000],
    ['there is no key', 'SIGNER_MISSING', {}, { signer: 'missing' }],
    ['the key is not registered', 'SIGNER_NOT_AUTHORIZED', {}, { signer: 'not_authorized' }],
    ['the salt is not known', 'SIGNER_NOT_AUTHORIZED', {}, { salt: null }],
    ['the history cannot be written, in strict mode', 'DISARMED', {}, { audited: false }],
    ['less is credited by now', 'INVENTORY_INSUFFICIENT', {}, { inventory: { spendable: { [EURE]: '2939999999999999999' } } }],
    ['the token is not in the inventory', 'INVENTORY_INSUFFICIENT', {}, { inventory: { spendable: {} } }],
    ['it names another quote', 'BAD_COMMAND', { quote_id: 'q2' }, {}],
    ['its idempotency key is not of its quote', 'BAD_COMMAND', { idempotency_key: 'near_intents:q2' }, {}],
    [
      'an asset is not of the pair',
      'BAD_COMMAND',
      { asset_in: 'nep141:wrap.near', execution_key: `near_intents:nep141:wrap.near->${EURE}` },
      {},
    ],
    ['its direction is the reverse of its assets', 'BAD_COMMAND', { direction: 'eure_to_btc' }, {}],
    ['an amount is zero', 'BAD_COMMAND', { amount_in: '0' }, {}],
    ['an amount is beyond what the verifier can hold', 'BAD_COMMAND', { amount_in: '9'.repeat(40) }, {}],
  ]
  it.each(REFUSALS)('when %s it ends with %s and nothing is sent', (_title, code, command, means, now) => {
    const { results, sends, tally, lane } = run([received(command)], means, now)
    expect(sends).toEqual([])
    expect(results).toMatchObject([{ result_code: code, status: 'failed', execution_id: null, quote_hash: null, note: expect.any(String) }])
    expect(lane.state(COMMAND)?.status).toBe('done')
    expect(tally).toMatchObject({ in_flight: 0, completed: 1, results: { [code]: 1 }, last_command: { command_id: 'cmd-q1' } })
  })

  const FORGOTTEN = { ...received(), maybe_taken_before: true }

  it('what may have been taken before storage went back is asked about, whatever would speak against sending it now', () => {
    const { results, sends } = run([FORGOTTEN], { signer: 'missing', audited: false, inventory: { spendable: {} } }, NOW + 60_000)
    expect(results).toEqual([])
    expect(sends).toEqual(run([received()]).sends)
  })

  const saltsOf = ([send]: readonly SendOffer[]) => send?.asked_for.map(({ nonce }) => readNonce(Buffer.from(nonce, 'base64'))?.salt_hex)

  it('and under every salt that it may have been signed with then, the current one first', () => {
    const recent_salts = ['11111111', '252812b3', '22222222', '11111111']
    const { sends } = run([FORGOTTEN], { recent_salts })
    expect(saltsOf(sends)).toEqual(['252812b3', '11111111', '22222222'])
    const [then] = run([received()], { salt: '11111111' }).sends
    expect(sends[0]?.asked_for).toContainEqual({ nonce: then?.nonce, quote_hash: then?.quote_hash })
    expect(sends[0]).toMatchObject({ nonce: sends[0]?.asked_for[0]?.nonce, quote_hash: sends[0]?.asked_for[0]?.quote_hash })
    expect(saltsOf(run([received()], { recent_salts }).sends)).toEqual(['252812b3'])
  })

  it('its settlement names the hash of the offer that settled', () => {
    const { results } = run([FORGOTTEN, HAPPENED], { recent_salts: ['11111111'] })
    expect(results.at(-1)).toMatchObject({ result_code: 'SETTLED', quote_hash: 'hash' })
  })

  it('and without a salt, which says what to ask for, it is left to a person', () => {
    expect(() => run([FORGOTTEN], { salt: null, recent_salts: ['11111111'] })).toThrow('salt')
  })

  it('an inventory that is not known here is not looked at', () => {
    expect(run([received()], { inventory: null }).sends).toHaveLength(1)
  })
})

describe('command, once an offer may have left', () => {
  it('answered and settled: SUBMITTED, then SETTLED with its height', () => {
    const { results, tally } = run([received(), OK, HAPPENED])
    expect(results).toMatchObject([
      { result_code: 'SUBMITTED', status: 'submitted', execution_id: EFFECT },
      { result_code: 'SETTLED', status: 'settled', execution_id: EFFECT, tx_hash: 'tx', settled_height: 77 },
    ])
    expect(tally).toMatchObject({ in_flight: 0, completed: 1, last_venue_response: { result_code: 'SUBMITTED' } })
  })

  it('silence is UNCERTAIN, and the truth follows', () => {
    expect(codes([received(), SILENCE, HAPPENED])).toEqual(['UNCERTAIN', 'SETTLED'])
    expect(codes([received(), SILENCE, NEVER])).toEqual(['UNCERTAIN', 'EXPIRED_UNUSED'])
  })

  it('a refusal by the relay ends nothing: what was signed may settle all the same', () => {
    expect(codes([received(), said('internal')])).toEqual(['REJECTED'])
    expect(codes([received(), said('internal'), HAPPENED])).toEqual(['REJECTED', 'SETTLED'])
  })

  it.each([
    ['internal', 'VENUE_REJECTED'],
    ['quote not found or already finished', 'TOO_LATE'],
    ['insufficient balance or overflow', 'INVENTORY_INSUFFICIENT'],
    ["public key 'ed25519:x' doesn't exist for account 'solver.near'", 'SIGNER_NOT_AUTHORIZED'],
  ])('refused with "%s" and unused for good it ends with %s', (text, code) => {
    expect(run([received(), said(text), NEVER]).results.at(-1)).toMatchObject({ result_code: code, status: 'failed', note: text })
  })

  it('taken over by another process: RECOVERED, without a second send', () => {
    const { results, sends } = run([received(), UNCERTAIN, NEVER])
    expect(results.map(({ result_code }) => result_code)).toEqual(['RECOVERED', 'EXPIRED_UNUSED'])
    expect(sends).toHaveLength(1)
  })

  it('seen again while under way: RECOVERED once, without a second send (R149)', () => {
    const { results, sends } = run([received(), OK, received(), received()])
    expect(results.map(({ result_code }) => result_code)).toEqual(['SUBMITTED', 'RECOVERED'])
    expect(sends).toHaveLength(1)
  })

  it('seen again when it has ended: nothing (R148)', () => {
    const { results, lane } = run([received(), OK, HAPPENED, received()])
    expect(results).toHaveLength(2)
    expect(lane.dropped).toEqual(['command.command.received'])
  })

  it.each([
    ['disarmed', 'DISARMED'],
    ['too late', 'TOO_LATE'],
    ['signer missing', 'SIGNER_MISSING'],
    ['anything else', 'VENUE_REJECTED'],
  ])('provably not sent because "%s" it ends at once with %s', (reason, code) => {
    expect(codes([received(), notSent(reason)])).toEqual([code])
  })

  it('publishes one final result and asks for one send, whatever comes in whatever order (I1)', () => {
    const events = [received(), OK, SILENCE, said('no'), UNCERTAIN, HAPPENED, NEVER, notSent('disarmed')]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...events), { maxLength: 25 }), (list) => {
        const { results, sends, tally, lane } = run([received(), ...list, NEVER])
        expect(sends).toHaveLength(1)
        expect(results.filter(({ result_code }) => isFinal(result_code))).toHaveLength(1)
        expect(isFinal(results.at(-1)?.result_code ?? 'SUBMITTED')).toBe(true)
        expect(new Set(results.map(({ result_code }) => result_code)).size).toBe(results.length)
        expect(tally).toMatchObject({ in_flight: 0, completed: 1 })
        expect(lane.size(COMMAND)).toBeLessThan(1_800)
      }),
      { numRuns: 300, seed: 3 },
    )
  })

  it('what it tells the tally is what the tally understands, and both know their events', () => {
    expectTypeOf<CommandTells & Stamp>().toExtend<TallyEvent>()
    expect(runnable(commandMachine, 1).knows('sendOffer.never' satisfies CommandEvent['type'])).toBe(true)
  })
})
