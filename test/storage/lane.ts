import { createHash, randomUUID } from 'node:crypto'
import type { ActorRow, Batch, JournalRow, Recovered } from '#actors/runtime/rows.ts'
import type { LaneStore, Structures } from '#actors/runtime/store-port.ts'
import type { HistoryRow } from '#machines/contracts/history-row.ts'
import type { TopicName } from '#machines/contracts/topics.ts'

export const bytesOf = (text: string): Uint8Array => Buffer.from(text)
export const textOf = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString())

export const journalRow = (key: string, patch: Partial<JournalRow> = {}): JournalRow => ({
  kind: 'counter',
  key,
  sequence: 1,
  nowMs: 1_000,
  event: bytesOf(`{"type":"hit","key":"${key}"}`),
  base: null,
  outcome: 't',
  outputHash: bytesOf('outputs'),
  ...patch,
})

export const actorRow = (key: string, patch: Partial<ActorRow> = {}): ActorRow => ({
  kind: 'counter',
  key,
  sequence: 1,
  status: 'active',
  body: bytesOf(`{"v":1,"h":"hash","s":1,"value":"counting","c":{"key":"${key}"}}`),
  endedAtMs: null,
  ...patch,
})

/** What a lane's owner keeps in memory of where its lane stands. */
export class OwnedLane {
  readonly store: LaneStore
  readonly process: string
  readonly service: string
  readonly recovered: Recovered
  #batch: number
  #turn: number
  #digests = 0

  constructor(store: LaneStore, process: string, service: string, recovered: Recovered) {
    this.store = store
    this.process = process
    this.service = service
    this.recovered = recovered
    this.#batch = recovered.lane.batch
    this.#turn = recovered.lane.turn
  }

  get lane(): number {
    return this.recovered.lane.lane
  }

  get epoch(): number {
    return this.recovered.lane.epoch
  }

  /** The next batch, one turn a journal row, not yet counted as committed. */
  next(patch: Partial<Batch> = {}): Batch {
    const batch: Batch = {
      lane: this.lane,
      epoch: this.epoch,
      batch: this.#batch + 1,
      digest: createHash('sha256')
        .update(`${this.process} ${this.#digests++}`)
        .digest(),
      turn: this.#turn + (patch.journal?.length ?? 0),
      nowMs: 1_000 + this.#batch,
      published: 0,
      release: 'test',
      actors: [],
      journal: [],
      attached: null,
      codeHash: bytesOf('code'),
      outbox: null,
      timersSet: [],
      timersOff: [],
      effects: [],
      inputs: [],
      marks: [],
      sent: [],
      orders: [],
      parked: [],
      letters: [],
      history: [],
    }
    return { ...batch, ...patch }
  }

  /** Commits exactly this, and goes on from it. */
  async commit(batch: Batch): Promise<'done' | 'again'> {
    const outcome = await this.store.commit(this.service, batch)
    this.#batch = batch.batch
    this.#turn = batch.turn
    return outcome
  }

  async commitNext(patch: Partial<Batch> = {}): Promise<Batch> {
    const batch = this.next(patch)
    await this.commit(batch)
    return batch
  }
}

/** Registers a process, with a lease, and takes a lane that is free. */
export const takeFree = async (store: LaneStore, service: string, lane: number, leaseMs = 60_000): Promise<OwnedLane> => {
  const process = await registered(store, service, leaseMs)
  const recovered = await store.take(process, service, lane, 'free', 100)
  if (!recovered) throw new Error(`lane ${service}/${lane} is not free`)
  return new OwnedLane(store, process, service, recovered)
}

export const registered = async (store: LaneStore, service: string, leaseMs = 60_000, structures?: Structures): Promise<string> => {
  const process = randomUUID()
  await store.register({ process, service, release: 'test', url: 'http://127.0.0.1:0', ...(structures ? { structures } : {}) })
  await store.renew(process, 'live', leaseMs)
  return process
}

/** A history row with an envelope around `payload`. */
export const historyRow = (topic: TopicName, eventId: string, payload: object, envelope: object = {}): HistoryRow => ({
  topic,
  partition: 0,
  offset: 7,
  source_lane: 'strategy-engine/0',
  incarnation: '01a1fd89-f7e4-7b22-ae36-fb68602de9f4',
  position: 3,
  text: JSON.stringify({
    event_id: eventId,
    event_type: 'test',
    venue: 'near_intents',
    source: 'test',
    schema_version: 1,
    observed_at: '2026-11-21T10:00:00.000Z',
    ingested_at: '2026-11-21T10:00:00.100Z',
    correlation_id: 'corr-1',
    causation_id: null,
    payload,
    raw: {},
    ...envelope,
  }),
})
