import { unpackOutbox } from '#actors/runtime/outbox.ts'
import type { BusRecord } from '#actors/runtime/bus-port.ts'
import type { Batch } from '#actors/runtime/rows.ts'
import type { LaneStore } from '#actors/runtime/store-port.ts'
import type { ArmContext } from '#machines/arm/machine.ts'
import type { OperatorCommand } from '#machines/contracts/records/operations.ts'
import type { StoredLane } from '../twins/store-lane.ts'
import type { Cast, Commit, GivenOrder, Sending, Stage } from './cast.ts'
import { floatIn } from './floats.ts'
import type { SimProcess } from './process.ts'
import { Replay } from './replay.ts'

/** What has to be true (design section 6), of every commit, every record, every send, and when everything has come to rest. */
export class Watcher {
  readonly violations: string[] = []
  readonly orders: GivenOrder[] = []
  readonly #stage: Stage
  readonly #cast: Cast
  readonly #started = new Map<string, SimProcess>()
  readonly #sent = new Set<string>()
  readonly #replays = new Map<string, Replay>()
  /** what a lane has committed to say, by source, incarnation, topic, partition and position */
  readonly #said = new Map<string, string>()
  /** the last position, by partition, source and incarnation: as committed, and as written */
  readonly #committedTo = new Map<string, number>()
  readonly #writtenTo = new Map<string, number>()
  /** how often, by order and lane */
  readonly #told = new Map<string, number>()
  #hasGoneBack = false

  constructor(stage: Stage, cast: Cast) {
    this.#stage = stage
    this.#cast = cast
    cast.onSend = (sending) => this.#sending(sending)
  }

  violated(what: string): void {
    this.violations.push(what)
  }

  started(process: SimProcess): void {
    this.#started.set(process.id, process)
  }

  /** The database has just done this for a process. */
  executed(process: SimProcess, call: string, args: readonly unknown[], answer: unknown): void {
    if (call === 'commit' && answer === 'done') this.#committed(process, args as Parameters<LaneStore['commit']>)
    if (call === 'insertOrder') {
      const [service, { body }] = args as Parameters<LaneStore['insertOrder']>
      const { id } = answer as { id: number }
      this.orders.push({ id, service, order: body.order, release: body['release'], atMs: this.#stage.time.nowMs })
    }
  }

  /** The database has lost its last moments: what was learned from them is no more. */
  wentBack(): void {
    this.#hasGoneBack = true
    for (const [at, replay] of this.#replays) {
      const [service, lane] = at.split('/') as [string, string]
      replay.goBack(this.#stage.store.lane(service, Number(lane)))
    }
    this.#cast.wentBack()
  }

  /** An operator was told that every lane has taken this order. */
  answered(service: string, id: number): void {
    for (const [number, { orders }] of this.#rows(service).entries())
      if (orders.get(id)?.doneTurn === null) this.violated(`I4 order ${id} is said to be done, and ${service}/${number} has not taken it`)
  }

  // --- at every commit ---

  #committed(process: SimProcess, [service, batch]: [string, Batch]): void {
    const row = this.#stage.store.lane(service, batch.lane)
    const at = `${service}/${batch.lane}`
    // I2: it counts only for the owner of the lane, under its epoch.
    if (row.epoch !== batch.epoch)
      this.violated(`I2 ${process.name} committed ${at} batch ${batch.batch} with epoch ${batch.epoch}, it is ${row.epoch}`)
    else if (row.owner !== process.id) this.violated(`I2 ${process.name} committed ${at}, which is ${row.owner}'s`)
    for (const wrong of this.#replayOf(service, batch.lane, process).play(batch, row.parked)) this.violated(`I5 ${wrong}`)
    this.#checkSaid(at, batch, row)
    this.#checkArm(at, batch, row, process)
    this.#checkFloats(at, batch)
    this.#cast.committed({ process, service, batch, row } satisfies Commit)
  }

  #replayOf(service: string, lane: number, process: SimProcess): Replay {
    const at = `${service}/${lane}`
    const known = this.#replays.get(at)
    if (known) return known
    const made = new Replay(this.#cast.definition(service, process))
    this.#replays.set(at, made)
    return made
  }

  /** I6: what is to be said is numbered without a gap, and only what was committed is said. */
  #checkSaid(at: string, { batch, outbox }: Batch, { incarnation }: StoredLane): void {
    if (outbox === null) return
    for (const { topic, partition, position, text } of unpackOutbox(outbox)) {
      const place = `${topic}/${partition} ${at} ${incarnation}`
      const last = this.#committedTo.get(place) ?? 0
      if (position !== last + 1) this.violated(`I6 ${at} batch ${batch}: ${topic}/${partition} position ${position} after ${last}`)
      this.#committedTo.set(place, position)
      this.#said.set(`${place} ${position}`, text)
    }
  }

  /** I7: an arm is for what runs, and somebody has ordered it. */
  #checkArm(at: string, { actors }: Batch, { incarnation }: StoredLane, process: SimProcess): void {
    const arm = actors.find(({ kind }) => kind === 'arm')
    if (!arm) return
    const { value, c } = JSON.parse(text(arm.body)) as { value: string; c: ArmContext }
    if (value !== 'armed') return
    const { release } = process
    if (c.armed_for?.release !== release || c.armed_for.incarnation !== incarnation)
      this.violated(`I7 ${at} is armed for ${JSON.stringify(c.armed_for)}, and ${release} ${incarnation} runs`)
    if (!this.#armsOf(process).length) this.violated(`I7 ${at} is armed, and nobody armed ${release}`)
  }

  #checkFloats(at: string, { actors, journal, outbox }: Batch): void {
    for (const { kind, key, body } of actors) {
      const found = floatIn(text(body))
      if (found) this.violated(`I8 ${at} ${kind}/${key} holds ${found}`)
    }
    for (const { kind, key, event } of journal) {
      const found = floatIn(text(event))
      if (found) this.violated(`I8 ${at} ${kind}/${key} heard ${found}`)
    }
    const found =
      outbox &&
      LINES(outbox)
        .map(floatIn)
        .find((one) => one !== null)
    if (found) this.violated(`I8 ${at} says ${found}`)
  }

  // --- at every send ---

  #sending({ process, service, command_id, effect }: Sending): void {
    const what = `${process.name} sends ${command_id}`
    if (this.#sent.has(command_id)) this.violated(`I1 ${what} again`)
    this.#sent.add(command_id)
    const row = this.#rows(service).find(({ effects }) => effect !== undefined && effects.has(effect))
    // It was committed once: its owner has not heard yet that storage has forgotten it.
    if (this.#hasGoneBack && effect !== undefined && !row) return
    if (effect === undefined || !row) return this.violated(`E1 ${what} before its row is committed`)
    const state = row.effects.get(effect)?.state
    if (state !== 'pending') this.violated(`E2 ${what}, which is ${state}`)
    if (row.owner !== process.id) this.violated(`I2 ${what}, but ${row.owner} has the lane`)
    const arms = this.#armsOf(process)
    if (arms.length === 0) this.violated(`I7 ${what}, and nobody armed ${process.release}`)
    const { disarmedAtMs } = process
    if (disarmedAtMs !== null && !arms.some(({ atMs }) => atMs > disarmedAtMs))
      this.violated(`E5 ${what}, disarmed ${this.#stage.time.nowMs - disarmedAtMs} ms ago`)
  }

  #armsOf({ service, release: running }: SimProcess): GivenOrder[] {
    return this.orders.filter(({ service: of, order, release }) => of === service && order === 'arm' && release === running)
  }

  // --- at every record ---

  /** I6: positions are dense for each source and incarnation in each partition, once what came twice is left out. */
  appended(record: BusRecord): void {
    const { topic, partition, offset, headers, value } = record
    const { 'unrip-source': source, 'unrip-incarnation': incarnation } = headers
    const position = Number(headers['unrip-position'])
    this.#cast.appended(record)
    if (!position || !source || source.startsWith('x') || !value) return
    const place = `${topic}/${partition} ${source} ${incarnation}`
    const before = this.#writtenTo.get(place) ?? 0
    if (position > before + 1) this.violated(`I6 ${topic}/${partition}@${offset}: ${source} position ${position} after ${before}`)
    this.#writtenTo.set(place, Math.max(before, position))
    if (source.includes('/') && this.#said.get(`${place} ${position}`) !== text(value))
      this.violated(`E1 ${topic}/${partition}@${offset}: ${source} says what it has not committed`)
    if (!source.includes('/')) {
      const found = floatIn(text(value))
      if (found) this.violated(`I8 ${topic}/${partition}@${offset} of ${source} has ${found}`)
    }
    if (topic === 'ctl.operator_command' && position > before) {
      const { payload } = JSON.parse(text(value)) as { payload: OperatorCommand }
      const at = `${payload.order_id} ${payload.lane}`
      this.#told.set(at, (this.#told.get(at) ?? 0) + 1)
    }
  }

  // --- at rest ---

  /** What is still under way; empty: the world is at rest. */
  unfinished(): string[] {
    const draining = [...this.#started.values()].filter((process) => process.draining && !process.dead)
    const lanes = this.#cast.parts.flatMap(({ service }) =>
      this.#rows(service).flatMap((row, number) => this.#open(service, row, number).map((open) => `${service}/${number} ${open}`)),
    )
    const notBegun = this.#cast.parts
      .filter(({ service }) => this.#rows(service).length === 0)
      .map(({ service }) => `${service} has not begun`)
    return [...notBegun, ...draining.map(({ name }) => `${name} was drained and has not ended`), ...lanes]
  }

  #open(service: string, row: StoredLane, number: number): string[] {
    const now = this.#stage.time.nowMs
    const owner = row.owner === null ? undefined : this.#started.get(row.owner)
    if (!owner?.live) return ['has no living owner']
    const open: string[] = []
    if (row.halted) open.push(`is halted: ${row.halted.detail}`)
    for (const { topic, next } of row.inputs.values()) {
      const high = (this.#stage.bus.log(topic, number).at(-1)?.offset ?? -1) + 1
      if (next < high - (this.#cast.restless.includes(topic) ? RESTLESS_RECORDS : 0)) open.push(`${topic} is at ${next} of ${high}`)
    }
    for (const { effect, name, mode, state } of row.effects.values())
      if (mode === 'ask first' && (state === 'pending' || state === 'uncertain')) open.push(`effect ${name} ${effect} is ${state}`)
    for (const { order, doneTurn } of row.orders.values()) {
      if (doneTurn === null) open.push(`order ${order.id} is open`)
      else if (!this.#told.has(`${order.id} ${number}`)) open.push(`order ${order.id} is not told`)
    }
    for (const timer of row.timers.values())
      if (timer.dueMs < now - 2_000) open.push(`timer ${timer.kind}/${timer.key} ${timer.timer} was due ${now - timer.dueMs} ms ago`)
    const unsaid = row.outbox.filter(({ batch, blob }) => batch > row.published && blob !== null).flatMap(({ blob }) => unpackOutbox(blob!))
    for (const { topic, partition, position } of unsaid)
      if (!this.#cast.restless.includes(topic)) open.push(`has still to publish ${topic}/${partition} position ${position}`)
    return [...open, ...this.#cast.unfinished(service, row)]
  }

  checkBooks(): void {
    for (const wrong of [...this.#wrongOrders(), ...this.#cast.wrong()]) this.violated(wrong)
  }

  /** Every order is answered by every lane and told once. */
  #wrongOrders(): string[] {
    return this.orders.flatMap(({ id, service, order }) => {
      const rows = this.#rows(service).flatMap((row) => row.orders.get(id) ?? [])
      // What the database has forgotten was never ordered.
      if (this.#hasGoneBack && rows.length === 0) return []
      const outcomes = rows.map(({ answer }) => (answer as { outcome?: string } | null)?.outcome)
      const lanes = this.#rows(service).length
      const told = Array.from({ length: lanes }, (_, lane) => this.#told.get(`${id} ${lane}`) ?? 0)
      const refused = outcomes.filter((outcome) => outcome === 'refused').length
      return [
        ...(outcomes.filter(Boolean).length === lanes ? [] : [`I4 order ${id} is answered by ${outcomes.length} lanes`]),
        ...(told.every((times) => times === 1 || (this.#hasGoneBack && times > 1))
          ? []
          : [`I4 order ${id} is told ${told.join(', ')} times`]),
        ...(order === 'arm' || (order === 'nonsense') === refused > 0 ? [] : [`order ${id} ${order} is refused by ${refused} lanes`]),
      ]
    })
  }

  #rows(service: string): StoredLane[] {
    const { store, lanes } = this.#stage
    const count = this.#cast.parts.find((part) => part.service === service)?.lanes === 'single' ? 1 : lanes
    // A world can be over before each of its services has begun.
    return store.services().includes(service) ? Array.from({ length: count }, (_, lane) => store.lane(service, lane)) : []
  }

  /** How far each lane has read its inputs. */
  *read(): Iterable<{ topic: string; lane: number; next: number }> {
    for (const { service } of this.#cast.parts)
      for (const [lane, { inputs }] of this.#rows(service).entries())
        for (const { topic, next } of inputs.values()) yield { topic, lane, next }
  }

  counts(): Record<string, number> {
    const rows = this.#cast.parts.flatMap(({ service }) => this.#rows(service))
    return {
      processes: this.#started.size,
      turns: rows.reduce((sum, { turn }) => sum + turn, 0),
      batches: rows.reduce((sum, { batch }) => sum + batch, 0),
      ...this.#cast.counts(),
    }
  }
}

/** What is said again and again is never read to its end. */
const RESTLESS_RECORDS = 12

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
const LINES = (blob: Uint8Array): string[] => text(blob).split('\n')
