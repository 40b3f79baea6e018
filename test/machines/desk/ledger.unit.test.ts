import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ExecuteTrade } from '#machines/contracts/records/trade.ts'
import { BTC, demandOf, EURE, inventoryAt, krakenAt, NBTC, priceOf, resultOf, TestDesk } from './trading.ts'

const TOKENS = [BTC, NBTC, EURE] as const
type Token = (typeof TOKENS)[number]

/** What can happen next; numbers pick among what is there. */
type Step =
  | { does: 'demand'; gives: 'btc' | 'nbtc' | 'eure'; units: number }
  | { does: 'block' }
  | { does: 'settle' | 'expire'; pick: number }
  | { does: 'read' | 'deliver inventory'; pick: number }
  | { does: 'deliver result'; pick: number }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        does: fc.constant('demand' as const),
        gives: fc.constantFrom('btc' as const, 'nbtc' as const, 'eure' as const),
        units: fc.integer({ min: 1, max: 60 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('block' as const) }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('settle' as const), pick: fc.nat(50) }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('expire' as const), pick: fc.nat(50) }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('read' as const, 'deliver inventory' as const), pick: fc.nat(50) }) },
    { weight: 4, arbitrary: fc.record({ does: fc.constant('deliver result' as const), pick: fc.nat(50) }) },
  ),
  { minLength: 20, maxLength: 120, size: 'max' },
)

/**
 * The oracle: a chain that knows balances by height and which offers can still settle. Results and inventory records are
 * delivered late and in any order, several SUBMITTED after their SETTLED; the desk must never have promised more than there is.
 */
class Chain {
  height = 100
  readonly balance: Record<Token, bigint> = { [BTC]: 20_000n, [NBTC]: 12_000n, [EURE]: 16n * 10n ** 18n }
  readonly open = new Map<string, ExecuteTrade>()
  readonly undelivered: { command: ExecuteTrade; code: 'SUBMITTED' | 'UNCERTAIN' | 'SETTLED' | 'EXPIRED_UNUSED'; height: number | null }[] =
    []
  readonly records: { height: number; balance: Record<Token, string> }[] = []

  end(pick: number, code: 'SETTLED' | 'EXPIRED_UNUSED'): void {
    const command = [...this.open.values()][pick % Math.max(1, this.open.size)]
    if (!command) return
    this.open.delete(command.quote_id)
    if (code === 'SETTLED') {
      this.balance[command.asset_out as Token] -= BigInt(command.amount_out)
      this.balance[command.asset_in as Token] += BigInt(command.amount_in)
    }
    // What a block did is read at its height or later: a settlement of this height is in no record that was made before it.
    if (code === 'SETTLED') this.height += 1
    this.undelivered.push({ command, code, height: code === 'SETTLED' ? this.height : null })
  }

  read(): void {
    this.records.push({
      height: this.height,
      balance: { [BTC]: this.balance[BTC].toString(), [NBTC]: this.balance[NBTC].toString(), [EURE]: this.balance[EURE].toString() },
    })
  }

  /** What remains of each token if every open offer settles now. */
  worst(): bigint[] {
    return TOKENS.map((token) =>
      [...this.open.values()].reduce(
        (left, { asset_out, amount_out }) => (asset_out === token ? left - BigInt(amount_out) : left),
        this.balance[token],
      ),
    )
  }
}

const demandFor = (id: string, gives: 'btc' | 'nbtc' | 'eure', units: number) =>
  gives === 'eure'
    ? demandOf(id, { amount_in: String(units * 100) })
    : demandOf(id, {
        direction: 'eure_to_btc',
        asset_in: EURE,
        asset_out: gives === 'btc' ? BTC : NBTC,
        fixed_side: 'out',
        amount_in: null,
        amount_out: String(units * 100),
      })

describe('reservations and bookings', () => {
  it('never sum to more than is credited, whatever comes in whatever order (I3)', () => {
    let trades = 0
    fc.assert(
      fc.property(steps, (list) => {
        const chain = new Chain()
        const desk = new TestDesk({ max_notional_eure: '1000' })
        const offered = new Map<string, ExecuteTrade>()
        chain.read()
        const show = (record: Chain['records'][number] | undefined): void => {
          if (record) desk.inventory = inventoryAt(desk.lane.now, record.balance, record.height)
        }
        show(chain.records[0])
        list.forEach((step, index) => {
          desk.lane.now += 10
          desk.price = priceOf(krakenAt(desk.lane.now))
          if (step.does === 'demand') {
            const { command } = desk.ask(demandFor(`q${index}`, step.gives, step.units))
            if (command) {
              trades += 1
              offered.set(command.quote_id, command)
              chain.open.set(command.quote_id, command)
              chain.undelivered.push({ command, code: index % 2 ? 'SUBMITTED' : 'UNCERTAIN', height: null })
            }
          } else if (step.does === 'block') chain.height += 1
          else if (step.does === 'settle') chain.end(step.pick, 'SETTLED')
          else if (step.does === 'expire') chain.end(step.pick, 'EXPIRED_UNUSED')
          else if (step.does === 'read') chain.read()
          // Usually the newest record arrives, but any may, also one below what has been seen.
          else if (step.does === 'deliver inventory') show(chain.records.at(step.pick % 5 === 0 ? step.pick % chain.records.length : -1))
          else {
            const [result] = chain.undelivered.splice(step.pick % Math.max(1, chain.undelivered.length), 1)
            if (result) {
              const isFinal = result.code === 'SETTLED' || result.code === 'EXPIRED_UNUSED'
              desk.hears(resultOf(result.command, result.code, result.height))
              if (isFinal) offered.delete(result.command.quote_id)
            }
          }
          for (const left of chain.worst()) assert(left >= 0n, 'promised more than there is')
          // The totals equal the sum over the quotes, and over what a plain list of open offers says.
          assert.deepEqual(desk.desk.ledger.reserved, desk.heldByQuotes())
          assert.equal(desk.desk.ledger.open, offered.size)
        })
      }),
      { numRuns: 250, seed: 11 },
    )
    expect(trades).toBeGreaterThan(500)
  }, 60_000)
})
