import type { BusRecord } from '#actors/runtime/bus-port.ts'
import type { SwapDemand } from '#machines/contracts/records/quote.ts'
import type { ExecuteTrade, TradeResult } from '#machines/contracts/records/trade.ts'
import { isFinal } from '#machines/contracts/records/trade.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import type { MemoryStore } from '../../twins/store.ts'
import type { StoredLane } from '../../twins/store-lane.ts'
import { keyOf, SERVICES, STRATEGY, WATCH } from './services.ts'
import type { Venue } from './venue.ts'

interface Read<P> {
  readonly event_id: string
  readonly partition: number
  readonly payload: P
}

interface Accounted {
  readonly store: MemoryStore
  readonly log: readonly BusRecord[]
  readonly venue: Venue
  readonly lanes: number
  /** records that nobody can read, as `topic/partition@offset` */
  readonly unreadable: readonly string[]
}

const WATCHED = ['cmd.execute_trade', 'exec.trade_result', 'ops.alert_event', 'ctl.operator_command'] as const
const bodyOf = (lane: StoredLane, kind: string, key: string): { value: unknown; c: Record<string, unknown> } | null => {
  const row = [...lane.actors.values()].find((actor) => actor.kind === kind && actor.key === key)
  return row ? (JSON.parse(new TextDecoder().decode(row.body)) as { value: unknown; c: Record<string, unknown> }) : null
}

/** The final account of a world at rest: every demand, command, result, order and record, each exactly once. */
export class Books {
  readonly #of: Accounted

  constructor(of: Accounted) {
    this.#of = of
  }

  wrong(): string[] {
    return [...this.#demands(), ...this.#commands(), ...this.#desks(), ...this.#boards(), ...this.#unreadable()]
  }

  /** Nothing is swallowed: a demand has ended, or is parked for somebody to see. */
  #demands(): string[] {
    const ids = new Set(this.#read<SwapDemand>('norm.swap_demand').map(({ payload }) => payload.quote_id))
    const lanes = this.#lanes(STRATEGY)
    return [...ids].flatMap((id) => {
      const stored = keyOf(id).replaceAll('\0', '\u{FFFD}')
      const mustPark = /^(boom|nul)/.test(id)
      const isParked = lanes.some(({ parked }) => parked.some(({ kind, key }) => kind === 'quote' && key === stored))
      const hasEnded = lanes.some((lane) =>
        [...lane.actors.values()].some(({ kind, key, status }) => kind === 'quote' && key === id && status === 'done'),
      )
      if (mustPark && !isParked) return [`demand ${id} should be parked`]
      if (isParked && !mustPark && !id.startsWith('huge')) return [`demand ${id} is parked`]
      return isParked || hasEnded ? [] : [`I4 demand ${id} was swallowed`]
    })
  }

  /** I1: every command once, and exactly one final result, which is what the venue's ledger says. */
  #commands(): string[] {
    const wrong: string[] = []
    const commands = this.#read<ExecuteTrade>('cmd.execute_trade').map(({ payload }) => payload.command_id)
    const finals = Map.groupBy(
      this.#read<TradeResult>('exec.trade_result').filter(({ payload }) => isFinal(payload.result_code)),
      ({ payload }) => payload.command_id,
    )
    if (new Set(commands).size !== commands.length) wrong.push('I1 a command was published twice')
    for (const id of commands) {
      const ends = finals.get(id) ?? []
      if (ends.length !== 1) wrong.push(`I1 ${id} has ${ends.length} final results`)
      const code = ends[0]?.payload.result_code
      const settled = this.#of.venue.settled.has(id)
      if (ends.length === 1 && (code === 'SETTLED') !== settled)
        wrong.push(`I1 ${id} ended as ${code}, and the venue ${settled ? 'settled it' : 'did not settle it'}`)
    }
    for (const id of [...finals.keys(), ...this.#of.venue.settled.keys()])
      if (!commands.includes(id)) wrong.push(`I1 ${id} was never commanded`)
    return wrong
  }

  /** What is told within a lane arrives once: totals are the sum of what they stand for. */
  #desks(): string[] {
    const desks = this.#lanes(STRATEGY).map((lane) => bodyOf(lane, 'desk', 'desk')?.c ?? {})
    const sum = (field: string): number => desks.reduce((total, desk) => total + Number(desk[field] ?? 0), 0)
    const huge = this.#lanes(STRATEGY)
      .flatMap(({ parked }) => parked)
      .filter(({ key, cause }) => key.startsWith('huge') && cause.includes('above')).length
    const commands = this.#read('cmd.execute_trade').length
    const wrong: string[] = []
    if (sum('open') !== 0) wrong.push(`desks hold ${sum('open')} open`)
    if (sum('granted') !== commands + huge)
      wrong.push(`desks granted ${sum('granted')}, there are ${commands} commands and ${huge} too large`)
    return wrong
  }

  /** Exactly once between hosts: what the watchers counted and wrote is what the log holds. */
  #boards(): string[] {
    const wrong: string[] = []
    let records = 0
    for (const topic of WATCHED) {
      const all = this.#read(topic)
      records += new Set(all.map(({ event_id }) => event_id)).size
      if (new Set(all.map(({ event_id }) => event_id)).size !== all.length) wrong.push(`I6 two records of ${topic} have one event_id`)
      for (const [number, lane] of this.#lanes(WATCH).entries()) {
        const there = all.filter(({ partition }) => partition === number).length
        const seen = (bodyOf(lane, 'board', 'board')?.c['seen'] as Record<string, number> | undefined)?.[topic] ?? 0
        if (seen !== there) wrong.push(`watch/${number} took ${seen} of ${there} records of ${topic}`)
      }
    }
    if (this.#of.store.history().length !== records) wrong.push(`history has ${this.#of.store.history().length} of ${records} records`)
    return wrong
  }

  #unreadable(): string[] {
    const origins = this.#lanes(STRATEGY).flatMap(({ parked }) => parked.filter(({ kind }) => kind === '').map(({ origin }) => origin))
    const wrong = this.#of.unreadable.flatMap((at) => {
      const times = origins.filter((origin) => origin.split(' from ', 1)[0] === `record ${at}`).length
      return times === 1 ? [] : [`I4 unreadable ${at} is parked ${times} times`]
    })
    const parked = SERVICES.filter((service) => service !== STRATEGY).flatMap((service) =>
      this.#lanes(service).flatMap((lane) => lane.parked),
    )
    return [...wrong, ...parked.map(({ kind, key, cause }) => `${kind}/${key} is parked: ${cause}`)]
  }

  /** Readable records of ours, each position once. */
  #read<P>(topic: TopicName): Read<P>[] {
    const seen = new Set<string>()
    return this.#of.log.flatMap((record) => {
      if (record.topic !== topic) return []
      const { 'unrip-source': source, 'unrip-incarnation': incarnation, 'unrip-position': position } = record.headers
      const place = `${record.partition} ${source} ${incarnation} ${position}`
      if (!source || source.startsWith('x') || seen.has(place) || !record.value) return []
      seen.add(place)
      const { event_id, payload } = JSON.parse(new TextDecoder().decode(record.value)) as { event_id: string; payload: P }
      return [{ event_id, partition: record.partition, payload }]
    })
  }

  #lanes(service: string): StoredLane[] {
    return Array.from({ length: this.#of.lanes }, (_, lane) => this.#of.store.lane(service, lane))
  }
}
