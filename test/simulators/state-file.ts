import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { BridgeState } from './bridge.ts'
import type { LedgerState } from './ledger.ts'

export interface WorldState {
  readonly ledger: LedgerState
  readonly bridge: BridgeState
}

export const readState = (path: string | undefined): WorldState | undefined =>
  path !== undefined && existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as WorldState) : undefined

/** Written beside and renamed: a kill in between leaves the earlier one. */
export const writeState = (path: string, state: WorldState): void => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, JSON.stringify(state))
  renameSync(`${path}.new`, path)
}
