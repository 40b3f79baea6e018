import { Sessions } from './session.ts'
import type { SessionOptions, Statement } from './session.ts'

/** What a lane's owner changes of it beside its batches, each in one transaction of its own. */
export interface Rewriting {
  /** All that is stored in the lane, and nothing else. @throws {StoreError} stale_epoch */
  setStructures(service: string, lane: number, epoch: number, structures: readonly string[]): Promise<void>
  /** Other words for parked events that are still open. @throws {StoreError} stale_epoch */
  rewriteParked(
    service: string,
    lane: number,
    epoch: number,
    rows: readonly { day: string; turn: number; event: Uint8Array }[],
  ): Promise<void>
  close(): Promise<void>
}

/** In the service's own role. */
export const rewriting = (options: SessionOptions): Rewriting => {
  const sessions = new Sessions(options, 1)
  return {
    setStructures: async (service, lane, epoch, structures) => {
      await sessions.query(SET, [service, lane, epoch, structures], `lane ${service}/${lane}: structures`)
    },
    rewriteParked: async (service, lane, epoch, rows) => {
      if (rows.length === 0) return
      const values = [service, lane, epoch, rows.map(({ day }) => day), rows.map(({ turn }) => turn), rows.map(({ event }) => event)]
      await sessions.query(REWRITE, values, `lane ${service}/${lane}: rewrite ${rows.length} parked events`)
    },
    close: () => sessions.close(),
  }
}

const SET: Statement = { name: 'set_structures', text: 'SELECT unrip.set_structures($1, $2, $3, $4)' }
const REWRITE: Statement = { name: 'rewrite_parked', text: 'SELECT unrip.rewrite_parked($1, $2, $3, $4, $5, $6)' }
