import { unpackOutbox } from '#actors/runtime/outbox.ts'
import type { BusRecord } from '#actors/runtime/bus-port.ts'
import type { TallyContext } from '#machines/command/tally.ts'
import type { AlertEvent } from '#machines/contracts/records/operations.ts'
import type { SwapDemand } from '#machines/contracts/records/quote.ts'
import type { ExecuteTrade, TradeDecision, TradeResult } from '#machines/contracts/records/trade.ts'
import { isFinal } from '#machines/contracts/records/trade.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import { spokenFor } from '#machines/desk/ledger.ts'
import type { DeskContext } from '#machines/desk/machine.ts'
import type { QuoteContext } from '#machines/quote/machine.ts'
import type { StoredLane } from '../../twins/store-lane.ts'
import type { Commit, Stage } from '../cast.ts'
import type { SignedOffer, Venue } from './venue.ts'

const STRATEGY = 'strategy-engine'
const EXECUTOR = 'trade-executor'
/** So long after a failover a process may still send what it had committed before and the database has forgotten. */
const UNHEARD_MS = 3_000

/** What the history writer reads. */
const HISTORY = [
  'raw.near_intents.quote',
  'norm.swap_demand',
  'ref.market_price',
  'state.intent_inventory',
  'decision.trade_decision',
  'cmd.execute_trade',
  'exec.trade_result',
  'ops.alert_event',
  'ops.lane_state',
] as const

interface Parsed<C> {
  readonly value: unknown
  readonly c: C
}

interface Read<P> {
  readonly event_id: string
  readonly partition: number
  readonly offset: number
  readonly payload: P
}

/**
 * What the loop owes: each demand a decision, each command one end and never two sends, and never more promised than is credited (I1, I3,
 * I4). A database that went back makes offers that nobody remembers: until their deadlines are over and an inventory has been read
 * after them, what is promised is not held against what is credited, and afterwards it is again.
 */
export class Accounts {
  readonly unreadable: string[] = []
  readonly #stage: Stage
  readonly #venue: Venue
  readonly #effects = new Map<string, string>()
  /** `strategy lane/quote_id` → what it holds of a token */
  readonly #held = new Map<string, { readonly lane: number; readonly token: string; readonly units: bigint }>()
  /** of offers that settled, as the chain has it */
  readonly #settled: { readonly lane: number; readonly token: string; readonly units: bigint; readonly height: number }[] = []
  readonly #decided = new Set<string>()
  /** quote_id → when its command was committed */
  readonly #commandedAtMs = new Map<string, number>()
  readonly #seenHeights = new Map<number, number>()
  readonly #readTo = new Map<string, number>()
  readonly #positions = new Set<string>()
  /** the newest of each lane that says something in a partition */
  readonly #incarnations = new Map<string, string>()
  readonly #log: BusRecord[] = []
  readonly #demandAt = new Map<string, string>()
  #wentBackAtMs: number | null = null
  /** since when promises are held against the credited again, after a failover; null: they are not */
  #cleanFromMs: number | null = 0

  constructor(stage: Stage, venue: Venue) {
    this.#stage = stage
    this.#venue = venue
    venue.onOverdrawn = (offer) => {
      if (this.#isHeldAgainst(offer))
        this.#violated(`I3 ${offer.command_id} wants to settle ${offer.units} ${offer.token}, which is not there`)
    }
  }

  effectOf(nonce: string): string | undefined {
    return this.#effects.get(nonce)
  }

  #violated(what: string): void {
    this.#stage.violated(what)
  }

  // --- at every commit ---

  committed({ service, batch, row }: Commit): void {
    if (service === EXECUTOR)
      for (const { name, effect, body } of batch.effects) {
        if (name !== 'sendOffer') continue
        const { params } = JSON.parse(text(body)) as { params: { nonce: string } }
        const known = this.#effects.get(params.nonce)
        if (known !== undefined && known !== effect && this.#wentBackAtMs === null)
          this.#violated(`I1 one nonce in two effects: ${known} and ${effect}`)
        this.#effects.set(params.nonce, effect)
      }
    if (service === STRATEGY) this.#strategyCommitted(batch, row)
  }

  #strategyCommitted(batch: Commit['batch'], row: StoredLane): void {
    const { lane } = batch
    let desk: DeskContext | null = null
    for (const { kind, key, body } of batch.actors) {
      if (kind === 'desk') desk = (JSON.parse(text(body)) as Parsed<DeskContext>).c
      if (kind === 'quote') this.#quoteCommitted(lane, key, JSON.parse(text(body)) as Parsed<QuoteContext>)
    }
    const trades = this.#decisions(batch)
    for (const { key } of batch.actors.filter(({ kind }) => kind === 'quote')) this.#checkDecided(lane, key, row)
    if (desk) this.#checkDesk(lane, desk, trades)
    this.#checkDemands(batch, row)
  }

  #quoteCommitted(lane: number, quote_id: string, { value, c: { reserved, latest_result } }: Parsed<QuoteContext>): void {
    const at = `${lane}/${quote_id}`
    const held = this.#held.get(at)
    if (held && value === 'ended' && latest_result === 'SETTLED') {
      const offer = [...this.#venue.offers.values()].find((one) => one.quote_id === quote_id && one.settledAtMs !== null)
      this.#settled.push({ ...held, height: this.#venue.heightAt(offer?.settledAtMs ?? 0) })
    }
    if (value === 'open' && reserved) this.#held.set(at, { lane, token: reserved.token, units: BigInt(reserved.units) })
    else this.#held.delete(at)
  }

  /** @returns the last trade of each token that is given */
  #decisions({ outbox }: Commit['batch']): Map<string, TradeDecision> {
    const trades = new Map<string, TradeDecision>()
    if (outbox === null) return trades
    for (const { topic, text: json } of unpackOutbox(outbox)) {
      if (topic !== 'decision.trade_decision') continue
      const { payload } = JSON.parse(json) as { payload: TradeDecision }
      if (this.#decided.has(payload.quote_id) && this.#wentBackAtMs === null) this.#violated(`I1 ${payload.quote_id} is decided twice`)
      this.#decided.add(payload.quote_id)
      if (payload.decision !== 'trade') continue
      trades.set(payload.asset_out, payload)
      this.#commandedAtMs.set(payload.quote_id, this.#stage.time.nowMs)
    }
    return trades
  }

  #checkDecided(lane: number, quote_id: string, { actors }: StoredLane): void {
    const stored = actors.get(`quote\0${quote_id}`)
    if (!stored) return
    const { c } = JSON.parse(text(stored.body)) as Parsed<QuoteContext>
    if (c.decision_reason !== null && !this.#decided.has(quote_id)) this.#violated(`I4 lane ${lane} decided ${quote_id} and did not say so`)
  }

  /** I3: the desk's totals are what its quotes hold, and with them and its bookings no trade promises more than it has seen credited. */
  #checkDesk(lane: number, { ledger }: DeskContext, trades: ReadonlyMap<string, TradeDecision>): void {
    this.#seenHeights.set(lane, ledger.seen_height)
    const sums = new Map<string, bigint>()
    let open = 0
    for (const held of this.#held.values()) {
      if (held.lane !== lane) continue
      open++
      sums.set(held.token, (sums.get(held.token) ?? 0n) + held.units)
    }
    for (const [token, units] of Object.entries(ledger.reserved))
      if (BigInt(units) !== (sums.get(token) ?? 0n))
        this.#violated(`I3 desk ${lane} reserves ${units} ${token}, its quotes hold ${sums.get(token)}`)
    if (open !== ledger.open || sums.size !== Object.keys(ledger.reserved).length)
      this.#violated(`I3 desk ${lane} has ${ledger.open} open offers, its quotes ${open}`)
    for (const [token, units] of this.#unseen(lane, ledger.seen_height)) {
      const booked = (ledger.bookings[token] ?? []).reduce((sum, [each]) => sum + BigInt(each), 0n)
      if (booked < units)
        this.#violated(`I3 desk ${lane} books ${booked} ${token}, ${units} have settled above height ${ledger.seen_height}`)
    }
    const promised = spokenFor(ledger)
    for (const [token, { quote_id, inventory_snapshot }] of trades) {
      const credited = BigInt(inventory_snapshot?.spendable[token] ?? '0')
      if (BigInt(promised[token] ?? '0') > credited)
        this.#violated(`I3 ${quote_id}: ${promised[token]} ${token} promised, ${credited} credited`)
    }
  }

  /** Units of each token that have settled above the inventory that a desk has seen. */
  #unseen(lane: number, seenHeight: number): Map<string, bigint> {
    const sums = new Map<string, bigint>()
    for (const one of this.#settled)
      if (one.lane === lane && one.height > seenHeight) sums.set(one.token, (sums.get(one.token) ?? 0n) + one.units)
    return sums
  }

  /** I4: what a lane has read past has a quote, or is parked. */
  #checkDemands({ lane, inputs }: Commit['batch'], { actors, parked }: StoredLane): void {
    const moved = inputs.find(({ topic }) => topic === 'norm.swap_demand')
    if (!moved) return
    const at = `${STRATEGY}/${lane}`
    for (let offset = this.#readTo.get(at) ?? 0; offset < moved.next; offset++) {
      const quote_id = this.#demandAt.get(`${lane}@${offset}`)
      if (quote_id === undefined || actors.has(`quote\0${quote_id}`)) continue
      if (!parked.some(({ kind, key }) => kind === 'quote' && key === quote_id)) this.#violated(`I4 demand ${quote_id} was swallowed`)
    }
    this.#readTo.set(at, moved.next)
  }

  // --- at every record, and at every send ---

  appended(record: BusRecord): void {
    const { topic, partition, offset, headers, value } = record
    const position = headers['unrip-position']
    if (!position || !value) return
    if (topic === 'norm.swap_demand')
      this.#demandAt.set(`${partition}@${offset}`, (JSON.parse(text(value)) as { payload: SwapDemand }).payload.quote_id)
    const place = `${topic} ${partition} ${headers['unrip-source']} ${headers['unrip-incarnation']} ${position}`
    if (this.#positions.has(place)) return
    this.#positions.add(place)
    const source = headers['unrip-source']
    const incarnation = headers['unrip-incarnation'] ?? ''
    if (source?.includes('/')) {
      const at = `${topic}/${partition} ${source}`
      const newest = this.#incarnations.get(at) ?? ''
      // A dead owner's late word, of a time that storage has forgotten: nobody takes it.
      if (incarnation < newest) return
      this.#incarnations.set(at, incarnation)
    }
    this.#log.push(record)
  }

  /** I3: all that is signed and could still settle is there to be given. */
  sent(offer: SignedOffer): void {
    if (!this.#isHeldAgainst(offer)) return
    const { nowMs } = this.#stage.time
    let open = 0n
    for (const { token, units, deadlineMs, settledAtMs } of this.#venue.offers.values())
      if (token === offer.token && deadlineMs >= nowMs && (settledAtMs === null || settledAtMs > nowMs)) open += units
    const credited = this.#venue.balance(offer.token, nowMs)
    if (open > credited) this.#violated(`I3 with ${offer.command_id} ${open} ${offer.token} are offered, ${credited} credited`)
  }

  #isHeldAgainst({ quote_id }: SignedOffer): boolean {
    if (this.#cleanFromMs === null) this.#lookWhetherClean()
    return this.#cleanFromMs !== null && (this.#commandedAtMs.get(quote_id) ?? 0) >= this.#cleanFromMs
  }

  #lookWhetherClean(): void {
    const { nowMs } = this.#stage.time
    const wentBack = this.#wentBackAtMs ?? 0
    if (nowMs < wentBack + UNHEARD_MS) return
    const unknown = [...this.#venue.offers.values()].filter(({ sentAtMs }) => sentAtMs <= wentBack + UNHEARD_MS)
    const overAtMs = Math.max(wentBack, ...unknown.map(({ deadlineMs }) => deadlineMs))
    if (Math.max(0, ...this.#seenHeights.values()) > this.#venue.heightAt(overAtMs)) this.#cleanFromMs = nowMs
  }

  wentBack(): void {
    this.#wentBackAtMs = this.#stage.time.nowMs
    this.#cleanFromMs = null
    this.#held.clear()
    this.#settled.length = 0
    this.#seenHeights.clear()
    for (const [lane, row] of this.#rows(STRATEGY).entries()) {
      this.#readTo.set(`${STRATEGY}/${lane}`, row.inputs.get('norm.swap_demand')?.next ?? 0)
      for (const { kind, key, body } of row.actors.values())
        if (kind === 'quote') this.#quoteCommitted(lane, key, JSON.parse(text(body)) as Parsed<QuoteContext>)
    }
  }

  // --- at rest ---

  wrong(): string[] {
    return [...this.#demands(), ...this.#commands(), ...this.#desks(), ...this.#tallies(), ...this.#histories(), ...this.#parked()]
  }

  get #isStrict(): boolean {
    return this.#wentBackAtMs === null
  }

  #demands(): string[] {
    const decisions = Map.groupBy(this.#read<TradeDecision>('decision.trade_decision'), ({ payload }) => payload.quote_id)
    const asked = new Set(this.#read<SwapDemand>('norm.swap_demand').map(({ payload }) => payload.quote_id))
    const wrong = [...asked].flatMap((id) => {
      const said = decisions.get(id)?.length ?? 0
      // A result can come before the demand that storage has forgotten: then it is not decided any more.
      return said === 1 || !this.#isStrict ? [] : [`I4 demand ${id} has ${said} decisions`]
    })
    return [...wrong, ...[...decisions.keys()].filter((id) => !asked.has(id)).map((id) => `I4 ${id} was decided and never asked`)]
  }

  /** I1: every command once, and exactly one final result, which is what the venue's ledger says. */
  #commands(): string[] {
    const wrong: string[] = []
    const commands = Map.groupBy(this.#read<ExecuteTrade>('cmd.execute_trade'), ({ payload }) => payload.command_id)
    const results = this.#read<TradeResult>('exec.trade_result').filter(({ payload }) => isFinal(payload.result_code))
    const finals = Map.groupBy(results, ({ payload }) => payload.command_id)
    const settled = new Set([...this.#venue.offers.values()].flatMap((one) => (one.settledAtMs === null ? [] : [one.command_id])))
    for (const [id, said] of commands) {
      const codes = (finals.get(id) ?? []).map(({ payload }) => payload.result_code)
      if (said.length > 1 && this.#isStrict) wrong.push(`I1 ${id} was commanded ${said.length} times`)
      if (codes.length === 0 || (codes.length > 1 && this.#isStrict)) wrong.push(`I1 ${id} has ${codes.length} final results`)
      for (const code of codes)
        if ((code === 'SETTLED') !== settled.has(id))
          wrong.push(`I1 ${id} ended as ${code}, and the venue ${settled.has(id) ? 'settled it' : 'did not settle it'}`)
    }
    for (const id of [...finals.keys(), ...settled]) if (!commands.has(id)) wrong.push(`I1 ${id} was never commanded`)
    return wrong
  }

  #desks(): string[] {
    return this.#rows(STRATEGY).flatMap((row, lane) => {
      const desk = contextOf<DeskContext>(row, 'desk', 'desk')
      if (!desk) return []
      const commands = this.#read<ExecuteTrade>('cmd.execute_trade').filter(
        ({ payload }) => this.#stage.partitionOf(`near_intents:${payload.pair}`) === lane,
      )
      const wrong = desk.ledger.open > 0 ? [`I3 desk ${lane} holds ${desk.ledger.open} offers that are over`] : []
      if (!this.#isStrict) return wrong
      if (desk.trades !== commands.length) wrong.push(`desk ${lane} has made ${desk.trades} trades of ${commands.length} commands`)
      if (desk.strangers > 0) wrong.push(`I1 desk ${lane} met ${desk.strangers} strangers`)
      return wrong
    })
  }

  #tallies(): string[] {
    return this.#rows(EXECUTOR).flatMap((row, lane) => {
      const tally = contextOf<TallyContext>(row, 'tally', 'tally')
      if (!tally) return []
      const finals = this.#read<TradeResult>('exec.trade_result').filter(
        ({ partition, payload }) => partition === lane && isFinal(payload.result_code),
      )
      const wrong = tally.in_flight === 0 ? [] : [`tally ${lane} has ${tally.in_flight} in flight`]
      if (this.#isStrict && tally.completed !== finals.length)
        wrong.push(`tally ${lane} completed ${tally.completed}, ${finals.length} were told`)
      return wrong
    })
  }

  /** Exactly once between hosts: what is in the tables is what was read of the log, and what the writers counted. */
  #histories(): string[] {
    if (!this.#isStrict) return []
    const written = Map.groupBy(this.#stage.store.history(), ({ topic, partition }) => `${topic}/${partition}`)
    return this.#rows('history-writer').flatMap((row, lane) => {
      const counted = contextOf<{ rows: Record<string, number> }>(row, 'writer', 'lane')?.rows ?? {}
      return HISTORY.flatMap((topic) => {
        const next = row.inputs.get(topic)?.next ?? 0
        const there = this.#log.filter((record) => record.topic === topic && record.partition === lane && record.offset < next).length
        const rows = written.get(`${topic}/${lane}`)?.length ?? 0
        return [
          ...(rows === there ? [] : [`I4 history has ${rows} of ${there} records of ${topic}/${lane}`]),
          ...((counted[topic] ?? 0) === there ? [] : [`I1 writer ${lane} counted ${counted[topic]} of ${there} records of ${topic}`]),
        ]
      })
    })
  }

  #parked(): string[] {
    const services = [
      'near-intents-ingest',
      'market-reference-ingest',
      'inventory-sync',
      STRATEGY,
      EXECUTOR,
      'history-writer',
      'alert-evaluator',
    ]
    const all = services.flatMap((service) => this.#rows(service).flatMap(({ parked }) => parked.map((row) => ({ ...row, service }))))
    const wrong = all.flatMap(({ service, kind, key, cause, origin }) =>
      kind === '' && (origin.startsWith('record norm.swap_demand') || origin.startsWith('order '))
        ? []
        : [`${service} parked ${kind}/${key} of ${origin}: ${cause}`],
    )
    const missing = [STRATEGY, 'history-writer'].flatMap((service) =>
      this.unreadable.filter((at) => all.filter((row) => row.service === service && row.origin === `record ${at}`).length !== 1),
    )
    return [...wrong, ...missing.map((at) => `I4 unreadable ${at} is not parked once`)]
  }

  counts(): Record<string, number> {
    const of = (topic: TopicName): number => this.#log.filter((record) => record.topic === topic).length
    const raised = this.#read<AlertEvent>('ops.alert_event').filter(({ payload }) => payload.transition === 'raised').length
    const offers = [...this.#venue.offers.values()]
    return {
      demands: of('norm.swap_demand'),
      decisions: of('decision.trade_decision'),
      commands: of('cmd.execute_trade'),
      sends: offers.length,
      settled: offers.filter(({ settledAtMs }) => settledAtMs !== null).length,
      results: of('exec.trade_result'),
      alerts: raised,
      history: this.#stage.store.history().length,
    }
  }

  #read<P>(topic: TopicName): Read<P>[] {
    return this.#log.flatMap(({ topic: of, partition, offset, value }) =>
      of === topic && value ? [{ ...(JSON.parse(text(value)) as { event_id: string; payload: P }), partition, offset }] : [],
    )
  }

  #rows(service: string): StoredLane[] {
    const isSingle = ['near-intents-ingest', 'market-reference-ingest', 'inventory-sync'].includes(service)
    return Array.from({ length: isSingle ? 1 : this.#stage.lanes }, (_, lane) => this.#stage.store.lane(service, lane))
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()

const contextOf = <C>({ actors }: StoredLane, kind: string, key: string): C | null => {
  const row = actors.get(`${kind}\0${key}`)
  return row ? (JSON.parse(text(row.body)) as Parsed<C>).c : null
}
