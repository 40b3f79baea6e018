import { readQuoteChain } from './history/chain.ts'
import type { QuoteChain } from './history/chain.ts'
import { keptTurns, readTurns } from './journal.ts'
import type { JournalTurn, LaneAddress } from './journal.ts'
import { listActors, readActor, readBodies, readHistory } from './read-actors.ts'
import type { ActorDetail, ActorHistory, ActorPage, ActorQuery, StepOf, StoredBody } from './read-actors.ts'
import { readInputs, readLanes, readOrders, readParked, readStructures } from './read-lanes.ts'
import type { InputReading, LaneReading, OrderReading, ParkedQuery, ParkedReading } from './read-lanes.ts'
import { readPool } from './read-pool.ts'
import type { ReadOptions } from './read-pool.ts'
import { readProcesses, readReleases } from './read-processes.ts'
import type { ProcessReading, ReleaseReading } from './read-processes.ts'
import { readStored } from './read-stored.ts'
import type { StoredRows } from './read-stored.ts'

/** Reads for control and the command line. A service's role sees its own rows; the operator's sees all. */
export interface StoreReads {
  /** Null: `after` is no cursor of ours. */
  actors(query: ActorQuery): Promise<ActorPage | null>
  /** null: no lane of the service has it */
  actor(service: string, kind: string, key: string): Promise<ActorDetail | null>
  /** Those of its turns that are needed, newest first; null: no lane of the service has it. */
  history(service: string, kind: string, key: string, stepOf: StepOf): Promise<ActorHistory | null>
  /** A lane's turns in order, as far as they are kept. */
  turns(lane: LaneAddress, from: number, to: number): AsyncIterable<JournalTurn>
  /** The snapshots of these actors, of those that are stored. */
  bodies(lane: LaneAddress, actors: readonly Pick<StoredBody, 'kind' | 'key'>[]): Promise<readonly StoredBody[]>
  /** null: none is kept */
  keptTurns(lane: LaneAddress): Promise<{ first: number; last: number } | null>
  /** The operator's and the history writer's roles only. Null: the history has nothing of this quote. */
  quoteChain(quoteId: string): Promise<QuoteChain | null>
  lanes(service?: string): Promise<readonly LaneReading[]>
  /** Where each lane stands in its topics; lag is Kafka's end minus `next`. */
  inputs(service?: string): Promise<readonly InputReading[]>
  parked(query: ParkedQuery): Promise<ParkedReading[]>
  orders(query: { service?: string; limit: number }): Promise<readonly OrderReading[]>
  /** whose lease has not run out */
  processes(service: string): Promise<readonly ProcessReading[]>
  /** what may be stored in each lane, in the words of its owners so far */
  structures(service: string): Promise<readonly { readonly lane: number; readonly structure: string }[]>
  /** latest first */
  releases(service: string): Promise<readonly ReleaseReading[]>
  /** all of a lane as of one moment, by kind and key, a page of actors at a time */
  stored(service: string, lane: number, onPage: (rows: readonly StoredRows[]) => Promise<void>): Promise<void>
  close(): Promise<void>
}

export const storeReads = (options: ReadOptions): StoreReads => {
  const pool = readPool(options)
  return {
    actors: (query) => pool.read((db) => listActors(db, query)),
    actor: (service, kind, key) => pool.read((db) => readActor(db, service, kind, key)),
    history: (service, kind, key, stepOf) => pool.read((db) => readHistory(db, service, kind, key, stepOf)),
    turns: (lane, from, to) => readTurns((query) => pool.read(query), lane, from, to),
    bodies: (lane, actors) => pool.read((db) => readBodies(db, lane, actors)),
    keptTurns: (lane) => pool.read((db) => keptTurns(db, lane)),
    quoteChain: (quoteId) => pool.read((db) => readQuoteChain(db, quoteId)),
    lanes: (service) => pool.read((db) => readLanes(db, service)),
    inputs: (service) => pool.read((db) => readInputs(db, service)),
    parked: (query) => pool.read((db) => readParked(db, query)),
    orders: (query) => pool.read((db) => readOrders(db, query)),
    processes: (service) => pool.read((db) => readProcesses(db, service)),
    structures: (service) => pool.read((db) => readStructures(db, service)),
    releases: (service) => pool.read((db) => readReleases(db, service)),
    stored: (service, lane, onPage) => pool.read((db) => readStored(db, service, lane, onPage)),
    close: () => pool.close(),
  }
}
